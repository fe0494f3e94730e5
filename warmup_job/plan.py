"""What a configuration asks for, in plain values: streams and their pages, a client, a detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import ceil, log
from typing import TYPE_CHECKING

import msgspec

from warmup_job.config import Indicator, StrategyFile, WarmupConfig
from warmup_job.config import Stream as StreamConfig
from warmup_job.errors import ConfigError, RefusedError
from warmup_job.market.interval import Interval
from warmup_job.market.plan import Page, plan_pages
from warmup_job.market.symbol import venue_symbol
from warmup_job.nautilus.names import bar_type_name, instrument_id_of
from warmup_job.regime.detector import DetectorSettings
from warmup_job.regime.rungs import FIRST_PAGE_BARS, rungs
from warmup_job.snapshot.manifest import settings_digest
from warmup_job.snapshot.verify import Wanted

if TYPE_CHECKING:
    from warmup_job.exchange.client import BinanceClient, PriceType

STRATEGY_INTERVAL = "1m"
"""What HedgeGridV1 is run on, as by naut_hedgegrid."""
_BYTES_PER_BAR, _BYTES_PER_STREAM = 45, 16_000  # measured on recorded klines
_ROUND_TRIP_S, _PAGES_AT_ONCE = 0.1, 16


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What one stream takes: its pages up to the newest kline that is closed by then."""

    symbol: str
    interval: Interval
    price: PriceType
    bars: int
    """How many; of `auto` how many are fetched to begin with."""
    auto: bool
    ladder: tuple[int, ...]
    """The numbers of bars that `auto` may come to."""
    reason: str
    """Why this many, for people."""
    demanded: bool
    """Whether the strategy's detector is warmed with them, so that the policy demands a proof."""
    indicators: tuple[Indicator, ...]
    last_open_ms: int
    """Open of the newest kline that is closed by then, UTC ms."""
    pages: tuple[Page, ...]

    @property
    def name(self) -> str:
        """For people: BTCUSDT 1m."""
        mark = " mark" if self.price == "mark" else ""
        return f"{self.symbol} {self.interval.name}{mark}"

    @property
    def weight(self) -> int:
        """Request weight of its kline pages."""
        return sum(page.weight for page in self.pages)

    @property
    def first_open_ms(self) -> int:
        """Open of the oldest kline that is asked for, UTC ms."""
        return self.pages[0].start_ms or 0

    @property
    def disk_bytes(self) -> int:
        """About how much it takes on the volume."""
        return self.bars * _BYTES_PER_BAR + _BYTES_PER_STREAM

    def seconds(self, weight_per_minute: int) -> float:
        """About how long its pages take, alone, within the budget and 100 ms from the venue."""
        waits = 60.0 * max(0, ceil(self.weight / weight_per_minute) - 1)
        return waits + _ROUND_TRIP_S * ceil(len(self.pages) / _PAGES_AT_ONCE)


def detector_settings(config: WarmupConfig) -> DetectorSettings:
    """The strategy file's regime section as the detector takes it."""
    return settings_of(config.strategy)


def settings_of(strategy: StrategyFile) -> DetectorSettings:
    """A strategy file's regime section as the detector takes it."""
    regime = strategy.regime
    return DetectorSettings(
        ema_fast=regime.ema_fast,
        ema_slow=regime.ema_slow,
        adx_len=regime.adx_len,
        atr_len=regime.atr_len,
        hysteresis_bps=regime.hysteresis_bps,
    )


def memory_text(settings: DetectorSettings) -> str:
    """How long each average remembers, for people: until a millionth of what was before is left.

    An EMA of n bars keeps 1 − 2/(n+1) of it at each bar, Wilder's average (n−1)/n.
    """
    kept = {
        f"fast EMA {settings.ema_fast}": 1 - 2 / (settings.ema_fast + 1),
        f"slow EMA {settings.ema_slow}": 1 - 2 / (settings.ema_slow + 1),
        f"ADX {settings.adx_len}": 1 - 1 / settings.adx_len,
        f"ATR {settings.atr_len}": 1 - 1 / settings.atr_len,
    }
    spans = {name: ceil(log(1e-6) / log(left)) if left else 1 for name, left in kept.items()}
    listed = ", ".join(f"{name} {bars} bars" for name, bars in spans.items())
    return f"until a millionth of what was before is left: {listed}"


def weight_budget(config: WarmupConfig) -> int:
    """What a run may spend a minute."""
    return max(1, int(config.venue.rate_limits.weight_per_minute * config.warmup.budget_share))


def strategy_instrument_id(config: WarmupConfig) -> str:
    """The Nautilus id of what the strategy trades.

    Raises:
        ConfigError: the strategy file names an instrument of another market than the venue's.
    """
    written = config.strategy.strategy.instrument_id
    traded = instrument_id_of(config.venue.market, venue_symbol(written))
    if "." in written and written.rpartition(".")[0] != traded.rpartition(".")[0]:
        raise ConfigError(
            f"strategy.instrument_id {written} is not of the venue's market: there it is {traded}"
        )
    return traded


def wanted_streams(config: WarmupConfig) -> tuple[StreamConfig, ...]:
    """The streams of ``warmup.streams``, each once, or else what the strategy needs."""
    symbol = venue_symbol(strategy_instrument_id(config))
    needed = StreamConfig(symbol=symbol, interval=STRATEGY_INTERVAL)
    return tuple(dict.fromkeys(config.warmup.streams)) or (needed,)


def plan_streams(config: WarmupConfig, until_ms: int) -> list[StreamPlan]:
    """What to fetch, per stream, before anything is.

    Raises:
        RefusedError: an interval or a kind of price that this market of Binance does not have.
    """
    plans: dict[tuple[str, str, str], StreamPlan] = {}
    for stream in wanted_streams(config):
        plan = _plan(config, stream, until_ms)
        key = (plan.symbol, plan.interval.name, plan.price)
        kept = plans.get(key)
        if kept is None or (kept.auto, kept.bars) < (plan.auto, plan.bars):
            plans[key] = plan  # asked for twice: one serves
    return list(plans.values())


def strategy_plan(config: WarmupConfig, until_ms: int) -> StreamPlan:
    """The stream that the strategy trades on, whether or not it is among those of the job."""
    traded = venue_symbol(strategy_instrument_id(config))
    for plan in plan_streams(config, until_ms):
        if plan.demanded and plan.interval.name == STRATEGY_INTERVAL:
            return plan
    return _plan(config, StreamConfig(symbol=traded, interval=STRATEGY_INTERVAL), until_ms)


def _plan(config: WarmupConfig, stream: StreamConfig, until_ms: int) -> StreamPlan:
    market, most = config.venue.market, config.warmup.max_bars
    interval, symbol = Interval.parse(stream.interval), venue_symbol(stream.symbol)
    if market == "spot" and stream.price == "mark":
        raise RefusedError(f"{symbol}: spot has no mark prices; write price: last")
    if market == "um" and interval.name == "1s":
        raise RefusedError(f"{symbol}: futures have no interval 1s, only spot; the next is 1m")
    ladder = rungs(detector_settings(config), most)
    auto = stream.bars == "auto"
    bars = min(max(FIRST_PAGE_BARS, ladder[0]), most) if auto else int(stream.bars)
    traded = venue_symbol(strategy_instrument_id(config))
    demanded = (symbol, stream.price) == (traded, "last")
    declared = config.warmup.indicators if demanded else ()
    last_ms = interval.last_closed(until_ms)
    return StreamPlan(
        symbol=symbol,
        interval=interval,
        price=stream.price,
        bars=bars,
        auto=auto,
        ladder=ladder,
        reason=f"auto: {ladder[0]} to {most}, until it is proven" if auto else "as configured",
        demanded=demanded,
        indicators=tuple(each for each in declared if each.interval == interval.name),
        last_open_ms=last_ms,
        pages=plan_pages(market, interval, bars, last_ms),
    )


def wanted_of_snapshot(config: WarmupConfig) -> Wanted:
    """What the configured strategy asks of a snapshot that it is to be warmed with."""
    plan = strategy_plan(config, 0)
    bar_type = bar_type_name(strategy_instrument_id(config), plan.interval)
    return Wanted(
        endpoint=endpoint(config),
        bars={bar_type: plan.ladder[0] if plan.auto else plan.bars},
        certified=config.warmup.require == "proven",
        settings_digest=stream_settings_digest(config),
        nautilus_trader=version("nautilus_trader"),
    )


def stream_settings_digest(config: WarmupConfig) -> str:
    """Digest of what the bars depend on: which streams, how many bars, the detector's settings."""
    plans = plan_streams(config, 0)
    streams = [
        (plan.symbol, plan.interval.name, plan.price, plan.ladder if plan.auto else [plan.bars])
        for plan in plans
    ]
    declared = [msgspec.to_builtins(each) for each in config.warmup.indicators]
    detector = asdict(detector_settings(config))
    return settings_digest(
        {"streams": sorted(streams), "detector": detector, "indicators": declared}
    )


def open_client(
    config: WarmupConfig,
    *,
    deadline_ms: int | None = None,
    on_limit: Callable[[int], object] = lambda _: None,
) -> BinanceClient:
    """The market that the venue file names, within the budget share and the deadline."""
    from warmup_job.exchange.client import BinanceClient
    from warmup_job.exchange.endpoints import rest_url

    venue = config.venue
    return BinanceClient(
        venue.market,
        rest_url(venue.market, venue.environment, venue.api.base_url),
        weight_per_minute=weight_budget(config),
        deadline_ms=config.warmup.deadline_ms if deadline_ms is None else deadline_ms,
        on_limit=on_limit,
    )


def endpoint(config: WarmupConfig) -> str:
    """The REST base of the venue file, without credentials: what snapshots are told apart by."""
    from warmup_job.exchange.endpoints import public_url, rest_url

    venue = config.venue
    return public_url(rest_url(venue.market, venue.environment, venue.api.base_url))
