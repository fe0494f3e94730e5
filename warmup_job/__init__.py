"""Warm-up for NautilusTrader bots: closed Binance klines, checked, published, handed over.

Everything that other code may use is imported from here; a name that is not listed may change in
any version. The names are loaded when they are first used, so ``import warmup_job`` takes a few
milliseconds and loads neither ccxt nor Nautilus.

Fetch bars in a script or a notebook::

    from warmup_job import BinanceDataWarmer, VenueConfigLoader

    with BinanceDataWarmer(VenueConfigLoader.load("configs/venues/binance_futures.yaml")) as warmer:
        bars = warmer.fetch_detector_bars(symbol="BTCUSDT", num_bars=499, interval="1m")

Read a snapshot that the job has published::

    import time
    from warmup_job import Interval, StreamId, verify

    snapshot = verify("/snapshot", now_ms=time.time_ns() // 1_000_000, max_age_ms=600_000)
    stream = snapshot.stream(StreamId("BTCUSDT", Interval.parse("1m")))

Run the job and the trader from Python::

    from warmup_job import load_config, resolve, trade, warm

    plan = resolve(load_config("configs/warmup.yaml"))
    outcome = await warm(plan)
    summary = await trade(plan, "paper", stop=asyncio.Event())

The names by topic:

    fetch           BinanceDataWarmer
    configuration   load_config, WarmupConfig, VenueConfigLoader, VenueConfig,
                    StrategyConfigLoader, StrategyFile, resolve, WarmupPlan
    job             warm, Outcome
    snapshot        open_snapshot, verify, find_problems, Snapshot, Requirements, Manifest,
                    StreamEntry, StreamId, Interval, Certificate
    detector        RegimeDetector, DetectorSettings, DetectorBar, Regime
    trader          trade, TradeSummary, BaseRunner, PaperRunner, LiveRunner, NodeSettings,
                    TradingPolicy, History
    strategies      HedgeGridV1, HedgeGridV1Config, and what a strategy of yours may offer the
                    trader beside Nautilus' own methods: TakesDetectorBars, ReportsWarmth,
                    HasDetector, ReportsStateChanges, UsesAccountFunds (AccountFunds),
                    UsesFundingIntervals, ChoosesFirstBar, ActsOnOwnOrders, FollowsOneBarType,
                    HeedsOperator (OperatorState), LiftsDrawdownStop, ReportsOwedExits,
                    ReportsFigures (GridFigures)
    errors          WarmupError and its subclasses. Each has the ``exit_code`` of the command
                    line, and its text is one line that says what to do and contains no secret.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmup_job.binance.funds import AccountFunds
    from warmup_job.config import (
        StrategyConfigLoader,
        StrategyFile,
        VenueConfig,
        VenueConfigLoader,
        WarmupConfig,
    )
    from warmup_job.config import load as load_config
    from warmup_job.data_warmer import BinanceDataWarmer
    from warmup_job.errors import (
        BlockedError,
        ConfigError,
        DataInvalidError,
        DeadlineError,
        ExchangeUnreachableError,
        LiveRefusedError,
        NotConvergedError,
        NotTheExchangeError,
        RateLimitedError,
        RefusedError,
        SnapshotError,
        StoppedError,
        TraderError,
        UnknownSymbolError,
        UnusableVolumeError,
        VolumeError,
        WarmupError,
    )
    from warmup_job.handoff.live_bars.stream_history import History
    from warmup_job.handoff.live_runner import LiveRunner
    from warmup_job.handoff.node import NodeSettings
    from warmup_job.handoff.paper_runner import PaperRunner
    from warmup_job.handoff.runner import BaseRunner
    from warmup_job.handoff.strategy_features import (
        ActsOnOwnOrders,
        ChoosesFirstBar,
        FollowsOneBarType,
        HasDetector,
        HeedsOperator,
        LiftsDrawdownStop,
        ReportsFigures,
        ReportsOwedExits,
        ReportsStateChanges,
        ReportsWarmth,
        TakesDetectorBars,
        UsesAccountFunds,
        UsesFundingIntervals,
    )
    from warmup_job.handoff.trading_policy import TradingPolicy
    from warmup_job.hedge_grid.grid_figures import GridFigures
    from warmup_job.hedge_grid.strategy import HedgeGridV1, HedgeGridV1Config
    from warmup_job.job.run_job import Outcome, warm
    from warmup_job.market.interval import Interval
    from warmup_job.market.stream_id import StreamId
    from warmup_job.modes import OperatorState
    from warmup_job.plan.resolve import resolve
    from warmup_job.plan.warmup_plan import WarmupPlan
    from warmup_job.proof.certificate import Certificate
    from warmup_job.regime.detector import DetectorBar, DetectorSettings, Regime, RegimeDetector
    from warmup_job.snapshot.manifest import Manifest, StreamEntry
    from warmup_job.snapshot.verify import (
        Requirements,
        Snapshot,
        find_problems,
        open_snapshot,
        verify,
    )
    from warmup_job.trader.run_trader import trade
    from warmup_job.trader.summary import TradeSummary

    __version__: str

__all__ = [
    "AccountFunds",
    "ActsOnOwnOrders",
    "BaseRunner",
    "BinanceDataWarmer",
    "BlockedError",
    "Certificate",
    "ChoosesFirstBar",
    "ConfigError",
    "DataInvalidError",
    "DeadlineError",
    "DetectorBar",
    "DetectorSettings",
    "ExchangeUnreachableError",
    "FollowsOneBarType",
    "GridFigures",
    "HasDetector",
    "HedgeGridV1",
    "HedgeGridV1Config",
    "HeedsOperator",
    "History",
    "Interval",
    "LiftsDrawdownStop",
    "LiveRefusedError",
    "LiveRunner",
    "Manifest",
    "NodeSettings",
    "NotConvergedError",
    "NotTheExchangeError",
    "OperatorState",
    "Outcome",
    "PaperRunner",
    "RateLimitedError",
    "RefusedError",
    "Regime",
    "RegimeDetector",
    "ReportsFigures",
    "ReportsOwedExits",
    "ReportsStateChanges",
    "ReportsWarmth",
    "Requirements",
    "Snapshot",
    "SnapshotError",
    "StoppedError",
    "StrategyConfigLoader",
    "StrategyFile",
    "StreamEntry",
    "StreamId",
    "TakesDetectorBars",
    "TradeSummary",
    "TraderError",
    "TradingPolicy",
    "UnknownSymbolError",
    "UnusableVolumeError",
    "UsesAccountFunds",
    "UsesFundingIntervals",
    "VenueConfig",
    "VenueConfigLoader",
    "VolumeError",
    "WarmupConfig",
    "WarmupError",
    "WarmupPlan",
    "find_problems",
    "load_config",
    "open_snapshot",
    "resolve",
    "trade",
    "verify",
    "warm",
]

_HOMES = {
    "binance.funds": "AccountFunds",
    "config": "StrategyConfigLoader StrategyFile VenueConfig VenueConfigLoader WarmupConfig",
    "data_warmer": "BinanceDataWarmer",
    "errors": "BlockedError ConfigError DataInvalidError DeadlineError ExchangeUnreachableError "
    "LiveRefusedError NotConvergedError NotTheExchangeError RateLimitedError RefusedError "
    "SnapshotError StoppedError TraderError UnknownSymbolError UnusableVolumeError VolumeError "
    "WarmupError",
    "handoff.live_bars.stream_history": "History",
    "handoff.live_runner": "LiveRunner",
    "handoff.node": "NodeSettings",
    "handoff.paper_runner": "PaperRunner",
    "handoff.runner": "BaseRunner",
    "handoff.strategy_features": "ActsOnOwnOrders ChoosesFirstBar FollowsOneBarType HasDetector "
    "HeedsOperator LiftsDrawdownStop ReportsFigures ReportsOwedExits ReportsStateChanges "
    "ReportsWarmth TakesDetectorBars UsesAccountFunds UsesFundingIntervals",
    "handoff.trading_policy": "TradingPolicy",
    "hedge_grid.grid_figures": "GridFigures",
    "hedge_grid.strategy": "HedgeGridV1 HedgeGridV1Config",
    "job.run_job": "Outcome warm",
    "market.interval": "Interval",
    "market.stream_id": "StreamId",
    "modes": "OperatorState",
    "plan.resolve": "resolve",
    "plan.warmup_plan": "WarmupPlan",
    "proof.certificate": "Certificate",
    "regime.detector": "DetectorBar DetectorSettings Regime RegimeDetector",
    "snapshot.manifest": "Manifest StreamEntry",
    "snapshot.verify": "Requirements Snapshot find_problems open_snapshot verify",
    "trader.run_trader": "trade",
    "trader.summary": "TradeSummary",
}
_RENAMED = {"load_config": ("config", "load")}
_SOURCES = {name: (home, name) for home, names in _HOMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a type checker then reports a name that does not exist

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("warmup-job")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home, there = _RENAMED.get(name) or _SOURCES[name]
        return getattr(import_module(f"{__name__}.{home}"), there)


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))
