"""The ids of the grid's orders: what an order is for, and whether it is one of the grid's. Pure."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

Leg = Literal["T", "S"]
"""Take profit, stop loss."""
Kind = Literal["E", "T", "S"]
"""Entry, take profit, stop loss."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# The key is an id of Nautilus' order factory without its "O-": date, time, the trader's tag, the
# strategy's tag, and a number.
_OURS = re.compile(
    r"(E|[TS][1-9a-z][0-9a-z]*)-([0-9]{8}-[0-9]{6}-[^\s-]+-[^\s-]+-[1-9][0-9]*)", re.ASCII
)


class GridOrderId(NamedTuple):
    """A parsed order id."""

    kind: Kind
    key: str
    """The same for an entry and for the exits of what it has filled."""


def parse_order_id(order_id: str) -> GridOrderId | None:
    """Parse ``E-<key>`` or ``<T|S><number>-<key>``; None if the grid makes no such ids."""
    found = _OURS.fullmatch(order_id)
    return None if found is None else GridOrderId(cast("Kind", found[1][0]), found[2])


def exit_order_id(leg: Leg, number: int, key: str) -> str:
    """Return ``<leg><number>-<key>``; the number is at least 1 and written in base 36.

    So a lot can have 46,655 exits before an id is longer than the 36 characters of Binance's limit.
    """
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return f"{leg}{digits}-{key}"


def leg_and_key(order_id: str) -> tuple[Leg, str] | None:
    """Return which exit an order is and its lot's key; None if it is not an exit of the grid."""
    found = parse_order_id(order_id)
    if found is None or found.kind == "E":
        return None
    return found.kind, found.key
