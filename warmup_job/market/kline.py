"""A kline as the venue printed it: decimals stay text until an instrument gives them precision."""

from __future__ import annotations

from typing import NamedTuple


class Kline(NamedTuple):
    """One row of Binance's kline answer. Times are UTC ms, prices and volumes decimal text."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    """Base asset."""
    close_ms: int
    """``open_ms`` + interval − 1, but earlier for the last row before an outage."""
    quote_volume: str
    trades: int
    taker_base: str
    taker_quote: str
