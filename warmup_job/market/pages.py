"""Plan the pages of a kline request and their request weight, by pure arithmetic.

USD-M futures charge by ``limit`` (<100: 1, <500: 2, ≤1000: 5, >1000: 10), so 499 rows are the
cheapest page (249.5 bars per weight). Spot charges a flat 2 for up to 1000 rows. Sources:
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Kline-Candlestick-Data
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from warmup_job.market.interval import Interval

Market = Literal["um", "spot"]
"""``um`` is USD-M futures."""

_WEIGHT_STEPS: dict[Market, tuple[tuple[int, int], ...]] = {
    "um": ((99, 1), (499, 2), (1000, 5), (1500, 10)),
    "spot": ((1000, 2),),
}
_INFO_WEIGHT: dict[Market, int] = {"um": 1, "spot": 20}
TIME_WEIGHT = 1
"""Request weight of the exchange's clock (``/time``)."""
FUNDING_WEIGHT = 1
"""Request weight of the funding intervals. Binance charges none, but a limit of its own."""
MAX_SYMBOLS_PER_REQUEST = 100
"""Spot symbols in one exchangeInfo request; the URL then has about 2 KB."""
BOUNDS_ROWS: dict[Market, int] = {"um": 99, "spot": 1000}
"""Rows of one cheapest request for the monthly klines that bound a symbol's price."""
_CHEAPEST_PAGE: dict[Market, int] = {"um": 499, "spot": 1000}


class Page(NamedTuple):
    """One kline request: at most ``limit`` rows whose open time is in [start_ms, end_ms] (UTC ms).

    Binance returns the earliest of these rows, or the latest if ``start_ms`` is None.
    """

    start_ms: int | None
    end_ms: int
    limit: int
    weight: int


def largest_page(market: Market) -> int:
    """Return the largest ``limit`` that the market's kline endpoint accepts."""
    return _WEIGHT_STEPS[market][-1][0]


def page_weight(market: Market, limit: int) -> int:
    """Return the request weight of one kline request with this ``limit``.

    Raises:
        ValueError: ``limit`` is larger than `largest_page`.
    """
    for max_rows, weight in _WEIGHT_STEPS[market]:
        if limit <= max_rows:
            return weight
    raise ValueError(f"limit {limit} exceeds the {largest_page(market)} rows of a {market} page")


def exchange_info_weight(market: Market, symbols: int = 1) -> int:
    """Return the request weight of the exchangeInfo entries of ``symbols`` symbols.

    On futures one answer has all symbols. On spot one request has at most
    `MAX_SYMBOLS_PER_REQUEST`.
    """
    requests = 1 if market == "um" else -(-symbols // MAX_SYMBOLS_PER_REQUEST)
    return _INFO_WEIGHT[market] * requests


def plan_pages(
    market: Market, interval: Interval, bars: int, last_open_ms: int
) -> tuple[Page, ...]:
    """Plan the pages that hold exactly ``bars`` klines, the last one opening at ``last_open_ms``.

    If one page is enough, one page is used (least time). Otherwise the pages have the lowest weight
    per bar. No page starts before 1970.

    Args:
        market: The market whose weights apply.
        interval: The klines' interval.
        bars: The number of klines.
        last_open_ms: Open time of the newest kline, UTC ms.

    Returns:
        The pages, oldest first.
    """
    epoch_ms = interval.floor(0) if interval.floor(0) >= 0 else interval.next(interval.floor(0))
    bars = min(bars, interval.count(epoch_ms, last_open_ms))
    if bars <= 0:
        return ()
    size = bars if bars <= largest_page(market) else _CHEAPEST_PAGE[market]
    pages: list[Page] = []
    end_ms = last_open_ms
    left = bars
    while left:
        rows = min(size, left)
        start_ms = interval.shift(end_ms, 1 - rows)
        pages.append(Page(start_ms, end_ms, rows, page_weight(market, rows)))
        end_ms = interval.shift(start_ms, -1)
        left -= rows
    return tuple(reversed(pages))
