"""Of two traders exactly the one that started later stops, whichever of them looks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderRejected
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId, TraderId
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from warmup_job.binance.account_reader import AccountReader, AccountSnapshot, OpenOrder
from warmup_job.errors import LiveRefusedError
from warmup_job.handoff.live_account.other_trader_watch import (
    OtherTraderWatch,
    other_traders_problem,
    unowned_lines,
)
from warmup_job.handoff.live_account.other_traders import (
    SeenOrder,
    other_traders,
    started_later,
)
from warmup_job.handoff.outgoing_orders.closed_orders import ClosedOrders
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity

ONE = TraderIdentity(prefix="abc", folder="xyz", run="1")
OTHER = TraderIdentity(prefix="abc", folder="uvw", run="5")
COPY = TraderIdentity(prefix="abc", folder="xyz", run="2")


def order(identity: TraderIdentity, at_ms: int, kind: str = "E") -> SeenOrder:
    order_id = f"{kind}-20261127-120000-{identity.tag}-000-{at_ms}"
    return SeenOrder("BTCUSDT", order_id, at_ms, number=at_ms)


def stops(mine: TraderIdentity, orders: list[SeenOrder], since_ms: int) -> bool:
    """Return whether a trader stops when it looks at orders that are all open."""

    def is_sent(order_id: str) -> bool:
        return f"-{mine.tag}-" in order_id

    found = other_traders(orders, since_ms=since_ms, is_sent=is_sent)
    return any(started_later(mine, each, orders, is_sent) for each in found)


@given(
    st.lists(st.integers(1, 50), min_size=1, unique=True),
    st.lists(st.integers(51, 99), min_size=1, unique=True),
    st.sampled_from([OTHER, COPY]),
)
def test_other_traders_later_one_stops_and_the_earlier_one_goes_on(
    early: list[int], late: list[int], later: TraderIdentity
) -> None:
    orders = [order(ONE, each) for each in early] + [order(later, each) for each in late]
    orders += [order(ONE, 200), order(later, 201)]
    assert not stops(ONE, orders, since_ms=0)
    assert stops(later, orders, since_ms=100)
    assert stops(later, orders, since_ms=0)


def test_other_traders_orders_of_before_the_start_do_not_count() -> None:
    """Its own ones of before a crash, and taken over ones."""
    orders = [order(ONE, 10), order(OTHER, 11), order(COPY, 100)]
    assert not stops(COPY, orders, since_ms=50)


def test_other_traders_one_that_has_sent_nothing_yet_is_the_later_one() -> None:
    assert stops(ONE, [order(OTHER, 100)], since_ms=50)


@pytest.mark.parametrize("later_ms", [51, 52])
def test_other_traders_of_two_with_conditional_orders_only_one_stops(later_ms: int) -> None:
    """Also if both were created in the same ms: conditional orders have no number."""
    first, later = (
        order(identity, at_ms, "S1")._replace(number=0)
        for identity, at_ms in ((ONE, 51), (OTHER, later_ms))
    )
    stopped = {ONE: stops(ONE, [first, later], 50), OTHER: stops(OTHER, [first, later], 50)}
    assert sorted(stopped.values()) == [False, True]
    assert stopped[OTHER] or later_ms == 51


def test_other_traders_one_is_noticed_by_its_flatten() -> None:
    (found,) = other_traders([order(OTHER, 100, "F")], since_ms=50, is_sent=lambda _: False)
    assert found.tag == OTHER.tag


def test_other_traders_same_tag_twice_is_noticed_by_what_was_not_sent() -> None:
    """A copied state folder was started in both places at once."""
    mine, twin = order(ONE, 100), order(ONE, 101, "T1")
    sent = {mine.order_id}
    (found,) = other_traders([mine, twin], since_ms=50, is_sent=sent.__contains__)
    assert not started_later(ONE, found, [mine, twin], sent.__contains__)
    sent = {twin.order_id}
    (found,) = other_traders([mine, twin], since_ms=50, is_sent=sent.__contains__)
    assert started_later(ONE, found, [mine, twin], sent.__contains__)


class History(AccountReader):
    """The newest orders of an account."""

    def __init__(self, orders: Mapping[str, OpenOrder]) -> None:
        self._orders = orders

    async def newest_orders(self) -> list[tuple[str, OpenOrder]]:
        return list(self._orders.items())


class Sent(Cache):
    """A cache with one order, which this run has sent."""

    def __init__(self, order_id: str) -> None:
        super().__init__()
        orders = OrderFactory(TraderId("TESTER-001"), StrategyId("S-1"), LiveClock())
        instrument = TestInstrumentProvider.btcusdt_perp_binance()
        sent = orders.market(
            instrument.id, OrderSide.BUY, instrument.make_qty(1),
            client_order_id=ClientOrderId(order_id),
        )  # fmt: skip
        sent.apply(TestEventStubs.order_submitted(sent))
        self.add_order(sent)


def sent_by(cache: Cache) -> ClosedOrders:
    return ClosedOrders(cache, LiveClock())


def test_other_traders_own_order_that_left_the_cache_is_still_its_own() -> None:
    """A copy of the state folder has the same tag, so only what was sent tells them apart."""
    mine, twin = order(ONE, 51), order(ONE, 9_000)
    cache = Sent(mine.order_id)
    closed = sent_by(cache)
    there = {
        each.order_id: OpenOrder("BTCUSDT", D(0), created_ms=each.created_ms, number=each.number)
        for each in (mine, twin)
    }
    (sent,) = cache.orders()
    for event in (TestEventStubs.order_accepted(sent), TestEventStubs.order_canceled(sent)):
        sent.apply(event)
    cache.update_order(sent)
    closed.remove(kept_s=0)
    assert (cache.orders(), closed.removed) == ([], 1)
    watch = OtherTraderWatch(ONE, History(there), closed.has_sent)

    async def run() -> None:
        await watch.look(AccountSnapshot({}, {}, began_ms=50))
        open_now = {twin.order_id: there[twin.order_id]}
        await watch.look(AccountSnapshot({}, open_now, began_ms=9_010))  # it was first: it goes on
        (noticed,) = watch.noticed
        assert noticed.text.endswith("its exits stay open and count as this one's")
        assert noticed.open_orders == 0

    asyncio.run(run())


def test_other_traders_order_whose_id_was_taken_is_not_our_own() -> None:
    """Two traders on copies of one folder protect a fill with orders of the same ids."""
    mine = order(ONE, 51, "S1")
    cache = Sent(mine.order_id)
    (sent,) = cache.orders()
    assert sent_by(cache).has_sent(mine.order_id)
    rejected = OrderRejected.to_dict(TestEventStubs.order_rejected(sent))
    reason = "{'code': -4116, 'msg': 'ClientOrderId is duplicated.'}"
    sent.apply(OrderRejected.from_dict(rejected | {"reason": reason}))
    cache.update_order(sent)
    closed = sent_by(cache)
    assert not closed.has_sent(mine.order_id)
    closed.remove(kept_s=0)
    assert cache.orders() == []
    assert not closed.has_sent(mine.order_id)


def test_other_traders_own_stop_of_before_the_start_may_be_triggered() -> None:
    """It becomes an order with the same id, which is younger than the start."""
    stop_id, twin_id = order(ONE, 10, "S1").order_id, order(ONE, 70).order_id
    stop = OpenOrder("BTCUSDT", D(0), "LONG", D("0.010"), created_ms=10)
    triggered = stop._replace(created_ms=60, number=7)
    history = {stop_id: triggered, twin_id: stop._replace(created_ms=9_070, number=8)}
    watch = OtherTraderWatch(COPY, History(history), sent_by(Cache()).has_sent)

    async def run() -> None:
        await watch.look(AccountSnapshot({}, {stop_id: stop}, began_ms=50))
        await watch.look(AccountSnapshot({}, {stop_id: triggered}, began_ms=65))
        with pytest.raises(LiveRefusedError, match=twin_id):
            await watch.look(AccountSnapshot({}, history, began_ms=9_075))

    asyncio.run(run())


def test_other_traders_own_order_that_was_on_its_way_when_the_run_before_was_killed() -> None:
    """It reaches the exchange after the first reading of this run."""
    late = {order(ONE, 51).order_id: OpenOrder("BTCUSDT", D(0), created_ms=4_000, number=51)}
    watch = OtherTraderWatch(COPY, History(late), sent_by(Cache()).has_sent)

    async def run() -> None:
        await watch.look(AccountSnapshot({}, {}, began_ms=50))
        await watch.look(AccountSnapshot({}, late, began_ms=5_000))
        theirs = {order(OTHER, 51).order_id: OpenOrder("BTCUSDT", D(0), created_ms=4_000)}
        with pytest.raises(LiveRefusedError, match=OTHER.tag):
            await watch.look(AccountSnapshot({}, theirs, began_ms=5_000))

    asyncio.run(run())


def test_other_traders_copy_is_noticed_by_an_order_made_after_this_run_began() -> None:
    """Before, what a copy sent in the first six seconds counted as late orders of the run before.

    If it sent nothing more, both traders protected the next fill with orders of the same ids.
    """
    made_ms = 1_795_780_800_000  # 2026-11-27T12:00:00Z, as in the ids
    theirs = {order(ONE, 51).order_id: OpenOrder("BTCUSDT", D(0), created_ms=4_000, number=51)}

    async def look(began_ms: int) -> None:
        identity = replace(COPY, began_ms=began_ms)
        watch = OtherTraderWatch(identity, History(theirs), sent_by(Cache()).has_sent)
        await watch.look(AccountSnapshot({}, {}, began_ms=50))
        await watch.look(AccountSnapshot({}, theirs, began_ms=5_000))

    asyncio.run(look(made_ms - 1_000))  # the clocks of two machines may differ
    with pytest.raises(LiveRefusedError, match="started later"):
        asyncio.run(look(made_ms - 1_001))


def test_other_traders_open_order_older_than_the_history_shows_who_was_first() -> None:
    """Binance returns the orders of a week."""
    theirs = order(OTHER, 9_000)
    mine = order(ONE, 51)
    closed = sent_by(Sent(mine.order_id))
    there = {
        each.order_id: OpenOrder("BTCUSDT", D(0), created_ms=each.created_ms, number=each.number)
        for each in (mine, theirs)
    }
    watch = OtherTraderWatch(
        ONE, History({theirs.order_id: there[theirs.order_id]}), closed.has_sent
    )

    async def run() -> None:
        await watch.look(AccountSnapshot({}, {}, began_ms=50))
        await watch.look(AccountSnapshot({}, there, began_ms=9_010))  # goes on
        assert not watch.is_news(theirs.order_id)
        (noticed,) = watch.noticed
        assert (noticed.tag, noticed.open_orders) == (OTHER.tag, 1)
        assert "its exits stay open; while one of them is, the next start" in noticed.text
        assert "needs --take-over" in noticed.text
        await watch.look(AccountSnapshot({}, {}, began_ms=9_020))
        assert [each.open_orders for each in watch.noticed] == [0]

    asyncio.run(run())


def test_other_traders_peoples_orders_are_no_trader() -> None:
    by_hand = SeenOrder("BTCUSDT", "web_1", 100, 1)
    assert other_traders([by_hand], since_ms=0, is_sent=lambda _: False) == []


def test_other_traders_problem_names_traders_orders_and_remedy() -> None:
    open_order = OpenOrder("BTCUSDT", D(0), "LONG", D("0.010"))
    theirs = order(OTHER, 1).order_id
    found = AccountSnapshot({}, {theirs: open_order, order(ONE, 2).order_id: open_order})
    problem = other_traders_problem(ONE, found)
    assert OTHER.tag in problem
    assert theirs in problem
    assert "1 open order(s) on BTCUSDT" in problem
    assert "--take-over" in problem
    assert other_traders_problem(OTHER, AccountSnapshot({}, {theirs: open_order})) == ""


def test_other_traders_warning_names_orders_and_the_part_of_a_position_without_exits() -> None:
    exits = OpenOrder("BTCUSDT", D("0.002"), "LONG", D("0.012"))
    by_hand = OpenOrder("BTCUSDT", D(0), "LONG", D(1))
    found = AccountSnapshot(
        {("BTCUSDT", "LONG"): D("0.030"), ("BTCUSDT", "SHORT"): D("-0.005")},
        {
            order(ONE, 1, "S1").order_id: exits,
            order(ONE, 1, "T1").order_id: exits,
            order(ONE, 3, "S1").order_id: OpenOrder("BTCUSDT", D(0), "SHORT", D("0.005")),
            "web_1": by_hand,
        },
    )
    by_person, position = unowned_lines(ONE, found)
    assert "web_1" in by_person
    assert "LONG position of 0.030" in position
    assert "cover 0.010 of it" in position
