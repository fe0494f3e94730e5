"""Find the interval of Binance that somebody means by another spelling of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SPELLINGS: Final = {
    "s": "s sec secs second seconds",
    "m": "m min mins minute minutes t",
    "h": "h hr hrs hour hours hourly",
    "d": "d day days daily",
    "w": "w wk wks week weeks weekly",
    "M": "mo mon mn mth month months monthly",
}
_UNITS: Final = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MINUTES_BELOW = 10_080
"""A bare number of minutes; TradingView's and Bybit's intervals are such, e.g. 60 or 240."""
_FORM = re.compile(
    r"(?:p?t)?(?P<before>[a-z]*)[ _-]*(?P<count>[0-9]{0,7})[ _-]*(?P<after>[a-z]*)"
    r"(?:-(?:last|mark|bid|ask|mid).*)?",
    re.ASCII,
)


def interval_meant_by(text: str, lengths_ms: Mapping[str, int]) -> str | None:
    """Return the offered interval that has the meaning of ``text``; None: there is none.

    ``1H``, ``60``, ``60m``, ``1hour``, ``H1`` and ``1-HOUR-LAST`` all mean ``1h``. A capital M
    after a number above 1 means minutes, because Binance has no other months than ``1M``.

    Args:
        text: What somebody wrote.
        lengths_ms: The offered intervals with their lengths in ms; 0 for a month.
    """
    without_blanks = "".join(text.split())
    if without_blanks in lengths_ms:
        return without_blanks
    meant = _meaning(text)
    if meant is None:
        return None
    count, unit = meant
    if unit == "M":
        return "1M" if count == 1 and "1M" in lengths_ms else None
    of_length = {length_ms: name for name, length_ms in lengths_ms.items() if length_ms}
    if unit:
        return of_length.get(count * _SECONDS[unit] * 1_000)
    if count <= _MINUTES_BELOW and count * 60_000 in of_length:
        return of_length[count * 60_000]
    return of_length.get(count * 1_000) or of_length.get(count)


def neighbours(text: str, lengths_ms: Mapping[str, int]) -> tuple[str, ...]:
    """Return the next shorter and the next longer interval than ``text`` means, as far as known.

    Args:
        text: What somebody wrote.
        lengths_ms: The offered intervals with their lengths in ms; 0 for a month.
    """
    meant = _meaning(text)
    if meant is None or not meant[0] or meant[1] not in _SECONDS:
        return ()
    length_ms = meant[0] * _SECONDS[meant[1]] * 1_000
    sized = {length: name for name, length in lengths_ms.items() if length}
    shorter = max((length for length in sized if length < length_ms), default=None)
    longer = min((length for length in sized if length > length_ms), default=None)
    return tuple(sized[length] for length in (shorter, longer) if length is not None)


def _meaning(text: str) -> tuple[int, str] | None:
    """Return the count and the letter of the unit (empty: no unit); None: not an interval."""
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or (match["before"] and match["after"]):
        return None
    word = match["before"] or match["after"]
    if not word:
        return (int(match["count"]), "") if match["count"] else None
    unit = _UNITS.get(word)
    return None if unit is None else (int(match["count"] or 1), unit)
