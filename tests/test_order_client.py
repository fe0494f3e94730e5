"""The order client uses the tick and step that the node has now."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId, TraderId
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from warmup_job.catalog.instruments import parse_instrument
from warmup_job.hedge_grid.exit_rules import Lot
from warmup_job.hedge_grid.grid_order_ids import leg_and_key
from warmup_job.hedge_grid.ladder import ExitSteps
from warmup_job.hedge_grid.order_client import OrderClient
from warmup_job.local_binance.prices.symbols import default_symbols


def test_order_client_rounds_by_the_current_tick_of_the_node() -> None:
    symbols = default_symbols()
    listed = next(each for each in symbols if (each.market, each.name) == ("um", "LINKUSDT"))
    before = parse_instrument("um", listed.info(), 0)
    strategy: Any = SimpleNamespace(cache=Cache())
    client = OrderClient(strategy, before)
    assert client.tick == Decimal("0.001")  # the node has none yet
    strategy.cache.add_instrument(before)
    assert client.tick == Decimal("0.001")
    strategy.cache.add_instrument(
        parse_instrument("um", listed.with_tick_and_step("0.01", "1").info(), 0)
    )
    assert client.tick == Decimal("0.01")
    assert (str(client.instrument.make_price(14.567)), str(client.instrument.make_qty(7))) == (
        "14.57",
        "7",
    )


def test_order_client_counts_to_three_digits_so_that_ids_fit() -> None:
    trader_id, strategy_id = TraderId("WARMUP-abcxyz1"), StrategyId("HedgeGridV1-000")
    factory = OrderFactory(trader_id, strategy_id, LiveClock())
    factory.set_client_order_id_count(998)
    listed = next(each for each in default_symbols() if each.market == "um")
    strategy: Any = SimpleNamespace(order_factory=factory)
    client = OrderClient(strategy, parse_instrument("um", listed.info(), 0))
    last, first = client.new_key(), client.new_key()
    assert last.endswith("-999")
    assert len(f"Szzz-{last}") == 36
    assert first.endswith("-1")


class WithoutScan(Cache):
    """A cache that answers nothing that takes longer the more orders were ever sent."""

    def orders(self, *_: Any, **__: Any) -> list[Any]:
        raise AssertionError("all orders of the run are read")


def test_order_client_counts_orders_that_wait_to_be_sent() -> None:
    """Such an order is in no index of the cache; a grid that overlooks it sends it twice."""
    trader_id, strategy_id = TraderId("WARMUP-abcxyz1"), StrategyId("HedgeGridV1-000")
    factory = OrderFactory(trader_id, strategy_id, LiveClock())
    listed = next(each for each in default_symbols() if each.market == "um")
    instrument = parse_instrument("um", listed.info(), 0)
    cache = WithoutScan()
    cache.add_instrument(instrument)
    strategy: Any = SimpleNamespace(
        cache=cache,
        order_factory=factory,
        submit_order=cache.add_order,
    )
    client = OrderClient(strategy, instrument)
    entry = factory.limit(
        instrument.id,
        OrderSide.BUY,
        instrument.make_qty(1),
        instrument.make_price(100),
        client_order_id=ClientOrderId(f"E-{client.new_key()}"),
    )
    client.submit(entry, "LONG")
    assert client.own_orders() == [entry]
    entry.apply(TestEventStubs.order_submitted(entry))
    entry.apply(TestEventStubs.order_rejected(entry))
    cache.update_order(entry)
    assert client.own_orders() == []


def test_order_client_ids_of_a_thousand_exits_of_a_lot_fit() -> None:
    """Before, Binance refused the hundredth: its id had 37 characters."""
    trader_id, strategy_id = TraderId("WARMUP-abcxyz1"), StrategyId("HedgeGridV1-000")
    factory = OrderFactory(trader_id, strategy_id, LiveClock())
    factory.set_client_order_id_count(998)
    listed = next(each for each in default_symbols() if each.market == "um")
    instrument = parse_instrument("um", listed.info(), 0)
    cache = Cache()
    cache.add_instrument(instrument)
    strategy: Any = SimpleNamespace(cache=cache, order_factory=factory)
    client = OrderClient(strategy, instrument)
    key, ids = client.new_key(), []
    lot = Lot(key, "LONG", Decimal(1), Decimal(1), ExitSteps(Decimal(10), 1, 30))
    for _ in range(1_300):
        order = factory.market(**client.exit_fields("S", lot, Decimal(1)))
        cache.add_order(order)
        ids.append(order.client_order_id.value)
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 36
    assert {leg_and_key(each) for each in ids} == {("S", key)}
