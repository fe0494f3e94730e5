"""Which open entries already serve a rung, and where a rejected entry is retried. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from warmup_job.hedge_grid.ladder import BPS, Book, Rung, to_multiple


class OpenEntry(NamedTuple):
    """An entry order at the exchange, on its way there, or waiting for a retry."""

    order_id: str
    book: Book
    price: Decimal
    """Its rung's price; a retry may have sent the order at another one."""
    quantity: Decimal
    leaves: Decimal
    """The unfilled quantity, base currency."""


def match_entries(
    wanted: Iterable[Rung],
    open_entries: Sequence[OpenEntry],
    *,
    price_tolerance_bps: Decimal,
    qty_tolerance: Decimal,
) -> dict[Rung, OpenEntry]:
    """Match each rung with at most one open entry, the nearest in price first.

    Args:
        wanted: The rungs.
        open_entries: The entries that may serve them.
        price_tolerance_bps: Largest price difference, bps of the rung's price.
        qty_tolerance: Largest quantity difference, as a share of the rung's quantity.
    """
    pairs = []
    for rung in wanted:
        price, quantity = rung.price.as_decimal(), rung.quantity.as_decimal()
        for order in open_entries:
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
    max_bps: Decimal,
) -> Decimal | None:
    """Return the price at which to retry an entry that would have taken liquidity.

    Args:
        book: The entry's book.
        wanted: The rung's price.
        attempt: The number of the retry, from 1; each is one tick further from the market.
        opposite: The best price on the other side of the book, if known.
        tick: The instrument's price increment.
        max_bps: Largest distance from ``wanted``, in bps of it.

    Returns:
        None if the price would be too far from ``wanted``.
    """
    nearest = wanted if opposite is None else opposite
    if book == "LONG":
        price = min(wanted, to_multiple(nearest, tick, ROUND_CEILING)) - attempt * tick
    else:
        price = max(wanted, to_multiple(nearest, tick, ROUND_FLOOR)) + attempt * tick
    if price <= 0 or abs(price - wanted) * BPS > max_bps * wanted:
        return None
    return price
