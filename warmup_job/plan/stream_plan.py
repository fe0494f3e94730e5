"""One stream of a run: how many bars it takes, and what must be proven of them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from warmup_job.config import StreamSection, WarmupConfig, missing_stream
from warmup_job.errors import ConfigError
from warmup_job.market.interval import Interval
from warmup_job.market.stream_id import StreamId
from warmup_job.market.symbol import venue_symbol
from warmup_job.plan.strategy_plan import StrategyPlan
from warmup_job.plan.venue_plan import VenuePlan
from warmup_job.proof.bar_counts import FIRST_PAGE_BARS, auto_bar_counts
from warmup_job.regime.detector import DetectorSettings

_BYTES_PER_BAR, _BYTES_PER_STREAM = 45, 16_000  # measured on recorded klines


class DeclaredIndicator(msgspec.Struct, frozen=True):
    """An indicator that ``warmup.indicators`` declares for this stream."""

    kind: str
    period: int
    """Bars."""
    bars: int
    """How many bars it needs; 0: as many as its kind and the prices demand."""


class StreamPlan(msgspec.Struct, frozen=True):
    """What one stream takes, whatever the time is."""

    stream: StreamId
    bars: int
    """How many bars to have; with `auto` how many to fetch first."""
    auto: bool
    """Whether more bars are fetched until the detector's output is proven."""
    bar_counts: tuple[int, ...]
    """The numbers of bars that `auto` may end with, ascending."""
    reason: str
    """Why this many bars, for people."""
    needs_proof: bool
    """Whether a strategy is warmed with the stream and ``warmup.require`` is ``proven``."""
    detector: DetectorSettings | None
    """The detector whose regime the bars must prove; None: no HedgeGridV1 uses them."""
    indicators: tuple[DeclaredIndicator, ...]
    needs_bounds: bool
    """Whether a proof needs the symbol's lowest and highest price ever."""

    @property
    def disk_bytes(self) -> int:
        """Estimated size on the volume."""
        return self.bars * _BYTES_PER_BAR + _BYTES_PER_STREAM


def plan_listed_streams(
    config: WarmupConfig, venue: VenuePlan, strategies: Iterable[StrategyPlan]
) -> tuple[StreamPlan, ...]:
    """Plan the streams of ``warmup.streams``; without any, those that the strategies need.

    Of a stream that is listed twice the larger request counts.

    Raises:
        ConfigError: Binance does not have such a stream, or nothing says how many bars it takes.
    """
    strategies = tuple(strategies)
    listed = config.warmup.streams or [
        _section(stream) for strategy in strategies for stream in strategy.streams
    ]
    plans: dict[StreamId, StreamPlan] = {}
    for section in dict.fromkeys(listed):
        plan = _plan(config, venue, strategies, section)
        other = plans.get(plan.stream)
        if other is None or (other.auto, other.bars) < (plan.auto, plan.bars):
            plans[plan.stream] = plan
    return tuple(plans.values())


def plan_strategy_streams(
    config: WarmupConfig,
    venue: VenuePlan,
    strategies: Iterable[StrategyPlan],
    listed: Iterable[StreamPlan],
) -> tuple[StreamPlan, ...]:
    """Plan the streams that the strategies need, whether or not they are listed.

    Args:
        config: the configuration.
        venue: its venue.
        strategies: its strategies.
        listed: what `plan_listed_streams` returned; a plan that is there is used.

    Raises:
        ConfigError: as `plan_listed_streams`.
    """
    strategies, plans = tuple(strategies), {plan.stream: plan for plan in listed}
    needed = dict.fromkeys(stream for strategy in strategies for stream in strategy.streams)
    return tuple(
        plans.get(stream) or _plan(config, venue, strategies, _section(stream)) for stream in needed
    )


def _section(stream: StreamId) -> StreamSection:
    return StreamSection(symbol=stream.symbol, interval=stream.interval.name)


def _plan(
    config: WarmupConfig,
    venue: VenuePlan,
    strategies: tuple[StrategyPlan, ...],
    section: StreamSection,
) -> StreamPlan:
    most, proven = config.warmup.max_bars, config.warmup.require == "proven"
    interval, symbol = Interval.parse(section.interval), venue_symbol(section.symbol)
    if missing := missing_stream(venue.market, interval.name, section.price):
        raise ConfigError(f"{symbol}: {missing}")
    stream = StreamId(symbol, interval, section.price)
    grids = [each for each in strategies if each.detector]
    of_symbol = [each for each in grids if symbol in each.symbols]
    detector = next((each.detector for each in (*of_symbol, *grids)), None)
    warms_strategy = stream.price == "last" and (
        bool(of_symbol) or any(stream in each.streams for each in strategies)
    )
    if warms_strategy and not of_symbol:
        detector = None  # the regime of another strategy would prove nothing to this stream's
    indicators = tuple(
        DeclaredIndicator(each.kind, each.period, each.bars)
        for each in config.warmup.indicators
        if warms_strategy and each.interval == interval.name
    )
    auto = section.bars == "auto"
    if detector is not None:
        least = detector.least_bars
    else:
        least = max((each.bars or each.period for each in indicators), default=FIRST_PAGE_BARS)
        if auto and warms_strategy and not indicators and proven:
            raise ConfigError(
                f"{symbol} {interval.name}: it is unknown how many bars its strategy needs: "
                "declare its indicators (warmup.indicators), set a number of bars "
                "(warmup.streams, bars: N), or accept 499 bars (warmup.require: bars)"
            )
    counts = auto_bar_counts(least, most)
    judged = detector is not None or bool(indicators)
    needs = f"auto: {counts[0]} to {most}, until it is proven" if judged else f"auto: {counts[0]}"
    return StreamPlan(
        stream=stream,
        bars=min(max(FIRST_PAGE_BARS, counts[0]), most) if auto else int(section.bars),
        auto=auto,
        bar_counts=counts,
        reason=needs if auto else "as configured",
        needs_proof=warms_strategy and proven,
        detector=detector,
        indicators=indicators,
        needs_bounds=detector is not None or any(not each.bars for each in indicators),
    )
