"""The numbers of bars that `bars: auto` chooses from."""

from __future__ import annotations

FIRST_PAGE_BARS = 499
"""Bars of the first request. No page of futures klines costs less weight per bar: up to 499 klines
have weight 2 (https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Kline-Candlestick-Data)."""
_SMALL_COUNTS = (125, 250)


def auto_bar_counts(least_bars: int, max_bars: int) -> tuple[int, ...]:
    """Return the numbers of bars that `bars: auto` may choose, ascending.

    Args:
        least_bars: The smallest number, mostly `DetectorSettings.least_bars`.
        max_bars: The largest number, from ``warmup.max_bars``. From 499 on the numbers are
            multiples of 499, one page each.
    """
    pages = range(FIRST_PAGE_BARS, max_bars, FIRST_PAGE_BARS)
    between = (bars for bars in (*_SMALL_COUNTS, *pages) if least_bars < bars < max_bars)
    last = (max_bars,) if max_bars > least_bars else ()
    return (min(least_bars, max_bars), *between, *last)
