"""Which pages to ask for: pure arithmetic from (bars wanted, interval, market, last open).

Weights are Binance's: USD-M futures charge by ``limit`` (<100: 1, <500: 2, ≤1000: 5, more: 10), so
499 rows are the cheapest page there (249.5 bars per weight); spot charges a flat 2 for up to 1000.
Source: Binance API documentation, "Kline/Candlestick Data", request weight.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from warmup_job.market.interval import Interval

Market = Literal["um", "spot"]
"""``um``: USD-M futures; ``spot``."""

_WEIGHT_STEPS: dict[Market, tuple[tuple[int, int], ...]] = {
    "um": ((99, 1), (499, 2), (1000, 5), (1500, 10)),
    "spot": ((1000, 2),),
}
_INFO_WEIGHT: dict[Market, int] = {"um": 1, "spot": 20}
TIME_WEIGHT = 1
"""What the exchange charges for its time."""
SYMBOLS_AT_ONCE = 100
"""How many symbols of spot are asked for in one request for exchangeInfo: a URL of 2 KB."""
BOUNDS_ROWS: dict[Market, int] = {"um": 99, "spot": 1000}
"""Monthly klines for a symbol's lowest and highest price: the largest page of least weight."""
_CHEAPEST_PAGE: dict[Market, int] = {"um": 499, "spot": 1000}


class Page(NamedTuple):
    """One request: rows whose open lies in [start_ms, end_ms], at most ``limit`` of them.

    With a start the earliest of them come; without one (None) the latest.
    """

    start_ms: int | None
    end_ms: int
    limit: int
    weight: int


def largest_page(market: Market) -> int:
    """The largest ``limit`` that the market's kline endpoint takes."""
    return _WEIGHT_STEPS[market][-1][0]


def page_weight(market: Market, limit: int) -> int:
    """What the exchange charges for one kline request with this ``limit``."""
    for most, weight in _WEIGHT_STEPS[market]:
        if limit <= most:
            return weight
    raise ValueError(f"limit {limit} is above the {largest_page(market)} rows of a {market} page")


def exchange_info_weight(market: Market, symbols: int = 1) -> int:
    """What the exchange charges for the entries of ``symbols`` symbols.

    On futures one answer holds them all; on spot it takes a request for each `SYMBOLS_AT_ONCE`.
    """
    requests = 1 if market == "um" else -(-symbols // SYMBOLS_AT_ONCE)
    return _INFO_WEIGHT[market] * requests


def plan_pages(
    market: Market, interval: Interval, bars: int, last_open_ms: int
) -> tuple[Page, ...]:
    """Pages, oldest first, that hold exactly the ``bars`` klines up to the one at ``last_open_ms``.

    What fits in one page takes one page (least time); more takes the cheapest weight per bar. There
    is nothing before 1970.
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
