"""Fetch one stream: exactly the closed klines that were asked for."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from warmup_job.errors import DataInvalidError, WarmupError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import BarValues, Kline, Klines, bar_values, join_klines
from warmup_job.market.pages import BOUNDS_ROWS, Page, largest_page, page_weight, plan_pages
from warmup_job.market.rows import Gap, find_gaps, odd_kline
from warmup_job.market.stream_id import StreamId

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_VENUE_LAG_S = (0.5, 1.0, 2.0)  # how long REST may be behind the venue's own clock


@dataclass(frozen=True, slots=True)
class Known[PackedT]:
    """What an earlier fetch brought, to go on from.

    ``kept`` are the packed klines of ``opens_ms`` (ascending), which are not asked for again;
    ``last`` the values of those that follow, by when they open, which are: the venue may have
    revised them. ``from_listing``: there is nothing older.
    """

    opens_ms: Sequence[int]
    kept: Sequence[PackedT]
    last: Mapping[int, BarValues]
    from_listing: bool = False


@dataclass(slots=True)
class Fetched[PackedT]:
    """What came of one stream.

    ``parts`` are the packed pages, in no order; together they hold at least the klines that open at
    ``opens_ms`` (ascending), and those are their last ones. ``from_listing``: the klines reach back
    to the symbol's first one, so there are no more. ``revised``: the opens of klines whose values
    are others than they were known to be. ``odd_ms``: when the newest kline opened that does not
    open on the interval's grid (`Klines.odd_ms`); the klines begin after it.
    """

    opens_ms: array[int] = field(default_factory=lambda: array("q"))
    parts: list[PackedT] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    from_listing: bool = False
    revised: list[int] = field(default_factory=list)
    odd_ms: int | None = None


async def fetch_last[PackedT](
    client: BinanceClient,
    stream: StreamId,
    bars: int,
    until_ms: int,
    pack: Callable[[Klines], PackedT],
    progress: Callable[[int], object] = lambda _: None,
    known: Known[PackedT] | None = None,
    enough: Callable[[Fetched[PackedT]], Awaitable[int]] | None = None,
) -> Fetched[PackedT]:
    """Fetch the last ``bars`` klines that are closed at ``until_ms`` (exchange's clock, UTC ms).

    Where the venue itself lacks rows, older ones take their place, so that fewer than ``bars`` come
    only for a symbol that is younger. Each page is packed as it comes, so that memory holds the
    packed form only; ``progress`` is told its number of rows.

    With ``known`` (whose last kline must not open later than the newest that is wanted) only what
    has closed since is fetched, and the last known ones again. The result is the same as without
    it, unless the venue has revised older ones than these; so if even the oldest of them is another
    one now, everything is fetched.

    ``enough`` judges what came: it says how many bars it takes. If that is more, older ones are
    fetched too, and it is asked again, until it is not more, or there are no more; then the last
    ones of that number are what is returned.

    Raises:
        WarmupError: as `BinanceClient` says.
    """
    interval, last_ms = stream.interval, stream.interval.last_closed(until_ms)
    fetching = _Fetching(client, stream, pack, progress, dict(known.last) if known else {})
    if known is None:
        await fetching.newest(bars, last_ms)
    else:
        oldest_ms = min(known.last)
        await fetching.newest(interval.count(oldest_ms, last_ms), last_ms)
        if oldest_ms in fetching.revised:
            return await fetch_last(client, stream, bars, until_ms, pack, progress, None, enough)
        fetching.take_over(known)
    while True:
        await fetching.older(bars)
        await fetching.holes()
        wanted = await enough(fetching.last(None, last_ms)) if enough else bars
        if wanted <= bars or fetching.at_listing:
            return fetching.last(wanted, last_ms)
        bars = wanted


class _Fetching[PackedT]:
    """The pages of one stream as they come, each packed at once."""

    def __init__(
        self,
        client: BinanceClient,
        stream: StreamId,
        pack: Callable[[Klines], PackedT],
        progress: Callable[[int], object],
        believed: dict[int, BarValues],
    ) -> None:
        self._client = client
        self._stream = stream
        self._pack = pack
        self._progress = progress
        self._believed = believed
        """What klines are thought to be, by their opens; those that are not come as `revised`."""
        self._pages: list[array[int]] = []
        self._asked_again: set[Gap] = set()
        self.parts: list[PackedT] = []
        self.revised: set[int] = set(believed)
        self.at_listing = False
        """Whether there are no older ones; or none that open on the grid."""
        self.odd_ms: int | None = None

    def opens_ms(self) -> array[int]:
        """Of all that came and can be used, ascending."""
        joined = array("q")
        for page in sorted(self._pages, key=lambda opens: opens[0]):
            if joined and page[0] < joined[-1]:  # inside another page's hole
                joined = array("q", sorted((*joined, *page)))
            else:
                joined.extend(page)
        if self.odd_ms is not None:
            joined = joined[bisect_right(joined, self.odd_ms) :]
        self._pages = [joined] if joined else []
        return joined

    def take_over(self, known: Known[PackedT]) -> None:
        """Put in what need not be fetched."""
        if known.opens_ms:
            self._pages.append(array("q", known.opens_ms))
            self.parts.extend(known.kept)
        self.at_listing = known.from_listing

    def last(self, bars: int | None, last_ms: int) -> Fetched[PackedT]:
        """The last ``bars`` of what came, or all of it."""
        interval, opens_ms = self._stream.interval, self.opens_ms()
        had = len(opens_ms)
        opens_ms = opens_ms if bars is None else opens_ms[-bars:]
        gaps = find_gaps(opens_ms, interval)
        if opens_ms and opens_ms[-1] != last_ms:
            missing_ms = interval.next(opens_ms[-1])
            gaps.append(Gap(missing_ms, last_ms, interval.count(missing_ms, last_ms)))
        return Fetched(
            opens_ms,
            list(self.parts),
            gaps,
            from_listing=(self.at_listing and self.odd_ms is None and (bars is None or had < bars)),
            revised=sorted(self.revised),
            odd_ms=self.odd_ms,
        )

    async def newest(self, bars: int, last_ms: int) -> None:
        """The ``bars`` klines up to the one at ``last_ms``, as far as the venue has them."""
        interval = self._stream.interval
        await self._plan(bars, last_ms)
        for wait_s in _VENUE_LAG_S:  # the venue may be a moment behind its own clock
            opens_ms = self.opens_ms()
            newest_ms = opens_ms[-1] if opens_ms else interval.shift(last_ms, -bars)
            if newest_ms == last_ms:
                return
            await asyncio.sleep(wait_s)
            await self._plan(interval.count(interval.next(newest_ms), last_ms), last_ms)

    async def older(self, bars: int) -> None:
        """Older ones, until there are ``bars`` in all or the venue has no more."""
        largest = largest_page(self._client.market)
        while not self.at_listing and 0 < (have := len(self.opens_ms())) < bars:
            oldest_ms = self.opens_ms()[0]
            if bars - have > largest:
                await self._plan(bars - have, self._stream.interval.shift(oldest_ms, -1))
            if self.opens_ms()[0] == oldest_ms:
                # By its end alone: the latest rows before it, however long the venue's hole there.
                rows = min(bars - have, largest)
                await self._ask(Page(None, oldest_ms - 1, rows, self._weight(rows)))
            self.at_listing = self.opens_ms()[0] == oldest_ms

    async def holes(self) -> None:
        """What is missing in between, asked for once more before it is believed."""
        for hole in find_gaps(self.opens_ms(), self._stream.interval):
            if hole in self._asked_again:
                continue
            self._asked_again.add(hole)
            rows = min(hole.bars, largest_page(self._client.market))
            await self._ask(Page(hole.first_ms, hole.last_ms, rows, self._weight(rows)))

    async def _plan(self, bars: int, last_ms: int) -> None:
        pages = plan_pages(self._client.market, self._stream.interval, bars, last_ms)
        await _all(self._ask(page) for page in pages)

    async def _ask(self, page: Page) -> None:
        stream = self._stream
        klines = await self._client.klines(stream.symbol, stream.interval, page, stream.price)
        if klines.odd_ms is not None:
            self.odd_ms = max(klines.odd_ms, self.odd_ms or 0)
        if klines:
            self.parts.append(self._pack(klines))
            self._pages.append(array("q", klines.open_ms))
            if self._believed and klines.open_ms[0] <= max(self._believed):
                values = {kline.open_ms: bar_values(kline) for kline in klines}
                same = {at for at, known in self._believed.items() if values.get(at) == known}
                self.revised -= same
        self._progress(len(klines))

    def _weight(self, rows: int) -> int:
        return page_weight(self._client.market, rows)


async def fetch_klines(
    client: BinanceClient, stream: StreamId, bars: int, until_ms: int
) -> tuple[list[Kline], bool]:
    """`fetch_last` as plain klines, ascending, and whether they reach back to the listing."""
    fetched = await fetch_last(client, stream, bars, until_ms, lambda klines: klines)
    return join_klines(fetched.parts, len(fetched.opens_ms)), fetched.from_listing


async def fetch_extremes(client: BinanceClient, stream: StreamId) -> tuple[str, str]:
    """The lowest low and the highest high that the symbol ever had, the running month included.

    One request of the least weight; on futures, one more for each 99 months of a symbol.

    Raises:
        WarmupError: as `BinanceClient` says; DataInvalidError: it has no klines.
    """
    end_ms, most = client.now_ms(), BOUNDS_ROWS[client.market]
    lows: list[str] = []
    highs: list[str] = []
    months = Interval.parse("1M")
    while True:
        page = Page(None, end_ms, most, page_weight(client.market, most))
        rows = await client.klines(stream.symbol, months, page, stream.price)
        lows += rows.low
        highs += rows.high
        if rows.odd_ms is not None:  # what was before it is not among these
            raise DataInvalidError(f"{stream.symbol}: {odd_kline(rows.odd_ms, months)}")
        if len(rows) < most:
            break
        end_ms = rows.open_ms[0] - 1
    if not lows:
        raise DataInvalidError(f"{stream.symbol}: the venue has no monthly klines")
    return min(lows, key=Decimal), max(highs, key=Decimal)


async def fetch_range(
    client: BinanceClient, stream: StreamId, first_ms: int, last_ms: int
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
