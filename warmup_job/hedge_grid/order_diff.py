"""The fewest orders that turn what stands at the exchange into what should: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from warmup_job.hedge_grid.ladder import BPS, Book, Rung, to_multiple


class OpenEntry(NamedTuple):
    """An entry order that waits at the exchange, or is on its way there."""

    order_id: str
    book: Book
    price: Decimal
    """That it was meant for; a retry may have moved it away from there."""
    quantity: Decimal
    leaves: Decimal
    """What of it is not filled yet, base currency."""


def match_entries(
    wanted: Iterable[Rung],
    standing: Sequence[OpenEntry],
    *,
    price_tolerance_bps: Decimal,
    qty_tolerance: Decimal,
) -> dict[Rung, OpenEntry]:
    """Which standing order serves as which rung: each at most once, the nearest in price first.

    Args:
        qty_tolerance: a fraction of the rung's quantity.
    """
    pairs = []
    for rung in wanted:
        price, quantity = rung.price.as_decimal(), rung.quantity.as_decimal()
        for order in standing:
            if order.book != rung.book:
                continue
            away = abs(order.price - price)
            if away * BPS <= price_tolerance_bps * price and (
                abs(order.quantity - quantity) <= qty_tolerance * quantity
            ):
                pairs.append((away, rung.level, order.order_id, rung, order))
    pairs.sort(key=lambda pair: pair[:3])
    matched: dict[Rung, OpenEntry] = {}
    taken = set()
    for _, _, order_id, rung, order in pairs:
        if rung not in matched and order_id not in taken:
            matched[rung] = order
            taken.add(order_id)
    return matched


def retry_price(
    book: Book,
    wanted: Decimal,
    attempt: int,
    *,
    opposite: Decimal | None,
    tick: Decimal,
    most_bps: Decimal,
) -> Decimal | None:
    """Where a rung that would have taken is tried again; None: too far from where it belongs.

    Args:
        attempt: from 1; each stands a tick further away.
        opposite: the best price of the other side, if it is known.
    """
    nearest = wanted if opposite is None else opposite
    if book == "LONG":
        price = min(wanted, to_multiple(nearest, tick, ROUND_CEILING)) - attempt * tick
    else:
        price = max(wanted, to_multiple(nearest, tick, ROUND_FLOOR)) + attempt * tick
    if price <= 0 or abs(price - wanted) * BPS > most_bps * wanted:
        return None
    return price
