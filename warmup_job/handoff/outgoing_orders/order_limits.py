"""The venue file's limits for every order: how many may leave, and how large an entry may be."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.orders import Order

from warmup_job.handoff.outgoing_orders.order_queue import OrderRates


class OrderLimits(msgspec.Struct, frozen=True):
    """The limits of the sections ``risk`` and ``rate_limits``.

    Nautilus' risk engine has both, and neither fits: above its rate it denies orders instead of
    holding them back, and on margin accounts it does not look at the notional.

    Args:
        rates: how many orders may leave.
        min_usdt: the smallest order that opens a position, in quote currency.
        max_usdt: the largest one.
    """

    rates: OrderRates = msgspec.field(default_factory=OrderRates)
    min_usdt: Decimal = Decimal(5)
    max_usdt: Decimal = Decimal(100_000)

    def size_problem(self, cache: CacheFacade, order: Order) -> str:
        """Return why an order is too small or too large; empty: it is not, or has no price yet.

        Args:
            cache: knows the market's price, for orders without one.
            order: an order that opens a position.
        """
        price = _price(cache, order)
        if price is None:
            return ""
        quantity = order.quantity.as_decimal()
        value = quantity if order.is_quote_quantity else quantity * price
        if value < self.min_usdt:
            return f"{value:.2f} USDT is below risk.min_order_size_usdt ({self.min_usdt:f})"
        if value > self.max_usdt:
            return f"{value:.2f} USDT is above risk.max_order_size_usdt ({self.max_usdt:f})"
        return ""


def _price(cache: CacheFacade, order: Order) -> Decimal | None:
    if order.has_price:
        return Decimal(order.price.as_decimal())
    if order.has_trigger_price:
        return Decimal(order.trigger_price.as_decimal())
    quote = cache.quote_tick(order.instrument_id)
    return None if quote is None else Decimal(quote.ask_price.as_decimal())
