"""Klines as the venue printed them: decimals stay text until an instrument gives them precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
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


class BarValues(NamedTuple):
    """What a bar keeps of a kline; equal for equal numbers, however they were written."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_ms: int


def bar_values(kline: Kline) -> BarValues:
    """The values of ``kline`` that a bar keeps."""
    prices = (Decimal(kline.open), Decimal(kline.high), Decimal(kline.low), Decimal(kline.close))
    return BarValues(*prices, Decimal(kline.volume), kline.close_ms)


@dataclass(frozen=True, slots=True)
class Klines:
    """Klines by column, ascending: a year of minutes is too many for an object each."""

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
    odd_ms: int | None = None
    """When the last kline opened that did not open on the interval's grid: these are those after
    it. Binance has such ones on spot in 2017 and 2018. None: there was none."""

    def __len__(self) -> int:
        return len(self.open_ms)

    def __iter__(self) -> Iterator[Kline]:
        columns = (getattr(self, name) for name in Kline._fields)
        return map(Kline._make, zip(*columns, strict=True))


def decimals_used(texts: Iterable[str]) -> int:
    """The most decimals of any text; trailing zeros do not count: 65000.10 uses one."""
    fractions = (text.partition(".")[2].rstrip("0") for text in texts)
    return max(map(len, fractions), default=0)


def join_klines(parts: Sequence[Klines], last: int) -> list[Kline]:
    """The ``last`` klines of all parts together, ascending, whatever the order of the parts."""
    return sorted(kline for part in parts for kline in part)[-last:] if last else []
