"""Whether another trader trades the same symbols, and which of the two has to stop. Pure.

Both traders decide by the same facts, the orders that the exchange shows, so exactly one stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.market.client_order_ids import parse_client_order_id


class SeenOrder(NamedTuple):
    """An order at the exchange."""

    symbol: str
    order_id: str
    """The client's id."""
    created_ms: int
    """UTC ms on the exchange's clock."""
    number: int = 0
    """The exchange's own number of it, growing with each order of the symbol; 0: conditional."""

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts orders by their creation."""
        return self.created_ms, self.number


class OtherTrader(NamedTuple):
    """Another trader that trades now."""

    tag: str
    orders: tuple[SeenOrder, ...]
    """What it has open, the oldest first."""


def other_traders(
    orders: Iterable[SeenOrder],
    *,
    since_ms: int,
    is_sent: Callable[[str], bool],
) -> list[OtherTrader]:
    """Return the traders that have made one of these orders since this one started.

    Args:
        orders: the open orders of the traded symbols.
        since_ms: when this trader first read the account; what is older is from before.
        is_sent: whether this run has sent the order with that id.
    """
    by_tag: dict[str, list[SeenOrder]] = {}
    for order in orders:
        parts = parse_client_order_id(order.order_id)
        if parts is None or order.created_ms <= since_ms or is_sent(order.order_id):
            continue
        by_tag.setdefault(parts.tag, []).append(order)
    return [
        OtherTrader(tag, tuple(sorted(found, key=lambda each: each.rank)))
        for tag, found in sorted(by_tag.items())
    ]


def started_later(
    identity: TraderIdentity,
    other: OtherTrader,
    history: Iterable[SeenOrder],
    is_sent: Callable[[str], bool],
) -> bool:
    """Return whether this trader has started later than the other one, by their first orders.

    A tag belongs to one start of a trader, so what it sent before an earlier restart does not
    count. A trader without any order is the later one.

    Args:
        identity: of this trader.
        other: the other trader.
        history: the open orders of the symbols, and the newest ones, also the closed ones, all with
            conditional orders.
        is_sent: whether this run has sent the order with that id.
    """
    mine: list[tuple[int, int]] = []
    theirs = [each.rank for each in other.orders]
    for order in history:
        parts = parse_client_order_id(order.order_id)
        if parts is None:
            continue
        if parts.tag == identity.tag and is_sent(order.order_id):
            mine.append(order.rank)
        elif parts.tag == other.tag:
            theirs.append(order.rank)
    if not mine:
        return True
    # Conditional orders have no number; of two that were created in one ms the tag decides.
    return (min(theirs), other.tag) < (min(mine), identity.tag)
