"""Fetch pages of closed klines, and the lowest and highest price of a symbol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from warmup_job.errors import DataInvalidError, WarmupError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline, Klines
from warmup_job.market.pages import BOUNDS_ROWS, Page, page_weight, plan_pages
from warmup_job.market.rows import off_grid_text
from warmup_job.market.stream_id import StreamId

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


async def fetch_pages(
    client: BinanceClient,
    stream: StreamId,
    pages: Iterable[Page],
    take: Callable[[Klines], object],
) -> None:
    """Fetch pages of one stream at the same time.

    Args:
        client: the open client; it limits how many requests are sent at once.
        stream: the stream.
        pages: the pages.
        take: called with each page's klines as soon as they arrive, in any order.

    Raises:
        WarmupError: the first error of `BinanceClient` or ``take``; it cancels the other requests.
    """

    async def fetch(page: Page) -> None:
        take(await client.klines(stream.symbol, stream.interval, page, stream.price))

    failure: WarmupError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for page in pages:
                group.create_task(fetch(page))
    except* WarmupError as failed:
        failure = next(error for error in failed.exceptions if isinstance(error, WarmupError))
    if failure is not None:
        raise failure


async def fetch_range(
    client: BinanceClient, stream: StreamId, first_ms: int, last_ms: int
) -> list[Kline]:
    """Fetch the klines that open from ``first_ms`` to ``last_ms``, without those Binance lacks.

    Args:
        client: the open client.
        stream: the stream.
        first_ms: open time of the oldest kline, UTC ms.
        last_ms: open time of the newest kline, UTC ms; it must be closed.

    Returns:
        The klines, ascending.

    Raises:
        WarmupError: see `BinanceClient`.
    """
    klines: list[Kline] = []
    wanted = stream.interval.count(first_ms, last_ms)
    pages = plan_pages(client.market, stream.interval, wanted, last_ms)
    await fetch_pages(client, stream, pages, klines.extend)
    return sorted(klines)[-wanted:] if wanted else []


async def fetch_extremes(client: BinanceClient, stream: StreamId) -> tuple[str, str]:
    """Fetch the lowest low and the highest high of a symbol's whole history.

    The running month counts too. This takes one request of the least weight; on futures, one more
    for each 99 months of history.

    Returns:
        Lowest and highest price as Binance prints them.

    Raises:
        WarmupError: see `BinanceClient`.
        DataInvalidError: the symbol has no monthly klines, or some that open off the month's grid.
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
        if rows.off_grid_ms is not None:  # the rows before it are not in this answer
            raise DataInvalidError(f"{stream.symbol}: {off_grid_text(rows.off_grid_ms, months)}")
        if len(rows) < most:
            break
        end_ms = rows.open_ms[0] - 1
    if not lows:
        raise DataInvalidError(f"{stream.symbol}: Binance has no monthly klines")
    return min(lows, key=Decimal), max(highs, key=Decimal)
