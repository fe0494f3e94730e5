"""Where the exchange's account differs from what Nautilus believes. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from warmup_job.binance.account_reader import AccountSnapshot

YOUNG_MS = 2_000
"""What Nautilus learnt less than this before a reading is not compared with it."""


class BelievedOrder(NamedTuple):
    """An order in Nautilus' cache."""

    is_open: bool
    """Whether it rests at the exchange, as Nautilus believes; False also while it is in flight."""
    is_closed: bool
    filled: Decimal
    changed_ms: int
    """When its last event came; UTC ms on this machine's clock."""
    is_leaving: bool = False
    """Whether its cancel was sent and is not confirmed."""


class BelievedPosition(NamedTuple):
    """A position in Nautilus' cache."""

    quantity: Decimal
    """Signed; 0 is a closed position."""
    changed_ms: int


class Belief(NamedTuple):
    """What Nautilus believes of an account."""

    positions: Mapping[tuple[str, str], BelievedPosition]
    """By symbol and the ending of the position's id: LONG, SHORT or BOTH, as at the exchange."""
    orders: Mapping[str, BelievedOrder]
    """By client id: those that are not closed, and those that are open at the exchange."""
    under_way: frozenset[str] = frozenset()
    """Client ids of orders with a request that is not answered yet, or that were just triggered."""


class Difference(NamedTuple):
    """One difference; it lasts as long as ``what`` and ``here`` stay the same."""

    what: str
    here: str
    there: str

    def __str__(self) -> str:
        return f"{self.what}: {self.there} at the exchange, {self.here} here"


def differences(
    account: AccountSnapshot, belief: Belief, *, read_ms: int, owns: Callable[[str], bool]
) -> list[Difference]:
    """Return how an account differs from what Nautilus believes of it.

    Orders and positions that changed less than `YOUNG_MS` before the reading began are left out,
    and so are orders whose request has not been answered, and orders of other people.

    Args:
        account: what the exchange has answered.
        belief: what Nautilus believed when the answer had come.
        read_ms: when the reading began; UTC ms on this machine's clock.
        owns: whether this trader made the order with that id, also in an earlier run.
    """
    return [
        *_position_differences(account, belief, read_ms - YOUNG_MS),
        *_order_differences(account, belief, read_ms - YOUNG_MS, owns),
    ]


def _position_differences(
    account: AccountSnapshot, belief: Belief, settled_ms: int
) -> Iterator[Difference]:
    for key in sorted(account.positions.keys() | belief.positions.keys()):
        there = account.positions.get(key, Decimal(0))
        here = belief.positions.get(key, BelievedPosition(Decimal(0), 0))
        if here.quantity != there and here.changed_ms <= settled_ms:
            yield Difference(f"position {' '.join(key)}", f"{here.quantity:f}", f"{there:f}")


def _order_differences(
    account: AccountSnapshot, belief: Belief, settled_ms: int, owns: Callable[[str], bool]
) -> Iterator[Difference]:
    for order_id in sorted(account.orders.keys() | belief.orders.keys()):
        here, there = belief.orders.get(order_id), account.orders.get(order_id)
        if order_id in belief.under_way:
            continue
        if here is None:
            if owns(order_id):
                yield Difference(f"order {order_id}", "unknown", "open")
        elif here.changed_ms <= settled_ms:
            believed = _text(here)
            if there is None:
                found = "not open" if not here.is_closed else believed
            elif here.is_open and not here.is_leaving and here.filled == there.filled:
                found = believed
            else:
                found = f"open, {there.filled:f} filled"
            if found != believed:
                yield Difference(f"order {order_id}", believed, found)


def _text(order: BelievedOrder) -> str:
    if order.is_closed:
        return "closed"
    if order.is_leaving:
        return "being cancelled"
    return f"open, {order.filled:f} filled" if order.is_open else "in flight"
