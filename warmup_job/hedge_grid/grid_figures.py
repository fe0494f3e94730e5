"""The grid's figures for an operator: what it holds, what it has earned, and its open orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Literal

import msgspec
from nautilus_trader.model.orders import Order

from warmup_job.hedge_grid.entry_guard import Block, BlockKind, limit_text
from warmup_job.hedge_grid.exit_rules import BookPosition, Lot
from warmup_job.hedge_grid.grid_account import unrealised_of
from warmup_job.hedge_grid.grid_order_ids import GridPurpose, leg_and_key, parse_order_id
from warmup_job.hedge_grid.grid_orders import GridOrders
from warmup_job.hedge_grid.grid_result import GridResult
from warmup_job.hedge_grid.ladder import BOOKS, Book
from warmup_job.regime.detector import Regime

type OrderKind = GridPurpose | Literal["other"]
"""What an order is for, by its id; ``other``: it is not this trader's grid's."""
ORDER_KINDS: tuple[OrderKind, ...] = ("entry", "take_profit", "stop_loss", "other")


class BookFigures(msgspec.Struct, frozen=True):
    """One book's position."""

    quantity: Decimal
    """Base currency."""
    entry_price: Decimal
    """Average entry price; 0 without a position."""
    unrealised: Decimal
    """Quote currency, at the newest middle price."""
    unprotected: Decimal
    """The part of ``quantity`` without an open stop loss at the exchange, base currency."""
    unprotected_why: str = ""
    """Why that part has none, as far as it is known."""


class GridFigures(msgspec.Struct, frozen=True):
    """The figures of one grid at one moment; amounts in quote currency.

    The result since the first start is ``realised - fees + funding + unrealised``. Live, these, the
    equity and the drawdown are those of one reading of Binance's account, which is usually at most
    30 s old: ``result_at_ms``. On paper and in a backtest they are the grid's own, of now.
    """

    at_ms: int
    """When they were computed, Unix ms."""
    instrument_id: str
    quote_currency: str
    base_currency: str
    regime: str
    """UP, DOWN or SIDEWAYS."""
    equity: Decimal | None
    """The account's balance plus the unrealised result of all its positions; None until the account
    is known."""
    realised: Decimal
    """The result of closed quantities since the first start, before fees and funding."""
    unrealised: Decimal
    """Of both books, at the moment of ``realised``; each book's own figure is of now."""
    fees: Decimal
    """Fees paid in quote currency since the first start; a rebate is negative."""
    funding: Decimal
    """Funding received since the first start; paid funding is negative."""
    drawdown_pct: Decimal
    """The loss from the highest equity, percent of that equity."""
    is_stopped: bool
    """Whether ``max_drawdown_pct`` has stopped all entries."""
    block_reason: str
    """Why no entry may be sent now; empty if entries may be sent."""
    books: Mapping[Book, BookFigures]
    result_at_ms: int | None
    """When the account was read, Unix ms by the exchange; None: the result is the grid's own, of
    now."""
    open_orders: Mapping[OrderKind, int]
    """Orders that the exchange has confirmed as open."""
    block_kind: BlockKind | Literal[""] = ""
    """What ``block_reason`` is, in one word; empty if entries may be sent."""
    breaker_until_ms: int = 0
    """Until when the circuit breaker is open, Unix ms, whatever else holds the entries back."""

    @property
    def unprotected(self) -> Decimal:
        """The quantity of both books without an open stop loss, base currency."""
        return sum((each.unprotected for each in self.books.values()), Decimal(0))


def order_kind(order_id: str) -> OrderKind:
    """Return what an order is for, by its client order id."""
    found = parse_order_id(order_id)
    return "other" if found is None else found.purpose


def count_open_orders(
    orders: Iterable[Order], is_own: Callable[[str], bool]
) -> dict[OrderKind, int]:
    """Count the confirmed open orders of each kind.

    Args:
        orders: The instrument's orders.
        is_own: Returns whether this trader made the order with this id; else it is an ``other``.
    """
    counts: dict[OrderKind, int] = dict.fromkeys(ORDER_KINDS, 0)
    for order in orders:
        if order.is_open:
            order_id = order.client_order_id.value
            counts[order_kind(order_id) if is_own(order_id) else "other"] += 1
    return counts


def book_figures(
    positions: Mapping[Book, BookPosition],
    lots: Iterable[Lot],
    orders: Iterable[Order],
    price: Decimal | None,
    limited: str = "",
) -> dict[Book, BookFigures]:
    """Return the figures of both books.

    Args:
        positions: The positions.
        lots: What they consist of. What no lot has is not protected.
        orders: The instrument's orders. A stop loss counts once the exchange has confirmed it, and
            only for its own lot: while it is replaced, a lot has two for the same quantity.
        price: The price of the unrealised result; None: it is 0.
        limited: Why no order can leave at all; empty: orders can.
    """
    stops: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        found = leg_and_key(order.client_order_id.value)
        if order.is_open and found is not None and found[0] == "S":
            stops[found[1]] += order.leaves_qty.as_decimal()
    stopped = dict.fromkeys(BOOKS, Decimal(0))
    refusals: dict[Book, str] = {}
    for lot in lots:
        stopped[lot.book] += min(stops[lot.key], lot.quantity)
        if stops[lot.key] < lot.quantity and lot.stop_refusal:
            refusals[lot.book] = f"it was not accepted: {lot.stop_refusal}"
    bare = {
        book: max(position.quantity - stopped[book], Decimal(0))
        for book, position in positions.items()
    }
    return {
        book: BookFigures(
            quantity=position.quantity,
            entry_price=position.price,
            unrealised=unrealised_of(book, position, price),
            unprotected=bare[book],
            unprotected_why=(limited or refusals.get(book, "")) if bare[book] else "",
        )
        for book, position in positions.items()
    }


def make_figures(
    orders: GridOrders,
    result: GridResult,
    block: Block | None,
    regime: Regime,
    price: Decimal | None,
    at_ms: int,
    breaker_until_ms: int,
) -> GridFigures:
    """Return the present figures.

    Args:
        orders: The positions, lots and orders.
        result: The result and the drawdown.
        block: Why no entry may be sent now; None: entries may be sent.
        regime: The market's regime.
        price: The market's middle price; None: it is unknown.
        at_ms: The time now, Unix ms.
        breaker_until_ms: Until when the circuit breaker is open, Unix ms.
    """
    client, account = orders.client, orders.account
    instrument, opened = client.instrument, client.open_orders()
    limited = limit_text(client.send_from_ms) if client.is_limited else ""
    books = book_figures(account.positions(), orders.exits.lots, opened, price, limited)
    unrealised = sum((each.unrealised for each in books.values()), Decimal(0))
    equity, read = account.equity(price), result.account
    if read is not None:  # Binance's figures of one moment
        equity = read.equity
        unrealised = unrealised if read.unrealised is None else read.unrealised
    return GridFigures(
        at_ms=at_ms,
        instrument_id=instrument.id.value,
        quote_currency=instrument.quote_currency.code,
        base_currency=instrument.base_currency.code,
        regime=regime.value,
        equity=equity,
        realised=result.realised,
        unrealised=unrealised,
        fees=result.fees,
        funding=result.funding,
        drawdown_pct=result.drawdown_pct,
        is_stopped=result.is_stopped,
        block_reason="" if block is None else block.text,
        books=books,
        result_at_ms=None if read is None else read.as_of_ms,
        open_orders=count_open_orders(opened, client.is_own),
        block_kind="" if block is None else block.kind,
        breaker_until_ms=breaker_until_ms,
    )
