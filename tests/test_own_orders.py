"""Which open orders a policy cancels: decided by their ids, and never other people's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderAccepted, OrderDenied, OrderSubmitted
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    StrategyId,
    TraderId,
    VenueOrderId,
)

from tests.support.made_up_market import instrument
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.modes import Orders

ACCOUNT = AccountId("BINANCE-master")
ME = TraderIdentity(prefix="abc", folder="xyz", run="2")
BEFORE, OTHER = "abcxyz1", "abcuvw1"
KEY = "20261127-120000-{tag}-000-{count}"


class Account:
    """Nautilus' cache with orders that are open at the exchange, all claimed by one strategy."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.strategy_id = StrategyId("HedgeGridV1-000")
        self.factory = OrderFactory(TraderId(ME.trader_id), self.strategy_id, LiveClock())
        self.cancelled: list[str] = []
        self.known: set[str] = set()
        cancel = lambda order: self.cancelled.append(order.client_order_id.value)  # noqa: E731
        self.strategy: Any = SimpleNamespace(id=self.strategy_id, cancel_order=cancel)
        self.own = OwnOrders(self.cache, [self.strategy], ME)

    def add(
        self, order_id: str, side: OrderSide, book: str | None = None, *, sent: bool = False
    ) -> str:
        """Add an order as Binance's hedge mode returns it: without reduce-only."""
        order = self.factory.limit(
            instrument().id, side, instrument().make_qty("0.010"),
            instrument().make_price("50000.00"), client_order_id=ClientOrderId(order_id),
        )  # fmt: skip
        position_id = None if book is None else PositionId(f"{instrument().id}-{book}")
        self.cache.add_order(order, position_id)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        if sent:
            order.apply(OrderSubmitted(*ids, ACCOUNT, UUID4(), 0, 0))
        order.apply(OrderAccepted(*ids, VenueOrderId(order_id), ACCOUNT, UUID4(), 0, 0))
        self.cache.update_order(order)
        return order_id

    def cancels(self, policy: Orders) -> set[str]:
        self.cancelled.clear()
        first_time = self.own.cancel(policy)
        assert first_time == len(set(self.cancelled) - self.known)
        self.known |= set(self.cancelled)
        return set(self.cancelled)


def key(tag: str, count: int) -> str:
    return KEY.format(tag=tag, count=count)


@pytest.fixture
def account() -> Account:
    return Account()


def test_own_orders_other_peoples_orders_stay(account: Account) -> None:
    account.add("web_4711", OrderSide.BUY, "LONG")
    account.add("ios_4712", OrderSide.SELL, "LONG")
    account.add(f"E-{key(OTHER, 1)}", OrderSide.BUY, "LONG")
    mine = account.add(f"E-{key(BEFORE, 2)}", OrderSide.BUY, "LONG")
    named = account.add("my-own-name", OrderSide.BUY, "LONG", sent=True)
    for policy in ("cancel_entries", "cancel_all"):
        assert account.cancels(policy) == {mine, named}
    assert account.cancels("keep") == set()


@pytest.mark.parametrize("tag", [ME.tag, BEFORE])
def test_own_orders_exits_that_return_without_reduce_only_stay(account: Account, tag: str) -> None:
    entry = account.add(f"E-{key(tag, 1)}", OrderSide.BUY)
    stop = account.add(f"S1-{key(tag, 1)}", OrderSide.SELL)
    target = account.add(f"T12-{key(tag, 1)}", OrderSide.SELL)
    closing = account.add(f"O-{key(tag, 3)}", OrderSide.BUY, "SHORT")
    flatten = account.add(f"F-{key(tag, 5)}", OrderSide.SELL)
    opening = account.add(f"O-{key(tag, 4)}", OrderSide.SELL, "SHORT")
    assert account.cancels("cancel_entries") == {entry, opening}
    assert account.cancels("cancel_all") == {entry, stop, target, closing, flatten, opening}


def test_own_orders_are_under_way_until_the_exchange_has_answered(account: Account) -> None:
    account.add(f"E-{KEY.format(tag=ME.tag, count=1)}", OrderSide.BUY, "LONG", sent=True)
    assert not account.own.are_under_way()
    waiting = account.factory.market(instrument().id, OrderSide.BUY, instrument().make_qty("0.010"))
    account.cache.add_order(waiting)
    assert account.own.are_under_way()
    ids = (waiting.trader_id, waiting.strategy_id, waiting.instrument_id, waiting.client_order_id)
    waiting.apply(OrderDenied(*ids, "halted", UUID4(), 0))
    account.cache.update_order(waiting)
    assert not account.own.are_under_way()


def test_own_orders_of_before_the_start_stay_when_another_trader_goes_on(account: Account) -> None:
    account.add(f"E-{key(BEFORE, 1)}", OrderSide.BUY, "LONG")
    account.add(f"E-{key(ME.tag, 1)}", OrderSide.BUY, "LONG")  # a copy of this trader sent it
    sent = account.add(f"E-{key(ME.tag, 2)}", OrderSide.BUY, "LONG", sent=True)
    account.own.only_this_run = True
    assert account.cancels("cancel_entries") == {sent}
