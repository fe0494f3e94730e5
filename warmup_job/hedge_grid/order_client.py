"""The way to the exchange: a strategy's orders in one instrument, by their ids."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.hedge_grid.grid_account import position_id
from warmup_job.hedge_grid.ladder import Book
from warmup_job.market.times import NS_PER_MS


class OrderClient:
    """Sends, finds and cancels; Nautilus' cache says what has become of an order."""

    def __init__(self, strategy: Strategy, instrument: Instrument) -> None:
        self._first = instrument
        self._strategy = strategy

    @property
    def instrument(self) -> Instrument:
        """The node's own, as it is now: Binance changes ticks and steps while a trader runs."""
        return self._strategy.cache.instrument(self._first.id) or self._first

    @property
    def tick(self) -> Decimal:
        """The smallest step of a price now."""
        return Decimal(self.instrument.price_increment.as_decimal())

    @property
    def make(self) -> OrderFactory:
        """Makes orders, which are sent by :meth:`submit`."""
        return self._strategy.order_factory

    def new_key(self) -> str:
        """Of an entry and its exits: as Nautilus numbers orders, but for the first letter."""
        return str(self.make.generate_client_order_id().value.removeprefix("O-"))

    def submit(self, order: Order, book: Book) -> None:
        """Send an order for this book's position."""
        where = position_id(self.instrument.id, book)
        self._strategy.submit_order(order, position_id=where)

    def is_known(self, order_id: str) -> bool:
        """Whether Nautilus has had an order with this id, and would deny a second one."""
        return self._strategy.cache.order(ClientOrderId(order_id)) is not None

    def open_order(self, order_id: str) -> Order | None:
        """The order, unless it is closed or nobody knows it."""
        order = self._strategy.cache.order(ClientOrderId(order_id))
        return None if order is None or order.is_closed else order

    def open_orders(self) -> list[Order]:
        """All that wait in this instrument, or are on their way."""
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
        """Ask for its end, unless that is asked for already."""
        order = self.open_order(order_id)
        if order is not None and not order.is_pending_cancel:
            self._strategy.cancel_order(order)

    def after(self, delay_ms: int, name: str, act: Callable[[], None]) -> None:
        """Do it that much later; at once, if that is now."""
        if not delay_ms:
            act()
            return
        clock = self._strategy.clock
        at_ns = clock.timestamp_ns() + delay_ms * NS_PER_MS
        clock.set_time_alert_ns(name, at_ns, lambda _: act())


def book_of(order: Order, *, closes: bool) -> Book:
    """Which book an entry adds to, or an exit takes from."""
    buys = order.side == OrderSide.BUY
    return "LONG" if buys is not closes else "SHORT"
