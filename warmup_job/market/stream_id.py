"""The key of a stream of klines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warmup_job.market.interval import Interval

PriceType = Literal["last", "mark"]
"""The price that a stream's klines are made of: trades, or the mark price (USD-M futures only)."""


@dataclass(frozen=True, slots=True)
class StreamId:
    """One stream of klines: Binance's symbol, interval and price type.

    The only key by which code tells streams apart.
    """

    symbol: str
    interval: Interval
    price: PriceType = "last"

    def __str__(self) -> str:
        mark = " mark" if self.price == "mark" else ""
        return f"{self.symbol} {self.interval.name}{mark}"
