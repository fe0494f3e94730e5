"""What the trader's page shows of open orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, StrategyId, TraderId
from nautilus_trader.model.objects import Price, Quantity

from warmup_job.handoff.reporting.page.market_view import (
    OrderView,
    nearest_orders,
    order_view,
    order_views,
)

KEY = "20261128-023305-001abc1-000-12"
MADE = OrderFactory(TraderId("T-1"), StrategyId("S-000"), TestClock())
BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
BUY, SELL = OrderSide.BUY, OrderSide.SELL


def order(order_id: str, side: OrderSide, price: str, *, stop: bool = False, **fields: Any) -> Any:
    common = {"client_order_id": ClientOrderId(order_id), "quantity": Quantity.from_str("0.004")}
    given = (BTC, side)
    if stop:
        return MADE.stop_market(*given, trigger_price=Price.from_str(price), **common, **fields)
    return MADE.limit(*given, price=Price.from_str(price), **common, **fields)


def seen(made: Any, *, is_own: bool = True) -> OrderView:
    return order_view(made, lambda _: is_own)


@pytest.mark.parametrize(
    ("made", "purpose", "book", "lot"),
    [
        (order(f"E-{KEY}", BUY, "100"), "entry", "LONG", ""),
        (order(f"E-{KEY}", SELL, "100"), "entry", "SHORT", ""),
        (order(f"T1-{KEY}", SELL, "100", reduce_only=True), "take_profit", "LONG", "02:33:05 #12"),
        (order(f"Sa-{KEY}", BUY, "100", stop=True), "stop_loss", "SHORT", "02:33:05 #12"),
        (order(f"O-{KEY}", SELL, "100"), "entry", "SHORT", ""),
        (order(f"O-{KEY}", SELL, "100", reduce_only=True), "exit", "LONG", ""),
        (order(f"F-{KEY}", BUY, "100"), "close", "SHORT", ""),
        (order("by-hand", BUY, "100", stop=True, reduce_only=True), "stop_loss", "SHORT", ""),
    ],
)
def test_order_says_what_it_is_for_which_book_it_is_of_and_which_lot_it_closes(
    made: Any, purpose: str, book: str, lot: str
) -> None:
    view = seen(made)
    assert (view.purpose, view.book, view.lot) == (purpose, book, lot)
    assert (view.price, view.quantity) == (Decimal(100), Decimal("0.004"))
    assert seen(made, is_own=False).purpose == "other"


def test_ladder_begins_with_the_highest_price() -> None:
    made = [order(f"E-{KEY}{n}", BUY, price) for n, price in enumerate(["99", "101.5", "9.5"])]
    prices = [each.price for each in order_views(made, lambda _: True)]
    assert prices == [Decimal("101.5"), Decimal(99), Decimal("9.5")]


@pytest.mark.parametrize(
    ("price", "shown"), [(100.0, ["99", "101.5"]), (None, ["9.5", "101.5"]), (10.0, ["9.5", "99"])]
)
def test_of_too_many_orders_the_nearest_to_the_price_are_shown(
    price: float | None, shown: list[str]
) -> None:
    made = [
        order(f"E-{KEY}{n}", BUY, level, stop=n == 1)
        for n, level in enumerate(["9.5", "101.5", "99"])
    ]
    nearest = order_views(nearest_orders(made, price, 2), lambda _: True)
    assert {each.price for each in nearest} == {Decimal(level) for level in shown}
