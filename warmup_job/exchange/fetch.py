"""Fetch one stream: exactly the closed klines that were asked for, oldest first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from warmup_job.errors import DataInvalidError, WarmupError
from warmup_job.exchange.client import BinanceClient
from warmup_job.market.gaps import Gap, find_gaps
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline
from warmup_job.market.plan import Page, largest_page, page_weight, plan_pages


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one stream.

    ``from_listing``: the klines reach back to the symbol's first one, so there are no more.
    """

    klines: list[Kline]
    gaps: list[Gap]
    from_listing: bool


async def fetch_last(
    client: BinanceClient,
    symbol: str,
    interval: Interval,
    bars: int,
    until_ms: int,
    progress: Callable[[int], object] = lambda _: None,
) -> Fetched:
    """Fetch the last ``bars`` klines that are closed at ``until_ms`` (exchange's clock).

    Where the venue itself lacks rows, older ones take their place, so that fewer than ``bars`` come
    only for a symbol that is younger. ``progress`` is told of each page's number of rows.

    Raises:
        WarmupError: as `BinanceClient` says; DataInvalidError when the newest rows do not come.
    """
    last_ms = interval.last_closed(until_ms)
    klines = await _fetch_pages(client, symbol, interval, bars, last_ms, progress)
    if not klines or klines[-1].open_ms != last_ms:
        # The venue may be a moment behind its own clock; ask for the end once more.
        await asyncio.sleep(0.5)
        known_ms = klines[-1].open_ms if klines else interval.shift(last_ms, -bars)
        klines += await fetch_range(client, symbol, interval, interval.next(known_ms), last_ms)
    from_listing = False
    while len(klines) < bars and klines:
        missing = bars - len(klines)
        older = await _fetch_pages(
            client, symbol, interval, missing, interval.shift(klines[0].open_ms, -1), progress
        )
        if not older:
            first_ms = await client.first_open_ms(symbol, interval)
            if first_ms is None or first_ms >= klines[0].open_ms:
                from_listing = True
                break
            raise DataInvalidError(
                f"{symbol} {interval.name}: nothing came before {klines[0].open_ms}, "
                f"yet the venue's history begins at {first_ms}"
            )
        klines = older + klines
    if holes := find_gaps(klines, interval):
        klines = await _ask_again(client, symbol, interval, klines, holes)
    klines = klines[-bars:]
    gaps = find_gaps(klines, interval)
    if klines and klines[-1].open_ms != last_ms:
        missing_ms = interval.next(klines[-1].open_ms)
        gaps.append(Gap(missing_ms, last_ms, interval.count(missing_ms, last_ms)))
    return Fetched(klines, gaps, from_listing)


async def fetch_range(
    client: BinanceClient, symbol: str, interval: Interval, first_ms: int, last_ms: int
) -> list[Kline]:
    """Fetch the klines that open from ``first_ms`` to ``last_ms``, as far as the venue has them."""
    wanted = interval.count(first_ms, last_ms)
    return await _fetch_pages(client, symbol, interval, wanted, last_ms, lambda _: None)


async def _fetch_pages(
    client: BinanceClient,
    symbol: str,
    interval: Interval,
    bars: int,
    last_ms: int,
    progress: Callable[[int], object],
) -> list[Kline]:
    async def fetch(page: Page) -> list[Kline]:
        rows = await client.klines(symbol, interval, page)
        progress(len(rows))
        return rows

    pages = plan_pages(client.market, interval, bars, last_ms)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fetch(page)) for page in pages]
    except* WarmupError as failed:
        error = failed.exceptions[0]
    else:
        return [kline for task in tasks for kline in task.result()]
    raise error


async def _ask_again(
    client: BinanceClient, symbol: str, interval: Interval, klines: list[Kline], holes: list[Gap]
) -> list[Kline]:
    """A hole is asked for once more; what is missing then is the venue's own gap."""
    for gap in holes:
        rows = min(gap.bars, largest_page(client.market))
        page = Page(gap.first_ms, gap.last_ms, rows, page_weight(client.market, rows))
        klines = klines + await client.klines(symbol, interval, page)
    return sorted(klines)
