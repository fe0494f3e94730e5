"""Of two traders exactly the one that started later stops, whichever of them looks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.cache.cache import Cache

from warmup_job.binance.account_reader import AccountReader, AccountSnapshot, OpenOrder
from warmup_job.errors import LiveRefusedError
from warmup_job.handoff.live_account.other_trader_watch import (
    OtherTraderWatch,
    other_traders_problem,
    unowned_lines,
)
from warmup_job.handoff.live_account.other_traders import (
    OtherTrader,
    SeenOrder,
    other_traders,
    started_later,
)
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


def test_other_traders_conditional_orders_do_not_make_both_stop() -> None:
    """The history of orders, which each of them reads for its own, does not show its stops."""
    first_stop = order(ONE, 60, "S1")._replace(number=0)
    later_stop = order(OTHER, 51, "S1")._replace(number=0)
    entries = [order(ONE, 52), order(OTHER, 70)]

    def is_stopped(mine: TraderIdentity, theirs: TraderIdentity, history: list[SeenOrder]) -> bool:
        orders = [first_stop, later_stop, *history]
        found = OtherTrader(
            theirs.tag, tuple(each for each in orders if theirs.tag in each.order_id)
        )
        return started_later(mine, found, history, lambda order_id: mine.tag in order_id)

    assert not is_stopped(ONE, OTHER, entries)
    assert is_stopped(OTHER, ONE, entries)
    assert not is_stopped(ONE, OTHER, entries[:1])
    assert is_stopped(OTHER, ONE, entries[:1])


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


def test_other_traders_own_stop_of_before_the_start_may_be_triggered() -> None:
    """It becomes an order with the same id, which is younger than the start."""
    stop_id, twin_id = order(ONE, 10, "S1").order_id, order(ONE, 70).order_id
    stop = OpenOrder("BTCUSDT", D(0), "LONG", D("0.010"), created_ms=10)
    triggered = stop._replace(created_ms=60, number=7)
    history = {stop_id: triggered, twin_id: stop._replace(created_ms=70, number=8)}
    watch = OtherTraderWatch(COPY, History(history), Cache())

    async def run() -> None:
        await watch.look(AccountSnapshot({}, {stop_id: stop}, began_ms=50))
        await watch.look(AccountSnapshot({}, {stop_id: triggered}, began_ms=65))
        with pytest.raises(LiveRefusedError, match=twin_id):
            await watch.look(AccountSnapshot({}, history, began_ms=75))

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
