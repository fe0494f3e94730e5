"""Klines as Binance prints them: decimals stay text until an instrument gives them precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec


class Kline(NamedTuple):
    """One row of Binance's kline answer: times in UTC ms, prices and volumes as decimal text.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Kline-Candlestick-Data
    """

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    """Base asset."""
    close_ms: int
    """``open_ms`` + interval − 1 ms; earlier for the last kline before an outage."""
    quote_volume: str
    trades: int
    taker_base: str
    taker_quote: str


class Klines(msgspec.Struct, frozen=True):
    """Klines by column, ascending: a year of minutes is too long for one object per kline."""

    open_ms: Sequence[int] = ()
    open: Sequence[str] = ()
    high: Sequence[str] = ()
    low: Sequence[str] = ()
    close: Sequence[str] = ()
    volume: Sequence[str] = ()
    close_ms: Sequence[int] = ()
    quote_volume: Sequence[str] = ()
    trades: Sequence[int] = ()
    taker_base: Sequence[str] = ()
    taker_quote: Sequence[str] = ()
    off_grid_ms: int | None = None
    """Open time of the newest kline that did not open on the interval's grid; None: all did.

    The columns hold the klines after it. Binance has such klines on spot in 2017 and 2018."""

    def __len__(self) -> int:
        return len(self.open_ms)

    def __iter__(self) -> Iterator[Kline]:
        columns = (getattr(self, name) for name in Kline._fields)
        return map(Kline._make, zip(*columns, strict=True))


def decimals_used(texts: Iterable[str]) -> int:
    """Return the most decimals of any text, without trailing zeros: 65000.10 uses one."""
    fractions = (text.partition(".")[2].rstrip("0") for text in texts)
    return max(map(len, fractions), default=0)
