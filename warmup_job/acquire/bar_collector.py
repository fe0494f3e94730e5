"""Collect the bars of one stream page by page: the newest, older ones, and missing ones."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from warmup_job.binance.fetch import fetch_pages
from warmup_job.catalog.packed_bars import BarSeries, PackedBars, join, pack
from warmup_job.market.kline import Klines
from warmup_job.market.pages import Page, largest_page, page_weight, plan_pages
from warmup_job.market.rows import Gap, find_gaps
from warmup_job.market.stream_id import StreamId

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_VENUE_LAG_S = (0.5, 1.0, 2.0)  # how long REST may be behind Binance's own clock


class BarCollector:
    """The bars of one stream that were fetched so far, each page packed as soon as it arrives.

    Its ``fetch_…`` methods raise WarmupError as `BinanceClient` does, or as ``store`` does.

    Args:
        client: the open client.
        stream: the stream.
        last_ms: open time of the newest bar to fetch, UTC ms; it must be closed.
        store: packs the klines of one page.
        progress: called with the number of rows of each page.
    """

    def __init__(
        self,
        client: BinanceClient,
        stream: StreamId,
        last_ms: int,
        store: Callable[[Klines], PackedBars] = pack,
        progress: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._client = client
        self._stream = stream
        self._last_ms = last_ms
        self._store = store
        self._progress = progress
        self._parts: list[PackedBars] = []
        self._asked_again: set[Gap] = set()
        self.is_complete = False
        """Whether Binance has no older bars, or none that open on the interval's grid."""
        self.off_grid_ms: int | None = None
        """Open time of the newest kline off the interval's grid, UTC ms; the bars follow it."""

    @property
    def from_listing(self) -> bool:
        """Whether the bars reach back to the symbol's first one."""
        return self.is_complete and self.off_grid_ms is None

    def series(self) -> BarSeries:
        """Return all bars so far, without those before the newest kline off the grid."""
        joined = join(self._parts)
        self._parts = list(joined.parts)
        if self.off_grid_ms is None:
            return joined
        opens_ms = joined.opens_ms
        return joined.last(len(opens_ms) - bisect_right(opens_ms, self.off_grid_ms))

    def add(self, bars: BarSeries, *, from_listing: bool) -> None:
        """Add bars that need not be fetched.

        Args:
            bars: the bars; they may not be among those that were fetched.
            from_listing: whether Binance has no older ones.
        """
        self._parts += bars.parts
        self.is_complete = from_listing

    async def fetch_newest(self, bars: int) -> None:
        """Fetch the newest ``bars`` bars.

        Where Binance lacks one it is left out. If REST does not have the newest bar yet, this waits
        for it, up to 3.5 s.
        """
        interval = self._stream.interval
        await self._fetch_last(bars, self._last_ms)
        for wait_s in _VENUE_LAG_S:
            series = self.series()
            newest_ms = series.last_ms if series.rows else interval.shift(self._last_ms, -bars)
            if newest_ms == self._last_ms:
                return
            await asyncio.sleep(wait_s)
            missing = interval.count(interval.next(newest_ms), self._last_ms)
            await self._fetch_last(missing, self._last_ms)

    async def fetch_older(self, bars: int) -> None:
        """Fetch older bars until there are ``bars`` in all, or Binance has no more."""
        largest = largest_page(self._client.market)
        while not self.is_complete and 0 < (have := self.series().rows) < bars:
            oldest_ms = self.series().first_ms
            if bars - have > largest:
                await self._fetch_last(bars - have, self._stream.interval.shift(oldest_ms, -1))
            if self.series().first_ms == oldest_ms:
                # A page with an end but no start skips a gap of Binance's, however long it is.
                await self._fetch(self._page(None, oldest_ms - 1, bars - have))
            self.is_complete = self.series().first_ms == oldest_ms

    async def fetch_missing(self) -> None:
        """Ask once more for each gap between the bars, before it counts as Binance's own."""
        for gap in find_gaps(self.series().opens_ms, self._stream.interval):
            if gap not in self._asked_again:
                self._asked_again.add(gap)
                await self._fetch(self._page(gap.first_ms, gap.last_ms, gap.bars))

    async def _fetch_last(self, bars: int, last_ms: int) -> None:
        interval = self._stream.interval
        await self._fetch(*plan_pages(self._client.market, interval, bars, last_ms))

    async def _fetch(self, *pages: Page) -> None:
        await fetch_pages(self._client, self._stream, pages, self._take)

    def _page(self, start_ms: int | None, end_ms: int, bars: int) -> Page:
        rows = min(bars, largest_page(self._client.market))
        return Page(start_ms, end_ms, rows, page_weight(self._client.market, rows))

    def _take(self, klines: Klines) -> None:
        if klines.off_grid_ms is not None:
            self.off_grid_ms = max(klines.off_grid_ms, self.off_grid_ms or 0)
        if klines:
            self._parts.append(self._store(klines))
        self._progress(len(klines))
