"""Translate Binance's symbols and klines to Nautilus' names as text, without importing Nautilus."""

from __future__ import annotations

import re
from typing import Literal

from warmup_job.errors import WarmupError
from warmup_job.market.interval import Interval, meant_interval
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
"""Nautilus' bar aggregations by the letter of Binance's intervals."""
_LIKE_A_BAR_TYPE = re.compile(
    r"(?P<id>[^\s/]{3,}?)[-_ @](?P<step>\d{1,6})[-_ ]?(?P<unit>[a-z]+)"
    r"(?:[-_ ](?:last|mid|bid|ask))?(?:[-_ ](?:external|internal).*)?",
    re.IGNORECASE,
)
_BAR_TYPE = re.compile(
    rf"(?P<id>.+\.{VENUE})-(?P<step>\d+)-(?P<unit>[A-Z]+)-LAST-"
    r"(?:EXTERNAL|INTERNAL@(?P<of_step>\d+)-(?P<of_unit>[A-Z]+)-EXTERNAL)"
)


def instrument_id_of(market: Market, symbol: str) -> str:
    """Return the live node's id of a symbol: BTCUSDT of ``um`` gives BTCUSDT-PERP.BINANCE."""
    perpetual = market == "um" and not symbol[-1:].isdigit()
    return f"{symbol}-PERP.{VENUE}" if perpetual else f"{symbol}.{VENUE}"


def bar_type_name(
    instrument_id: str, interval: Interval, price: Literal["last", "mark"] = "last"
) -> str:
    """Return the bar type that Nautilus' Binance data client uses for this interval's klines."""
    step, letter = interval.name[:-1], interval.name[-1]
    return f"{instrument_id}-{step}-{AGGREGATIONS[letter]}-{price.upper()}-EXTERNAL"


def bar_stream_of(bar_type: str) -> tuple[str, Interval] | None:
    """Return the instrument id and the interval of the klines that a bar type is made of.

    For bars that Nautilus aggregates itself (``…-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL``) it is
    the interval of the venue's bars. None: ``bar_type`` is not a bar type of Binance's last prices.
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
    """Return whether ``text`` has the form of a bar type of Binance's last prices."""
    return _BAR_TYPE.fullmatch(text) is not None


def meant_bar_type(text: str) -> str | None:
    """Return the bar type of Binance's last prices that ``text`` probably means; None: unknown.

    ``BTCUSDT-PERP.BINANCE-60-minute`` means ``BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL``.
    """
    match = _LIKE_A_BAR_TYPE.fullmatch(text.strip())
    interval = None if match is None else meant_interval(f"{match['step']}{match['unit']}")
    if match is None or interval is None:
        return None
    instrument_id = match["id"].upper()
    if "." not in instrument_id:
        instrument_id += f".{VENUE}"
    return bar_type_name(instrument_id, Interval.parse(interval))


def is_instrument_id(text: str) -> bool:
    """Return whether ``text`` has the form of a Nautilus instrument id of Binance."""
    return text.endswith(f".{VENUE}") and text.isprintable() and " " not in text
