"""What a configuration asks for, in plain values: streams and their pages, a client, a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import ceil, log
from typing import TYPE_CHECKING

import msgspec

from warmup_job.catalog.names import bar_type_name, instrument_id_of
from warmup_job.config import Indicator, WarmupConfig, missing_stream
from warmup_job.config import StreamSection as StreamConfig
from warmup_job.errors import ConfigError
from warmup_job.market.interval import Interval
from warmup_job.market.pages import (
    BOUNDS_ROWS,
    TIME_WEIGHT,
    Page,
    exchange_info_weight,
    page_weight,
    plan_pages,
)
from warmup_job.market.symbol import venue_symbol
from warmup_job.plan.traded import Traded, traded
from warmup_job.proof.bar_counts import FIRST_PAGE_BARS, auto_bar_counts
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.manifest import settings_digest
from warmup_job.snapshot.verify import Requirements

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.market.stream_id import PriceType

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
    bar_counts: tuple[int, ...]
    """The numbers of bars that `auto` may come to."""
    reason: str
    """Why this many, for people."""
    demanded: bool
    """Whether a strategy is warmed with them, so that the policy demands a proof."""
    detector: DetectorSettings | None
    """Whose regime they are to prove; None: no detector of ours takes them."""
    indicators: tuple[Indicator, ...]
    last_open_ms: int
    """Open of the newest kline that is closed by then, UTC ms."""
    pages: tuple[Page, ...]
    bounds_weight: int
    """Request weight of the monthly klines for its lowest and highest price; 0: not needed."""

    @property
    def name(self) -> str:
        """For people: BTCUSDT 1m."""
        mark = " mark" if self.price == "mark" else ""
        return f"{self.symbol} {self.interval.name}{mark}"

    @property
    def needs_bounds(self) -> bool:
        """Whether anything of it can be proven only with the lowest and highest price ever."""
        return bool(self.bounds_weight)

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


@dataclass(frozen=True, slots=True)
class Weights:
    """Request weight of a first run, by what it asks for.

    `auto` fetches more pages where the first do not prove enough, and rows that the venue lacks are
    asked for again.
    """

    time: int
    exchange_info: int
    klines: int
    bounds: int
    """Monthly klines for the lowest and highest price ever."""

    @property
    def total(self) -> int:
        """All together."""
        return self.time + self.exchange_info + self.klines + self.bounds


def weights(config: WarmupConfig, plans: Iterable[StreamPlan]) -> Weights:
    """What a first run spends on ``plans``."""
    planned = list(plans)
    symbols = len({plan.symbol for plan in planned})
    return Weights(
        time=TIME_WEIGHT,
        exchange_info=exchange_info_weight(config.venue.market, symbols),
        klines=sum(plan.weight for plan in planned),
        bounds=sum(plan.bounds_weight for plan in planned),
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


def wanted_streams(config: WarmupConfig) -> tuple[StreamConfig, ...]:
    """The streams of ``warmup.streams``, each once, or else what the strategies need."""
    needed = [
        StreamConfig(symbol=symbol, interval=interval.name)
        for strategy in traded(config)
        for symbol, interval in strategy.streams
    ]
    return tuple(dict.fromkeys(config.warmup.streams or needed))


def plan_streams(config: WarmupConfig, until_ms: int) -> list[StreamPlan]:
    """What to fetch, per stream, before anything is.

    Raises:
        ConfigError: an interval or a kind of price that this market of Binance does not have.
    """
    strategies = traded(config)
    plans: dict[tuple[str, str, str], StreamPlan] = {}
    for stream in wanted_streams(config):
        plan = _plan(config, strategies, stream, until_ms)
        key = (plan.symbol, plan.interval.name, plan.price)
        kept = plans.get(key)
        if kept is None or (kept.auto, kept.bars) < (plan.auto, plan.bars):
            plans[key] = plan  # asked for twice: one serves
    return list(plans.values())


def traded_plans(config: WarmupConfig, until_ms: int) -> list[StreamPlan]:
    """The streams that the strategies are warmed with, whether or not they are among the job's."""
    strategies, plans = traded(config), {}
    for plan in plan_streams(config, until_ms):
        if plan.demanded:
            plans[plan.symbol, plan.interval] = plan
    return [
        plans.get(stream) or _plan(config, strategies, _stream_config(*stream), until_ms)
        for stream in dict.fromkeys(each for strategy in strategies for each in strategy.streams)
    ]


def _stream_config(symbol: str, interval: Interval) -> StreamConfig:
    return StreamConfig(symbol=symbol, interval=interval.name)


def _plan(
    config: WarmupConfig, strategies: list[Traded], stream: StreamConfig, until_ms: int
) -> StreamPlan:
    market, most = config.venue.market, config.warmup.max_bars
    interval, symbol = Interval.parse(stream.interval), venue_symbol(stream.symbol)
    if missing := missing_stream(market, interval.name, stream.price):
        raise ConfigError(f"{symbol}: {missing}")
    name = f"{symbol} {interval.name}"
    grids = [each for each in strategies if each.detector]
    of_symbol = [each for each in grids if symbol in each.symbols]
    detector = next((each.detector for each in (*of_symbol, *grids)), None)
    demanded = stream.price == "last" and (
        bool(of_symbol) or any((symbol, interval) in each.streams for each in strategies)
    )
    if demanded and not of_symbol:
        detector = None  # another one's regime would prove nothing to its strategy
    declared = config.warmup.indicators if demanded else ()
    indicators = tuple(each for each in declared if each.interval == interval.name)
    auto = stream.bars == "auto"
    if detector is not None:
        least = detector.least_bars
    else:
        least = max((each.bars or each.period for each in indicators), default=FIRST_PAGE_BARS)
        if auto and demanded and not indicators and config.warmup.require == "proven":
            raise ConfigError(
                f"{name}: nothing says how many bars its strategy needs: declare its indicators "
                "(warmup.indicators), give it a number (warmup.streams, bars: N), or be content "
                "with 499 (warmup.require: bars)"
            )
    bar_counts = auto_bar_counts(least, most)
    bars = min(max(FIRST_PAGE_BARS, bar_counts[0]), most) if auto else int(stream.bars)
    last_ms = interval.last_closed(until_ms)
    bounded = detector is not None or any(not each.bars for each in indicators)
    return StreamPlan(
        symbol=symbol,
        interval=interval,
        price=stream.price,
        bars=bars,
        auto=auto,
        bar_counts=bar_counts,
        reason=f"auto: {bar_counts[0]} to {most}, until it is proven" if auto else "as configured",
        demanded=demanded,
        detector=detector,
        indicators=indicators,
        last_open_ms=last_ms,
        pages=plan_pages(market, interval, bars, last_ms),
        bounds_weight=page_weight(market, BOUNDS_ROWS[market]) if bounded else 0,
    )


def wanted_of_snapshot(config: WarmupConfig) -> Requirements:
    """What the configured strategies ask of a snapshot that they are to be warmed with."""
    plans = {
        bar_type_name(instrument_id_of(config.venue.market, plan.symbol), plan.interval): plan
        for plan in traded_plans(config, 0)
    }
    proven = config.warmup.require == "proven"
    return Requirements(
        endpoint=endpoint(config),
        bars={name: plan.bar_counts[0] if plan.auto else plan.bars for name, plan in plans.items()},
        certified=frozenset(name for name, plan in plans.items() if proven and plan.detector),
        settings_digest=stream_settings_digest(config),
        nautilus_trader=version("nautilus_trader"),
    )


def stream_settings_digest(config: WarmupConfig) -> str:
    """Digest of what the bars depend on: streams, how many bars, detectors, indicators."""
    streams = [
        (
            (plan.symbol, plan.interval.name, plan.price),
            plan.bar_counts if plan.auto else [plan.bars],
            plan.detector and asdict(plan.detector),
        )
        for plan in plan_streams(config, 0)
    ]
    declared = [msgspec.to_builtins(each) for each in config.warmup.indicators]
    ordered = sorted(streams, key=lambda stream: stream[0])
    return settings_digest({"streams": ordered, "indicators": declared})


def check_network(config: WarmupConfig, *, live_data: bool = False) -> None:
    """Check the proxy variables of the environment, before anything is sent.

    Args:
        live_data: also for the websocket, which must use the same proxy as REST.

    Raises:
        ConfigError: one that can take effect is unusable.
    """
    from warmup_job.binance.endpoints import rest_url, websocket_url
    from warmup_job.binance.proxies import check_proxies, common_proxy

    venue = config.venue
    rest = rest_url(venue.market, venue.environment, venue.api.base_url)
    if not live_data:
        check_proxies([rest])
        return
    stream = websocket_url(venue.market, venue.environment, venue.api.ws_url)
    check_proxies([rest, stream])
    common_proxy(rest, stream)


def open_client(
    config: WarmupConfig,
    *,
    deadline_ms: int | None = None,
    on_limit: Callable[[int], object] = lambda _: None,
) -> BinanceClient:
    """The market that the venue file names, within the budget share and the deadline."""
    from warmup_job.binance.client import BinanceClient
    from warmup_job.binance.endpoints import rest_url

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
    from warmup_job.binance.endpoints import public_url, rest_url

    venue = config.venue
    return public_url(rest_url(venue.market, venue.environment, venue.api.base_url))
