"""The consumer, top to bottom: verify → load → warm up the strategies → subscribe → fill → live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from loguru import logger
from nautilus_trader.model.identifiers import InstrumentId

from warmup_job.config import WarmupConfig
from warmup_job.demands import prepared_for_live
from warmup_job.errors import TraderError, WarmupError
from warmup_job.history import load_histories
from warmup_job.plan import endpoint, open_client
from warmup_job.regime.detector import RegimeDetector
from warmup_job.snapshot.durable import replace_file
from warmup_job.snapshot.quiet import remember_quiet, sit_out
from warmup_job.strategies import make_strategies
from warmup_job.traded import traded
from warmup_job.trading.health import serving
from warmup_job.trading.node import NodeSettings
from warmup_job.trading.report import Report, now_ms, process_started_ms
from warmup_job.trading.runner import BaseRunner, LiveRunner, PaperRunner, Policy

if TYPE_CHECKING:
    from warmup_job.trading.feed import History

Mode = Literal["paper", "live"]
_RUNNERS: dict[Mode, type[BaseRunner]] = {"paper": PaperRunner, "live": LiveRunner}


@dataclass(frozen=True, slots=True)
class TradeSummary:
    """What a trader did, for people and for scripts."""

    mode: str
    warm_start: bool
    history_bars: int
    handed_on: int
    live_bars: int
    live_after_s: float | None
    """From the process' start; None: it never was."""
    regime: str
    """Of each strategy that has one, by commas."""
    orders: int
    fills: int
    positions_open: int
    stopped_by_signal: bool


async def trade(
    config: WarmupConfig, root: Path, mode: Mode = "paper", *, stop: asyncio.Event
) -> TradeSummary:
    """Trade until ``stop`` is set or a signal comes.

    Raises:
        LiveRefusedError: live, and something that it demands is missing.
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        TraderError: the node did not come up, or could not go on.
    """
    url, state_dir = endpoint(config), config.trade.state_dir
    teller = _Teller(state_dir / f"{mode}.json", mode)
    async with serving(config.trade.http_host, config.trade.http_port, teller.now):
        # The job notes limits on its volume, which we only read; we note ours with our own state.
        await sit_out((root, state_dir), url)
        async with open_client(
            config, on_limit=lambda until_ms: remember_quiet(state_dir, url, until_ms)
        ) as client:
            try:
                await client.sync_clock()
            except WarmupError as error:
                raise TraderError(f"the trader cannot reach its exchange: {error}") from None
            teller.enter("verifying", str(root))
            strategies = make_strategies(config)
            prepare = prepared_for_live if mode == "live" else load_histories
            histories = await prepare(config, root, client)
            runner = _RUNNERS[mode](
                _node_settings(config), strategies, histories, client,
                _policy(config, mode), _instrument_ids(config),
            )  # fmt: skip
            runner.on_report = teller.told
            teller.ask = runner.report
            await runner.run(stop)
    return _summarise(runner, histories)


class _Teller:
    """Says how the trader is: to the status file and to probes."""

    def __init__(self, path: Path, mode: Mode) -> None:
        started_ms = process_started_ms()
        self._path = path
        self._said = Report(
            state="starting", why="", mode=mode, at_ms=now_ms(), since_ms=now_ms(),
            started_ms=started_ms,
        )  # fmt: skip
        self.ask: Callable[[], Report] | None = None
        self.told(self._said)

    def enter(self, state: Literal["verifying"], why: str) -> None:
        """A state before there is a runner."""
        logger.info("{}: {}", state, why)
        said = msgspec.structs.replace(self._said, state=state, why=why, since_ms=now_ms())
        self.told(said)

    def told(self, report: Report) -> None:
        """Leave it in the status file, where that can be."""
        self._said = report
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, msgspec.json.encode(report) + b"\n", aside=self._path.parent)

    def now(self) -> Report:
        """How it is at this moment."""
        if self.ask is not None:
            return self.ask()
        return msgspec.structs.replace(self._said, at_ms=now_ms())


def _node_settings(config: WarmupConfig) -> NodeSettings:
    venue = config.venue
    return NodeSettings(
        market=venue.market,
        environment=venue.environment,
        rest_url=venue.api.base_url,
        ws_url=venue.api.ws_url,
        leverage=venue.trading.leverage,
        starting_balances=config.trade.starting_balances,
        api_key=venue.api.api_key,
        api_secret=venue.api.api_secret,
    )


def _policy(config: WarmupConfig, mode: Mode) -> Policy:
    return Policy(
        on_stop=config.trade.on_stop,
        on_gap=config.trade.on_gap,
        proven=config.warmup.require == "proven",
        state_dir=config.trade.state_dir / mode,
    )


def _instrument_ids(config: WarmupConfig) -> list[InstrumentId]:
    return [InstrumentId.from_str(each) for one in traded(config) for each in one.instrument_ids]


def _summarise(runner: BaseRunner, histories: list[History]) -> TradeSummary:
    regimes = []
    orders, fills, positions = 0, 0, 0
    for strategy in runner.strategies:
        sent = strategy.cache.orders(strategy_id=strategy.id)
        orders += len(sent)
        fills += sum(len(order.trade_ids) for order in sent)
        positions += strategy.cache.positions_open_count(strategy_id=strategy.id)
        detector = getattr(strategy, "detector", None)
        if isinstance(detector, RegimeDetector):
            regimes.append(detector.regime.value)
    report = runner.report()
    return TradeSummary(
        mode=runner.mode,
        warm_start=runner.started_warm,
        history_bars=sum(len(history.bars) for history in histories),
        handed_on=runner.handed_on,
        live_bars=runner.live_bars,
        live_after_s=report.live_after_s,
        regime=", ".join(regimes),
        orders=orders,
        fills=fills,
        positions_open=positions,
        stopped_by_signal=runner.signalled,
    )
