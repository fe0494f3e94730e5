"""Sends, finds and cancels a strategy's orders in one instrument."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.hedge_grid.grid_account import position_id
from warmup_job.hedge_grid.ladder import Book


class Filled(NamedTuple):
    """The filled part of an order."""

    quantity: Decimal
    """Base currency."""
    price: Decimal
    """Average price of the fills."""


class OrderClient:
    """Wraps a strategy's order methods and Nautilus' cache for one instrument."""

    def __init__(self, strategy: Strategy, instrument: Instrument) -> None:
        self._initial = instrument
        self._strategy = strategy

    @property
    def instrument(self) -> Instrument:
        """The cached instrument, which is updated when Binance changes its tick or step."""
        return self._strategy.cache.instrument(self._initial.id) or self._initial

    @property
    def tick(self) -> Decimal:
        """The instrument's current price increment."""
        return Decimal(self.instrument.price_increment.as_decimal())

    @property
    def factory(self) -> OrderFactory:
        """Creates orders for :meth:`submit`."""
        return self._strategy.order_factory

    def new_key(self) -> str:
        """Return a new key for an entry and its exits: a Nautilus order id without its ``O-``."""
        return str(self.factory.generate_client_order_id().value.removeprefix("O-"))

    def submit(self, order: Order, book: Book) -> None:
        """Send an order for the position of this book."""
        position = position_id(self.instrument.id, book)
        self._strategy.submit_order(order, position_id=position)

    def is_known(self, order_id: str) -> bool:
        """Return whether the id is used already; Nautilus denies a second order with it."""
        return self._strategy.cache.order(ClientOrderId(order_id)) is not None

    def filled(self, order_id: str) -> Filled | None:
        """Return what an order has filled; None if it is unknown or has not filled."""
        order = self._strategy.cache.order(ClientOrderId(order_id))
        if order is None or order.filled_qty == 0:
            return None
        return Filled(order.filled_qty.as_decimal(), Decimal(str(order.avg_px)))

    def open_order(self, order_id: str) -> Order | None:
        """Return the order unless it is closed or unknown."""
        order = self._strategy.cache.order(ClientOrderId(order_id))
        return None if order is None or order.is_closed else order

    def open_orders(self) -> list[Order]:
        """Return the instrument's open and in-flight orders."""
        cache, instrument_id = self._strategy.cache, self.instrument.id
        orders = {
            order.client_order_id: order
            for order in (
                *cache.orders_open(instrument_id=instrument_id),
                *cache.orders_inflight(instrument_id=instrument_id),
            )
        }
        return list(orders.values())

    def cancel(self, order_id: str) -> None:
        """Cancel an order unless it is closed or a cancel is pending."""
        order = self.open_order(order_id)
        if order is not None and not order.is_pending_cancel:
            self._strategy.cancel_order(order)


def book_of(order: Order, *, closes: bool) -> Book:
    """Return the book that an order increases or, if it ``closes``, decreases."""
    buys = order.side == OrderSide.BUY
    return "LONG" if buys is not closes else "SHORT"


def is_rate_denial(reason: str) -> bool:
    """Return whether Nautilus denied an order because too many were sent within a second."""
    return "MAX_ORDER_SUBMIT_RATE" in reason
