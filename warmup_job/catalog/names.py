"""What Nautilus calls Binance's symbols and klines, as text: no need to import it for that."""

from __future__ import annotations

import re
from typing import Literal

from warmup_job.errors import WarmupError
from warmup_job.market.interval import Interval
from warmup_job.market.pages import Market

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
_BAR_TYPE = re.compile(
    rf"(?P<id>.+\.{VENUE})-(?P<step>\d+)-(?P<unit>[A-Z]+)-LAST-"
    r"(?:EXTERNAL|INTERNAL@(?P<of_step>\d+)-(?P<of_unit>[A-Z]+)-EXTERNAL)"
)


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


def bar_stream_of(bar_type: str) -> tuple[str, Interval] | None:
    """The instrument id and the interval of the klines that a bar type's name stands for.

    Bars that Nautilus aggregates itself from the venue's (``…-5-MINUTE-LAST-INTERNAL@1-MINUTE-
    EXTERNAL``) stand for those. None: it is no bar type, or none of the venue's last prices.
    """
    match = _BAR_TYPE.fullmatch(bar_type)
    letters = {name: letter for letter, name in AGGREGATIONS.items()}
    if match is None:
        return None
    step, unit = match["of_step"] or match["step"], match["of_unit"] or match["unit"]
    try:
        return match["id"], Interval.parse(f"{step}{letters[unit]}")
    except (KeyError, WarmupError):
        return None


def is_bar_type(text: str) -> bool:
    """Whether it is written like a bar type of the venue's last prices, of whatever interval."""
    return _BAR_TYPE.fullmatch(text) is not None


def is_instrument_id(text: str) -> bool:
    """Whether it is the Nautilus id of an instrument of the venue's."""
    return text.endswith(f".{VENUE}") and text.isprintable() and " " not in text
