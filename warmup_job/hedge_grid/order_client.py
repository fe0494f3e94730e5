"""Sends, finds and cancels a strategy's orders in one instrument."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide, OrderStatus, OrderType
from nautilus_trader.model.events import OrderPendingCancel
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.hedge_grid.exit_rules import Lot
from warmup_job.hedge_grid.grid_account import position_id
from warmup_job.hedge_grid.grid_order_ids import Leg, exit_order_id, parse_order_id
from warmup_job.hedge_grid.ladder import Book
from warmup_job.market.order_keys import new_order_key
from warmup_job.market.times import NS_PER_MS


class OrderClient:
    """Wraps a strategy's order methods and Nautilus' cache for one instrument.

    Args:
        strategy: Sends the orders.
        instrument: What is traded.
        owns_order: Returns whether this trader made the order with this id.
    """

    def __init__(
        self,
        strategy: Strategy,
        instrument: Instrument,
        owns_order: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.is_own = owns_order
        """Returns whether this trader made the order with this id."""
        self._initial = instrument
        self._strategy = strategy
        self.send_from_ms = 0
        """Nothing is sent or cancelled before: the exchange limits or bans this IP. Unix ms."""
        self._submitted: dict[str, None] = {}  # ids, in order, of orders that may wait to be sent

    @property
    def instrument(self) -> Instrument:
        """The cached instrument, which is updated when Binance changes its tick or step."""
        return self._strategy.cache.instrument(self._initial.id) or self._initial

    @property
    def tick(self) -> Decimal:
        """The instrument's current price increment."""
        return Decimal(self.instrument.price_increment.as_decimal())

    @property
    def step(self) -> Decimal:
        """The instrument's current quantity increment."""
        return Decimal(self.instrument.size_increment.as_decimal())

    @property
    def factory(self) -> OrderFactory:
        """Creates orders for :meth:`submit`."""
        return self._strategy.order_factory

    @property
    def now_ms(self) -> int:
        """The strategy's clock, Unix ms."""
        return int(self._strategy.clock.timestamp_ns()) // NS_PER_MS

    @property
    def is_limited(self) -> bool:
        """Whether the exchange limits or bans this IP."""
        return self.now_ms < self.send_from_ms

    def log_error(self, message: str) -> None:
        """Log what a person must act on."""
        self._strategy.log.error(message)

    def new_key(self) -> str:
        """Return a new key for an entry and its exits."""
        return new_order_key(self.factory)

    def exit_fields(self, leg: Leg, lot: Lot, quantity: Decimal) -> dict[str, Any]:
        """Return what every exit order has: its side, quantity, and an id never used before."""
        order_id = self._new_exit_id(leg, lot)
        return {
            "instrument_id": self.instrument.id,
            "order_side": OrderSide.SELL if lot.book == "LONG" else OrderSide.BUY,
            "quantity": self.instrument.make_qty(quantity),
            "reduce_only": True,
            "client_order_id": ClientOrderId(order_id),
        }

    def _new_exit_id(self, leg: Leg, lot: Lot) -> str:
        """Return the next id; the number of a lot whose state was lost begins with 1 again."""
        while True:
            lot.exits += 1
            order_id = exit_order_id(leg, lot.exits, lot.key)
            if self._order(order_id) is None:  # Nautilus denies a second order with an id
                return order_id

    def submit(self, order: Order, book: Book) -> None:
        """Send an order for the position of this book."""
        self._submitted[order.client_order_id.value] = None  # before its events
        position = position_id(self.instrument.id, book)
        self._strategy.submit_order(order, position_id=position)

    def _order(self, order_id: str) -> Order | None:
        return self._strategy.cache.order(ClientOrderId(order_id))

    def open_order(self, order_id: str) -> Order | None:
        """Return the order unless it is closed or unknown."""
        order = self._order(order_id)
        return None if order is None or order.is_closed else order

    def is_market(self, order_id: str) -> bool:
        """Return whether the order is a market order."""
        order = self._order(order_id)
        return order is not None and bool(order.order_type == OrderType.MARKET)

    def has_cancel_request(self, order_id: str) -> bool:
        """Return whether this process has asked to cancel the order."""
        order = self._order(order_id)
        return order is not None and any(
            isinstance(event, OrderPendingCancel) for event in order.events
        )

    def open_orders(self) -> list[Order]:
        """Return the instrument's open and in-flight orders, and those that wait to be sent."""
        cache, instrument_id = self._strategy.cache, self.instrument.id
        orders = {
            order.client_order_id: order
            for order in (
                *cache.orders_open(instrument_id=instrument_id),
                *cache.orders_inflight(instrument_id=instrument_id),
                *self._waiting_orders(),
            )
        }
        return list(orders.values())

    def _waiting_orders(self) -> list[Order]:
        """Return the orders that wait to be sent; the cache has no index of them."""
        waiting = []
        for order_id in list(self._submitted):
            order = self._order(order_id)
            if order is None:
                continue  # Nautilus is just about to store it
            if order.status == OrderStatus.INITIALIZED:
                waiting.append(order)
            else:
                del self._submitted[order_id]
        return waiting

    def own_orders(self) -> list[Order]:
        """Return the open and in-flight orders that this trader's grid has made, by their ids."""
        return [
            order
            for order in self.open_orders()
            if parse_order_id(order.client_order_id.value) is not None
            and self.is_own(order.client_order_id.value)
        ]

    def count_stops(self) -> int:
        """Return how many stop losses are open or on their way."""
        return sum(order.order_type == OrderType.STOP_MARKET for order in self.open_orders())

    def cancel(self, order_id: str) -> None:
        """Cancel an order unless it is closed, a cancel is pending, or the IP is limited."""
        order = None if self.is_limited else self.open_order(order_id)
        if order is not None and not order.is_pending_cancel:
            self._strategy.cancel_order(order)


def book_of(order: Order, *, closes: bool) -> Book:
    """Return the book that an order increases or, if it ``closes``, decreases."""
    buys = order.side == OrderSide.BUY
    return "LONG" if buys is not closes else "SHORT"


def is_rate_denial(reason: str) -> bool:
    """Return whether Nautilus denied an order because too many were sent within a second."""
    return "MAX_ORDER_SUBMIT_RATE" in reason
