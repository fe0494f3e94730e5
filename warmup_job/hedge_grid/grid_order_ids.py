"""The ids of the grid's orders: what an order is for, and whether it is one of the grid's. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from warmup_job.market.client_order_ids import base36, parse_client_order_id

Leg = Literal["T", "S"]
"""Take profit, stop loss."""
type GridPurpose = Literal["entry", "take_profit", "stop_loss"]


class GridOrderId(NamedTuple):
    """A parsed order id."""

    purpose: GridPurpose
    key: str
    """The same for an entry and for the exits of what it has filled."""


def parse_order_id(order_id: str) -> GridOrderId | None:
    """Parse ``E-<key>`` or ``<T|S><number>-<key>``; None if the grid makes no such ids."""
    parts = parse_client_order_id(order_id)
    purpose = None if parts is None else parts.purpose
    if parts is None or purpose is None or purpose == "close":
        return None
    return GridOrderId(purpose, parts.key)


def exit_order_id(leg: Leg, number: int, key: str) -> str:
    """Return ``<leg><number>-<key>``; the number is at least 1 and written in base 36.

    So a lot can have 46,655 exits before an id is longer than the 36 characters of Binance's limit.
    """
    return f"{leg}{base36(number)}-{key}"


def leg_and_key(order_id: str) -> tuple[Leg, str] | None:
    """Return which exit an order is and its lot's key; None if it is not an exit of the grid."""
    found = parse_order_id(order_id)
    if found is None or found.purpose == "entry":
        return None
    return "T" if found.purpose == "take_profit" else "S", found.key
