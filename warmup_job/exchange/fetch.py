"""Fetch one stream: exactly the closed klines that were asked for."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field

from warmup_job.errors import WarmupError
from warmup_job.exchange.client import BinanceClient, PriceType
from warmup_job.market.gaps import Gap, find_gaps
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline, Klines, join_klines
from warmup_job.market.plan import Page, largest_page, page_weight, plan_pages

_VENUE_LAG_S = (0.5, 1.0, 2.0)  # how long REST may be behind the venue's own clock


@dataclass(frozen=True, slots=True)
class Stream:
    """What is asked for: the venue's symbol, an interval, last or mark prices."""

    symbol: str
    interval: Interval
    price: PriceType = "last"


@dataclass(slots=True)
class Fetched[PackedT]:
    """What came of one stream.

    ``parts`` are the packed pages, in no order; together they hold at least the klines that open at
    ``opens_ms`` (ascending), and those are their last ones. ``from_listing``: the klines reach back
    to the symbol's first one, so there are no more.
    """

    opens_ms: array[int] = field(default_factory=lambda: array("q"))
    parts: list[PackedT] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    from_listing: bool = False


async def fetch_last[PackedT](
    client: BinanceClient,
    stream: Stream,
    bars: int,
    until_ms: int,
    pack: Callable[[Klines], PackedT],
    progress: Callable[[int], object] = lambda _: None,
) -> Fetched[PackedT]:
    """Fetch the last ``bars`` klines that are closed at ``until_ms`` (exchange's clock, UTC ms).

    Where the venue itself lacks rows, older ones take their place, so that fewer than ``bars`` come
    only for a symbol that is younger. Each page is packed as it comes, so that memory holds the
    packed form only; ``progress`` is told its number of rows.

    Raises:
        WarmupError: as `BinanceClient` says.
    """
    interval = stream.interval
    fetched: Fetched[PackedT] = Fetched()

    async def fetch(page: Page) -> None:
        klines = await client.klines(stream.symbol, interval, page, stream.price)
        if klines:
            fetched.parts.append(pack(klines))
            fetched.opens_ms.extend(klines.open_ms)
        progress(len(klines))

    async def fetch_bars(count: int, last_ms: int) -> None:
        await _all(fetch(page) for page in plan_pages(client.market, interval, count, last_ms))
        fetched.opens_ms = array("q", sorted(fetched.opens_ms))

    last_ms = interval.last_closed(until_ms)
    await fetch_bars(bars, last_ms)
    await _await_newest(fetched, fetch_bars, interval, bars, last_ms)
    while fetched.opens_ms and len(fetched.opens_ms) < bars:
        oldest_ms = fetched.opens_ms[0]
        # By its end alone: the latest rows before it, however long the venue's hole there is.
        rows = min(bars - len(fetched.opens_ms), largest_page(client.market))
        await fetch(Page(None, oldest_ms - 1, rows, page_weight(client.market, rows)))
        fetched.opens_ms = array("q", sorted(fetched.opens_ms))
        if fetched.opens_ms[0] == oldest_ms:
            fetched.from_listing = True
            break
    for hole in find_gaps(fetched.opens_ms, interval):  # asked for once more before it is believed
        rows = min(hole.bars, largest_page(client.market))
        await fetch(Page(hole.first_ms, hole.last_ms, rows, page_weight(client.market, rows)))
    fetched.opens_ms = array("q", sorted(fetched.opens_ms))[-bars:]
    fetched.gaps = find_gaps(fetched.opens_ms, interval)
    if fetched.opens_ms and fetched.opens_ms[-1] != last_ms:
        missing_ms = interval.next(fetched.opens_ms[-1])
        fetched.gaps.append(Gap(missing_ms, last_ms, interval.count(missing_ms, last_ms)))
    return fetched


async def _await_newest[PackedT](
    fetched: Fetched[PackedT],
    fetch_bars: Callable[[int, int], Awaitable[None]],
    interval: Interval,
    bars: int,
    last_ms: int,
) -> None:
    """The venue may be a moment behind its own clock: ask for the end again."""
    for wait_s in _VENUE_LAG_S:
        newest_ms = fetched.opens_ms[-1] if fetched.opens_ms else interval.shift(last_ms, -bars)
        if newest_ms == last_ms:
            return
        await asyncio.sleep(wait_s)
        await fetch_bars(interval.count(interval.next(newest_ms), last_ms), last_ms)


async def fetch_klines(
    client: BinanceClient, stream: Stream, bars: int, until_ms: int
) -> tuple[list[Kline], bool]:
    """`fetch_last` as plain klines, ascending, and whether they reach back to the listing."""
    fetched = await fetch_last(client, stream, bars, until_ms, lambda klines: klines)
    return join_klines(fetched.parts, len(fetched.opens_ms)), fetched.from_listing


async def fetch_range(
    client: BinanceClient, stream: Stream, first_ms: int, last_ms: int
) -> list[Kline]:
    """Fetch the klines that open from ``first_ms`` to ``last_ms``, as far as the venue has them."""
    parts: list[Klines] = []

    async def fetch(page: Page) -> None:
        parts.append(await client.klines(stream.symbol, stream.interval, page, stream.price))

    wanted = stream.interval.count(first_ms, last_ms)
    await _all(fetch(page) for page in plan_pages(client.market, stream.interval, wanted, last_ms))
    return join_klines(parts, wanted)


async def _all(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Run coroutines together; the first error of ours ends them all, and is raised as it is."""
    failure: WarmupError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except* WarmupError as failed:
        failure = next(error for error in failed.exceptions if isinstance(error, WarmupError))
    if failure is not None:
        raise failure
