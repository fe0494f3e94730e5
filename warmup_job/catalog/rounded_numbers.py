"""Print numbers of exchangeInfo as nautilus_trader's Price, Quantity and Money print them.

Their constructors go through a 64-bit float and round it to the precision; their text goes through
a Decimal of 28 digits. Outside the range in which this module does the same, it returns None.
"""

from __future__ import annotations

import math
import re

_PLAIN = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,16}))?")
_DIGITS = 28  # of Python's default decimal context


def decimals_of_step(step: str | None) -> int | None:
    """Return the number of decimals of a tick or step, which Nautilus keeps as its precision.

    Returns:
        None: the step is not a plain decimal above 0, or Nautilus may print another text for it.
    """
    found = _PLAIN.fullmatch(step or "")
    if found is None or not float(found[0]) or len(found[0]) > _DIGITS:
        return None
    return len(found[2] or "")


def rounded(number: str | None, precision: int) -> str | None:
    """Return the text of Nautilus' ``Price(float(number), precision)``; Quantity and Money alike.

    Args:
        number: a decimal of exchangeInfo.
        precision: the decimals of the result, 0 to 16.

    Returns:
        None: ``number`` is not a plain decimal below 10¹³, or Nautilus may print another text.
    """
    if not _PLAIN.fullmatch(number or ""):
        return None
    scaled = float(number or "") * float(10**precision)  # both factors as in Nautilus' Rust code
    units = math.floor(scaled)
    if scaled - units >= 0.5:  # Rust rounds halves away from zero, and 0.5 is not added first
        units += 1
    digits = str(units).rjust(precision + 1, "0")
    if len(digits) > _DIGITS:
        return None
    return f"{digits[:-precision]}.{digits[-precision:]}" if precision else digits


def ns_of(at_ms: int) -> int | None:
    """Return a time in ns as Nautilus converts it, through a float; None: before 1970 or far off.

    Args:
        at_ms: UTC ms.
    """
    return int(float(at_ms) * 1e6) if 0 <= at_ms < 1 << 43 else None
