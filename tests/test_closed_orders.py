"""The removal of orders that closed long ago counts what the strategies have done."""

from __future__ import annotations

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import StrategyId, TraderId
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from warmup_job.handoff.outgoing_orders.closed_orders import ClosedOrders


def test_closed_orders_of_other_programs_are_removed_and_not_counted() -> None:
    """Before, the summary at the end had a person's orders as the strategy's once they had left."""
    instrument, cache = TestInstrumentProvider.btcusdt_perp_binance(), Cache()
    for name in ("HedgeGridV1-000", "EXTERNAL"):
        orders = OrderFactory(TraderId("TESTER-001"), StrategyId(name), LiveClock())
        order = orders.market(instrument.id, OrderSide.BUY, instrument.make_qty(1))
        order.apply(TestEventStubs.order_submitted(order))
        order.apply(TestEventStubs.order_accepted(order))
        cache.add_order(order)
        order.apply(TestEventStubs.order_filled(order, instrument))
        cache.update_order(order)
    closed = ClosedOrders(cache, LiveClock())
    closed.remove(kept_s=0)
    assert cache.orders() == []
    assert (closed.removed, closed.removed_fills) == (1, 1)
