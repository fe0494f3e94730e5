"""The key of a kline stream."""

from __future__ import annotations

from typing import Literal

import msgspec

from warmup_job.market.interval import Interval

PriceType = Literal["last", "mark"]
"""What a kline's prices are: trade prices, or mark prices (USD-M futures only)."""


class StreamId(msgspec.Struct, frozen=True):
    """Identify one kline stream by Binance's symbol, interval and price type.

    It is the only key that code uses to tell streams apart.
    """

    symbol: str
    interval: Interval
    price: PriceType = "last"

    def __str__(self) -> str:
        mark = " mark" if self.price == "mark" else ""
        return f"{self.symbol} {self.interval.name}{mark}"
