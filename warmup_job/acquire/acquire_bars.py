"""Acquire one stream's bars, for the job and the trader: fetch, judge, fetch more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from warmup_job.acquire.bar_collector import BarCollector
from warmup_job.acquire.judge import Verdict, judge, most_judged
from warmup_job.acquire.reuse import ASKED_AGAIN, ReusableBars
from warmup_job.binance.fetch import fetch_extremes
from warmup_job.catalog.packed_bars import BarSeries, PackedBars, float_columns, pack
from warmup_job.errors import RateLimitedError, WarmupError
from warmup_job.market.kline import Klines
from warmup_job.market.rows import Gap, find_gaps
from warmup_job.market.times import utc_text
from warmup_job.plan.stream_pages import pages_at
from warmup_job.plan.stream_plan import StreamPlan

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.market.interval import Interval
    from warmup_job.proof.window import Bounds, Window


class AcquiredBars(msgspec.Struct, frozen=True):
    """The bars of one stream, and what is proven of them."""

    bars: BarSeries
    """Empty if Binance has no closed kline of the stream."""
    gaps: list[Gap]
    """The bars that Binance itself lacks."""
    from_listing: bool
    """Whether the bars are the symbol's whole history."""
    off_grid_ms: int | None
    """Open time of the kline off the interval's grid that the bars follow, UTC ms; None: none."""
    verdict: Verdict


async def acquire_bars(
    client: BinanceClient,
    plan: StreamPlan,
    until_ms: int,
    *,
    reusable: ReusableBars | None = None,
    store: Callable[[Klines], PackedBars] = pack,
    progress: Callable[[int], object] = lambda _: None,
) -> AcquiredBars:
    """Fetch the newest bars, judge them, and fetch older ones until they are enough.

    Args:
        client: the open client; its clock is synchronised.
        plan: how many bars to fetch, and what they must prove.
        until_ms: bars that closed by then count, UTC ms.
        reusable: stored bars to continue; the result is the same as without them, unless Binance
            has changed bars that are older than those it is asked for again.
        store: packs the klines of one page, in memory or on disk.
        progress: called with the number of rows of each page.

    Returns:
        The newest bars, as many as the verdict says, or all that Binance has. Where Binance lacks
        bars, older ones take their place.

    Raises:
        WarmupError: as `BinanceClient`; RateLimitedError also for the price bounds.
    """
    stream, interval = plan.stream, plan.stream.interval
    last_ms = interval.last_closed(until_ms)
    async with _at_the_same_time(_price_extremes(client, plan, reusable)) as asked_extremes:
        collector = BarCollector(client, stream, last_ms, store, progress)
        if reusable is not None:
            logger.info(
                "{stream}: reusing {bars} stored bars; fetching those that have closed since",
                event="bars.reused",
                stream=stream,
                bars=reusable.kept.rows,
            )
            progress(reusable.kept.rows)
            first_ms = reusable.asked_again.first_ms
            await collector.fetch_newest(interval.count(first_ms, last_ms))
            if first_ms in reusable.changed(collector.series()):
                reusable = None  # Binance may have changed any number of bars before it
                collector = BarCollector(client, stream, last_ms, store, progress)
            else:
                collector.add(reusable.kept, from_listing=reusable.from_listing)
        else:
            _log_pages(client, plan, until_ms)
        if reusable is None:
            await collector.fetch_newest(plan.bars)
        wanted = plan.bars
        while True:
            await collector.fetch_older(wanted)
            await collector.fetch_missing()
            fetched = collector.series()
            whole = collector.from_listing and fetched.rows <= most_judged(plan)
            extremes = None if whole or not fetched.rows else await asked_extremes
            if isinstance(extremes, RateLimitedError):
                raise extremes
            window = _window(fetched.last(most_judged(plan)))
            verdict = judge(plan, window, extremes, from_listing=whole)
            if verdict.bars <= wanted or collector.is_complete:
                break
            wanted = verdict.bars
    changed = reusable.changed(fetched) if reusable is not None else []
    if changed:
        logger.warning(
            "{stream}: Binance changed {changed} of the last {compared} bars since the last "
            "snapshot (first {first}); using the new values",
            event="bars.revised",
            stream=stream,
            changed=len(changed),
            compared=ASKED_AGAIN,
            first=utc_text(changed[0]),
        )
    bars = fetched.last(verdict.bars)
    return AcquiredBars(
        bars,
        _gaps(bars, interval, last_ms),
        from_listing=collector.from_listing and fetched.rows < verdict.bars,
        off_grid_ms=collector.off_grid_ms,
        verdict=verdict,
    )


@asynccontextmanager
async def _at_the_same_time[T](work: Coroutine[None, None, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run ``work`` beside what is done within, and cancel it afterwards if it is not needed."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _price_extremes(
    client: BinanceClient, plan: StreamPlan, reusable: ReusableBars | None
) -> Bounds | WarmupError | None:
    """Return the symbol's lowest and highest price, or why they are unknown; None: not needed."""
    if not plan.needs_bounds:
        return None
    try:
        if reusable is not None and reusable.certificate is not None:
            low, high = reusable.certificate.lowest, reusable.certificate.highest
        else:
            low, high = map(float, await fetch_extremes(client, plan.stream))
    except WarmupError as error:
        return error
    from warmup_job.proof.window import Bounds

    return Bounds(low, high)


def _window(bars: BarSeries) -> Window | None:
    from warmup_job.proof.window import Window

    if not bars.rows:
        return None
    return Window.of(*float_columns(bars.tables(), ("high", "low", "close")))


def _gaps(bars: BarSeries, interval: Interval, last_ms: int) -> list[Gap]:
    """Return the gaps between the bars, and the one from the newest bar to ``last_ms``."""
    gaps = find_gaps(bars.opens_ms, interval)
    if bars.rows and bars.last_ms != last_ms:
        missing_ms = interval.next(bars.last_ms)
        gaps.append(Gap(missing_ms, last_ms, interval.count(missing_ms, last_ms)))
    return gaps


def _log_pages(client: BinanceClient, plan: StreamPlan, until_ms: int) -> None:
    pages = pages_at(plan, client.market, until_ms)
    logger.info(
        "{stream}: fetching {bars} bars in {pages} page(s), weight {weight}",
        event="bars.fetching",
        stream=plan.stream,
        bars=plan.bars,
        pages=len(pages.pages),
        weight=pages.weight,
    )
