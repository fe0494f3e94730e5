"""How orders are filled: a taker against the book, a resting order by trades that pass it. Pure.

Only the top of the book comes from the feed. Behind it every tick has one level more than the one
before times the quantity at the top. A resting order is the last in its queue: only a trade beyond
its price fills it, up to the trade's quantity. Fills change neither the book nor the trades.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from warmup_job.local_binance.account.order_records import NOTHING

if TYPE_CHECKING:
    from warmup_job.local_binance.account.order_filters import OrderFilters
    from warmup_job.local_binance.account.order_requests import Side
    from warmup_job.local_binance.prices.price_feed import BookTop


class Fill(NamedTuple):
    """A quantity at a price."""

    price: Decimal
    quantity: Decimal


class TopOfBook(NamedTuple):
    """The best bid and ask."""

    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal

    @classmethod
    def of(cls, book: BookTop) -> TopOfBook:
        """Return the feed's book as Decimals."""
        return cls(
            Decimal(book.bid),
            Decimal(book.bid_quantity),
            Decimal(book.ask),
            Decimal(book.ask_quantity),
        )

    def best_for(self, side: Side) -> Decimal:
        """Return the price at which a taker of this side is filled first."""
        return self.ask if side == "BUY" else self.bid

    def crosses(self, side: Side, price: Decimal) -> bool:
        """Return whether a limit order at ``price`` would take."""
        return price >= self.ask if side == "BUY" else price <= self.bid


def taker_fills(
    side: Side, quantity: Decimal, limit: Decimal, book: TopOfBook, filters: OrderFilters
) -> list[Fill]:
    """Return the fills of a taker, best price first.

    Args:
        side: The taker's side.
        quantity: The quantity that it wants.
        limit: The worst price that it accepts.
        book: The top of the book.
        filters: The symbol's tick.

    Returns:
        The fills; together less than ``quantity`` if the limit is reached before.
    """
    away = filters.tick if side == "BUY" else -filters.tick
    price = book.best_for(side)
    top = book.ask_quantity if side == "BUY" else book.bid_quantity
    fills: list[Fill] = []
    left, level = quantity, 1
    while left > 0 and price > 0 and (price <= limit if side == "BUY" else price >= limit):
        fill = min(left, top * level)
        if fill > 0:
            fills.append(Fill(price, fill))
        left -= fill
        price += away
        level += 1
    return fills


def in_pieces(fills: list[Fill], pieces: int, whole: Decimal, step: Decimal) -> list[Fill]:
    """Split fills so that an order of the quantity ``whole`` has about ``pieces`` of them.

    Args:
        fills: The fills.
        pieces: How many fills an order has at least, if its quantity has as many steps.
        whole: The order's quantity.
        step: The symbol's quantity step.
    """
    largest = largest_piece(pieces, whole, step)
    split: list[Fill] = []
    for fill in fills:
        left = fill.quantity
        while left > NOTHING:
            part = min(left, largest)
            split.append(Fill(fill.price, part))
            left -= part
    return split


def largest_piece(pieces: int, whole: Decimal, step: Decimal) -> Decimal:
    """Return the largest quantity of one fill of an order that is filled in ``pieces``."""
    return max(whole / pieces // step * step, step)
