"""What Nautilus calls Binance's symbols and klines, as text: no need to import it for that."""

from __future__ import annotations

from typing import Literal

from warmup_job.market.interval import Interval
from warmup_job.market.plan import Market

VENUE = "BINANCE"
AGGREGATIONS = {
    "s": "SECOND",
    "m": "MINUTE",
    "h": "HOUR",
    "d": "DAY",
    "w": "WEEK",
    "M": "MONTH",
}
"""Bar aggregations by the letter of Binance's intervals."""


def instrument_id_of(market: Market, symbol: str) -> str:
    """The id that the live node gives the venue's ``symbol``: BTCUSDT → BTCUSDT-PERP.BINANCE."""
    perpetual = market == "um" and not symbol[-1:].isdigit()
    return f"{symbol}-PERP.{VENUE}" if perpetual else f"{symbol}.{VENUE}"


def bar_type_name(
    instrument_id: str, interval: Interval, price: Literal["last", "mark"] = "last"
) -> str:
    """The bar type of Nautilus' Binance data client for this interval's klines."""
    step, letter = interval.name[:-1], interval.name[-1]
    return f"{instrument_id}-{step}-{AGGREGATIONS[letter]}-{price.upper()}-EXTERNAL"
