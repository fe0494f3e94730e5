"""Stops that were triggered and became no order, over HTTP to the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.adapters.binance.common.enums import (
    BinanceFuturesPositionSide,
    BinanceOrderSide,
    BinanceOrderType,
)
from nautilus_trader.model.events import OrderCanceled, OrderExpired, OrderFilled, OrderUpdated
from nautilus_trader.model.identifiers import ClientOrderId, TradeId, VenueOrderId
from nautilus_trader.model.orders import Order
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from tests.support.account_desk import (
    LONG,
    Desk,
    at_the_desk,
    tell_algo,
    tell_order,
)
from tests.support.exchange import Exchange
from tests.support.sent_orders import STOP, take
from tests.support.suite import HANG_S
from tests.support.waiting import until_async
from warmup_job.handoff.live_account import stuck_triggers
from warmup_job.handoff.live_account.stuck_triggers import StuckTriggers

Start = Callable[..., Exchange]


def engine_events(desk: Desk) -> list[Any]:
    """Return the list that gets the client's events of orders, and let no trigger wait."""
    desk.client.triggers = StuckTriggers(
        desk.client.orders, desk.client._is_at_trigger, desk.client._report_gone, stuck_s=0
    )
    return desk.events


def accepted_stop(desk: Desk, algo_id: int = 5) -> Order:
    """Let Nautilus believe that a stop of a LONG position is open."""
    stop = desk.new_stop(STOP)
    stop.apply(TestEventStubs.order_submitted(stop))
    stop.apply(TestEventStubs.order_accepted(stop, venue_order_id=VenueOrderId(str(algo_id))))
    desk.cache.update_order(stop)
    return stop


def kinds(events: list[Any]) -> list[type]:
    return [type(each) for each in events]


def test_a_stop_that_the_exchange_does_not_know_after_its_trigger_expires(
    start_exchange: Start,
) -> None:
    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        accepted_stop(desk)
        tell_algo(desk, "TRIGGERING")
        await until_async(lambda: events)
        return events

    (event,) = at_the_desk(start_exchange(), work)
    assert isinstance(event, OrderExpired)
    assert event.client_order_id == ClientOrderId(STOP)


def test_a_triggered_stop_whose_query_never_succeeds_is_left_to_the_readings_of_the_account(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be followed, and so never be compared, for as long as its query fails."""
    running = start_exchange()
    monkeypatch.setattr(stuck_triggers, "UNANSWERED_S", 0.5)

    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        accepted_stop(desk)
        running.fault("503@GET/algoOrder")
        async with asyncio.timeout(HANG_S):
            await desk.client.triggers.follow(STOP)
        assert desk.client.triggers.followed == set()
        return events

    assert at_the_desk(running, work) == []


def test_a_stop_that_became_an_order_is_not_asked_for(start_exchange: Start) -> None:
    running = start_exchange()

    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        stop = accepted_stop(desk)
        tell_algo(desk, "TRIGGERING")
        tell_algo(desk, "TRIGGERED", ai="7")
        stop.apply(events[0])
        await until_async(lambda: not desk.client._tasks)
        return events

    assert kinds(at_the_desk(running, work)) == [OrderUpdated]
    assert not [each for each in running.requests() if each["path"].endswith("algoOrder")]


def test_a_late_fill_of_a_stop_that_counted_as_gone_is_booked_once(start_exchange: Start) -> None:
    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        stop = accepted_stop(desk)
        tell_algo(desk, "TRIGGERING")
        await until_async(lambda: events)
        stop.apply(events[0])
        tell_order(desk, "NEW", "NEW")
        for _ in range(2):  # the exchange may tell it twice
            tell_order(desk, "TRADE", "FILLED", trade_id=9)
        tell_algo(desk, "FINISHED", ai="7", aq="0.010", ap="20000")
        return events

    expired, updated, filled = at_the_desk(start_exchange(), work)
    assert kinds([expired, updated, filled]) == [OrderExpired, OrderUpdated, OrderFilled]
    assert updated.venue_order_id == filled.venue_order_id == VenueOrderId("7")
    assert filled.last_qty.as_decimal() == Decimal("0.010")
    assert filled.position_id == LONG


def test_a_fill_is_booked_once_when_the_end_of_its_stop_is_told_first(
    start_exchange: Start,
) -> None:
    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        stop = accepted_stop(desk)
        tell_algo(desk, "TRIGGERED", ai="7")
        stop.apply(events[0])
        tell_algo(desk, "FINISHED", ai="7", aq="0.010", ap="20000")
        tell_order(desk, "TRADE", "FILLED", trade_id=9)
        return events

    updated, filled = at_the_desk(start_exchange(), work)
    assert kinds([updated, filled]) == [OrderUpdated, OrderFilled]
    assert filled.trade_id == TradeId("9")
    assert filled.last_qty.as_decimal() == Decimal("0.010")


def test_the_end_of_a_stop_that_was_not_filled_closes_it(start_exchange: Start) -> None:
    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        accepted_stop(desk)
        tell_algo(desk, "FINISHED", ai="7", aq="0", ap="0")
        return events

    updated, cancelled = at_the_desk(start_exchange(), work)
    assert kinds([updated, cancelled]) == [OrderUpdated, OrderCanceled]
    assert updated.venue_order_id == cancelled.venue_order_id == VenueOrderId("7")


def test_a_stop_that_sticks_is_found_without_its_events(start_exchange: Start) -> None:
    """Its price is reached by a market that moves; no event of the stream arrives."""
    running = start_exchange(volatility_bps=200.0)
    running.fault("stick-trigger")

    async def work(desk: Desk) -> list[Any]:
        events = engine_events(desk)
        await take(desk.client.orders, "0.010")
        price = float((await desk.client.orders.query_order("BTCUSDT", None, "taken")).avgPrice)
        placed = await desk.client.orders.new_algo_order(
            symbol="BTCUSDT",
            side=BinanceOrderSide.BUY,
            order_type=BinanceOrderType.STOP_MARKET,
            position_side=BinanceFuturesPositionSide.LONG,
            quantity="0.010",
            trigger_price=f"{price * 1.0005:.1f}",
            client_algo_id=STOP,
        )
        accepted_stop(desk, placed.algoId)
        async with asyncio.timeout(HANG_S):
            while not events:  # it is asked for only after its trigger
                await desk.status(positions=False)
                await asyncio.sleep(0.1)
        found = await desk.client.orders.find_algo_order(STOP)
        assert found is not None
        assert (found.algoStatus, found.actualOrderId) == ("TRIGGERING", "")
        return events

    assert kinds(at_the_desk(running, work)) == [OrderExpired]
