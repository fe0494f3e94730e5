"""What the execution client reports to Nautilus, over HTTP from the local exchange."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger
from nautilus_trader.execution.reports import ExecutionMassStatus, OrderStatusReport
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.events import OrderAccepted
from nautilus_trader.model.identifiers import (
    ClientOrderId,
    VenueOrderId,
)
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from tests.support.account_desk import BTC, LONG, Desk, at_the_desk
from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from tests.support.keys import WRITTEN, public_pem
from tests.support.sent_orders import ENTRY, STOP, place, take
from tests.support.suite import HANG_S
from tests.support.waiting import until_async
from warmup_job.binance.unknown_outcome import may_send_again
from warmup_job.handoff.live_account import account_client, listen_keys

Start = Callable[..., Exchange]
EARLIER_NS = 10_000_000_000


def test_a_start_reports_what_is_open_and_nothing_of_the_past(start_exchange: Start) -> None:
    running = start_exchange()

    async def work(desk: Desk) -> ExecutionMassStatus:
        await take(desk.client.orders, "0.010")
        await place(desk.client.orders, ENTRY)
        status = await desk.client.generate_mass_status()
        assert status is not None
        return status

    status = at_the_desk(running, work)
    (order,) = status.order_reports.values()
    assert order.client_order_id == ClientOrderId(ENTRY)
    assert order.venue_position_id == LONG
    assert status.fill_reports == {}
    ((position,),) = status.position_reports.values()
    assert position.venue_position_id == LONG
    assert position.signed_decimal_qty == Decimal("0.010")


def test_a_position_that_is_taken_over_is_logged(start_exchange: Start) -> None:
    running = start_exchange()

    async def work(desk: Desk) -> None:
        await take(desk.client.orders, "0.010")
        await desk.status()

    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    try:
        at_the_desk(running, work)
    finally:
        logger.remove(sink)
    assert f"position {LONG} is 0.01 at the exchange; taking it over (it was 0 here)\n" in lines


def test_a_filled_order_is_reported_with_its_own_trades_only(start_exchange: Start) -> None:
    running = start_exchange()
    running.fault("history=1")

    async def work(desk: Desk) -> ExecutionMassStatus:
        filled = await take(desk.client.orders, "0.010", "E-2")
        await take(desk.client.orders, "0.020")
        desk.believe("E-2", venue_order_id=filled, age_ns=0)
        return await desk.status(positions=False)

    status = at_the_desk(running, work)
    (order,) = status.order_reports.values()
    assert order.order_status == OrderStatus.FILLED
    fills = status.fill_reports[order.venue_order_id]
    assert sum(fill.last_qty.as_decimal() for fill in fills) == Decimal("0.010")
    assert {fill.venue_position_id for fill in fills} == {LONG}
    assert status.position_reports == {}


def test_an_account_that_the_stream_has_overtaken_is_read_again(start_exchange: Start) -> None:
    """Nautilus refuses a report of an order of which it knows more fills, and does not start."""
    running = start_exchange()

    async def overtaken(desk: Desk, key: str) -> ExecutionMassStatus | None:
        """Read the account while a fill arrives; None: the answers came before it."""
        first, second = f"E-{key}a", f"E-{key}b"
        desk.believe(first, venue_order_id=await take(desk.client.orders, "0.010", first), age_ns=0)
        late = desk.believe(second, venue_order_id=None, age_ns=EARLIER_NS)
        running.fault("delay=1s@userTrades:times=1")
        reading = asyncio.create_task(desk.status())
        await until_async(lambda: running.fault_hits()[-1])
        venue_order_id = VenueOrderId(str(await take(desk.client.orders, "0.010", second)))
        instrument = desk.client._instrument_provider.find(BTC)
        late.apply(TestEventStubs.order_accepted(late, venue_order_id=venue_order_id))
        late.apply(TestEventStubs.order_filled(late, instrument, position_id=LONG))
        desk.cache.update_order(late)
        is_in_time = not reading.done()
        status = await reading
        return status if is_in_time else None

    async def work(desk: Desk) -> tuple[ExecutionMassStatus, int]:
        for number in itertools.count(1):
            status = await overtaken(desk, str(number))
            if status is not None:
                return status, number
        raise AssertionError

    status, number = at_the_desk(running, work)
    reported = {str(each.client_order_id) for each in status.order_reports.values()}
    assert f"E-{number}b" not in reported  # of which the exchange had not heard at first
    assert f"E-{number}a" in reported
    ((position,),) = status.position_reports.values()
    assert position.quantity.as_decimal() == Decimal("0.020") * number


FAULTS_OF_EVENTS = ("", "user-mute", "user-late=1s", "user-double", "delay=1s@POST/algoOrder")


def test_an_order_that_never_arrived_is_rejected_so_that_it_may_be_sent_again(
    start_exchange: Start,
) -> None:
    running = start_exchange()

    async def work(desk: Desk) -> ExecutionMassStatus:
        desk.believe("E-3", venue_order_id=None, age_ns=EARLIER_NS)
        return await desk.status()

    (order,) = at_the_desk(running, work).order_reports.values()
    assert order.order_status == OrderStatus.REJECTED
    assert may_send_again(order.cancel_reason)


def test_an_order_on_its_way_is_not_judged_and_neither_are_the_positions(
    start_exchange: Start,
) -> None:
    running = start_exchange()

    async def work(desk: Desk) -> ExecutionMassStatus:
        await take(desk.client.orders, "0.010")
        desk.believe("E-4", venue_order_id=None, age_ns=0)
        return await desk.status()

    status = at_the_desk(running, work)
    assert status.order_reports == {}
    assert status.position_reports == {}


def test_half_an_account_is_not_reported(start_exchange: Start) -> None:
    running = start_exchange()
    running.fault("503@*/openAlgoOrders")
    assert at_the_desk(running, lambda desk: desk.client.generate_mass_status()) is None


def test_a_deep_ladder_that_has_gone_is_reconciled_in_time(
    start_exchange: Start,
) -> None:
    """60 answers, each 500 ms after its request: one after another they take longer than 20 s."""
    running = start_exchange()
    running.fault("delay=500ms@GET/order")

    async def work(desk: Desk) -> list[Any]:
        for number in range(60):
            desk.believe(f"E-{number}", venue_order_id=None, age_ns=EARLIER_NS)
        assert await desk.client.renew_stream()
        await desk.client._disconnect()
        return desk.reports

    (status,) = at_the_desk(running, work)
    assert len(status.order_reports) == 60


def test_a_liquidation_is_reported_on_the_position_that_it_closes(start_exchange: Start) -> None:
    order = {
        "s": "BTCUSDT", "c": "autoclose-1", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.010",
        "p": "40000", "ap": "40000", "sp": "0", "x": "CALCULATED", "X": "FILLED", "i": 7,
        "l": "0.010", "z": "0.010", "L": "40000", "N": "USDT", "n": "0.2", "T": 1_700_000_000_000,
        "t": 9, "b": "0", "a": "0", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT",
        "ps": "LONG", "cp": False, "rp": "-1", "pP": False, "si": 0, "ss": 0, "V": "NONE",
        "pm": "NONE", "gtd": 0,
    }  # fmt: skip
    event = {"e": "ORDER_TRADE_UPDATE", "E": 1_700_000_000_000, "T": 1_700_000_000_000, "o": order}

    async def work(desk: Desk) -> list[Any]:
        desk.client._handle_user_ws_message(json.dumps(event).encode())
        return desk.reports

    reports = at_the_desk(start_exchange(), work)
    assert [type(each) for each in reports][:1] == [OrderStatusReport]
    assert [each.venue_position_id for each in reports] == [LONG, LONG]


@pytest.mark.parametrize("fault", FAULTS_OF_EVENTS)
def test_a_stop_is_told_as_accepted_once_by_its_answer_or_its_event(
    start_exchange: Start, fault: str
) -> None:
    """An event that never comes costs no repair of the account."""
    running = start_exchange()

    async def work(desk: Desk) -> None:
        client = desk.client
        assert await client.renew_stream()
        if fault:
            running.fault(fault)
        desk.submit_stop(STOP)
        await place(client.orders, STOP)
        (accepted,) = desk.events
        assert isinstance(accepted, OrderAccepted)
        stop = desk.cache.order(ClientOrderId(STOP))
        (there,) = await client.orders.query_open_algo_orders("BTCUSDT")
        assert (stop.status, stop.venue_order_id.value) == (OrderStatus.ACCEPTED, str(there.algoId))
        if fault != "user-mute":
            await until_async(lambda: client.event_age_s is not None)
        assert desk.events == [accepted]
        await client._disconnect()

    at_the_desk(running, work)


def test_fills_of_a_foreign_stop_are_left_to_the_events_of_the_fills(
    start_exchange: Start,
) -> None:
    """Its end may be told before its fill, which Nautilus would then book twice."""
    stop = {
        "caid": "by-hand", "aid": 5, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT",
        "S": "SELL", "ps": "LONG", "f": "GTC", "q": "0.010", "X": "FINISHED", "ai": "7",
        "ap": "40000.0", "aq": "0.010", "act": "MARKET", "tp": "40000.0", "p": "0",
        "V": "NONE", "wt": "CONTRACT_PRICE", "pm": "NONE", "cp": False, "pP": False, "R": False,
        "tt": 1_700_000_000_000, "gtd": 0,
    }  # fmt: skip
    event = {"e": "ALGO_UPDATE", "E": 1_700_000_000_000, "T": 1_700_000_000_000, "o": stop}

    async def work(desk: Desk) -> list[Any]:
        desk.client._handle_user_ws_message(json.dumps(event).encode())
        unfilled = event | {"o": stop | {"aq": "0", "ap": "0"}}
        desk.client._handle_user_ws_message(json.dumps(unfilled).encode())
        return desk.reports

    (report,) = at_the_desk(start_exchange(), work)
    assert report.order_status == OrderStatus.CANCELED


@pytest.mark.parametrize("key", ["HMAC", "Ed25519"])
def test_a_trader_that_stops_does_not_end_the_stream_of_another_one(
    start_exchange: Start, key: str
) -> None:
    """All user data streams of an account have the same listen key."""
    is_hmac = key == "HMAC"
    running = start_exchange() if is_hmac else start_exchange(api_secret=public_pem())

    async def work(desk: Desk) -> None:
        other = Desk(running, LIVE_KEYS["SECRET"] if is_hmac else WRITTEN)
        for each in (desk, other):
            assert await each.client.renew_stream()
        await desk.client._disconnect()
        await take(desk.client.orders, "0.010")
        await until_async(lambda: other.client.event_age_s is not None)
        assert other.client.is_stream_up
        await other.client._disconnect()

    at_the_desk(running, work, LIVE_KEYS["SECRET"] if is_hmac else WRITTEN)
    assert "DELETE" not in {each["method"] for each in running.requests()}


def test_a_listen_key_without_an_answer_does_not_keep_the_stream_down(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nautilus asks for a new key by itself when the stream has ended, and holds a lock."""
    running = start_exchange()

    async def work(desk: Desk) -> None:
        client = desk.client
        assert await client.renew_stream()
        running.fault("stall@listenKey")
        with monkeypatch.context() as patched:
            patched.setattr(listen_keys, "ANSWER_S", 0.2)
            async with asyncio.timeout(HANG_S):
                await client._ws_client._resubscribe()
        was_up = client.is_stream_up
        running.clear_faults()
        assert await client.renew_stream()
        assert (was_up, client.is_stream_up) == (False, True)
        await client._disconnect()

    at_the_desk(running, work)


@pytest.mark.parametrize("key", ["HMAC", "Ed25519"])
def test_the_user_data_stream_can_be_renewed(start_exchange: Start, key: str) -> None:
    """With an HMAC key it has a listen key by REST, with an Ed25519 key a session by websocket."""
    is_hmac = key == "HMAC"
    running = start_exchange() if is_hmac else start_exchange(api_secret=public_pem())

    async def work(desk: Desk) -> list[Any]:
        client = desk.client
        assert not client.is_stream_up
        for _ in range(2):
            assert await client.renew_stream(positions=True)
            assert client.is_stream_up
        await take(client.orders, "0.010")
        await until_async(lambda: client.event_age_s is not None)
        await client._disconnect()
        return desk.reports

    reports = at_the_desk(running, work, LIVE_KEYS["SECRET"] if is_hmac else WRITTEN)
    assert [type(each) for each in reports[:2]] == [ExecutionMassStatus] * 2


def test_the_account_is_reconciled_while_the_stream_cannot_be_renewed(
    start_exchange: Start,
) -> None:
    running = start_exchange()
    running.fault("503@listenKey")

    async def work(desk: Desk) -> list[Any]:
        assert await desk.client.renew_stream()
        assert not desk.client.is_stream_up
        return desk.reports

    log = list[str]()
    handler = logger.add(log.append, level="WARNING")
    try:
        assert [type(each) for each in at_the_desk(running, work)] == [ExecutionMassStatus]
    finally:
        logger.remove(handler)
    (line,) = [each for each in log if "cannot renew the user data stream" in each]
    assert "(HTTP 503, code " in line


@pytest.mark.parametrize("faults", [(), ("503@listenKey",)], ids=["hook", "fallback"])
def test_a_reconciliation_without_an_answer_ends_and_the_next_one_can_succeed(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...]
) -> None:
    """Nautilus' HTTP client would wait for ever, and hold back the stream's events meanwhile."""
    running = start_exchange()

    async def work(desk: Desk) -> list[Any]:
        for fault in ("stall@/fapi/v1/openOrders", *faults):
            running.fault(fault)
        with monkeypatch.context() as patched:
            patched.setattr(account_client, "_RECONCILE_S", 0.2)
            async with asyncio.timeout(HANG_S):
                assert not await desk.client.renew_stream()
        assert not desk.client._ws_client._dispatch_paused
        running.clear_faults()
        assert await desk.client.renew_stream()
        await desk.client._disconnect()
        return desk.reports

    assert [type(each) for each in at_the_desk(running, work)] == [ExecutionMassStatus]
