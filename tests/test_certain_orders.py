"""Orders whose outcome is unclear, over HTTP to the local exchange."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.adapters.binance.common.enums import (
    BinanceFuturesPositionSide,
    BinanceOrderSide,
    BinanceOrderType,
    BinanceTimeInForce,
)
from nautilus_trader.adapters.binance.http.error import BinanceError

from tests.support.exchange import Exchange
from tests.support.sent_orders import ENTRY, STOP, orders_at, place, take
from tests.support.suite import HANG_S
from warmup_job.binance.unknown_outcome import may_send_again
from warmup_job.handoff.live_account import certain_orders
from warmup_job.handoff.live_account.certain_orders import CertainOrders

Start = Callable[..., Exchange]


async def cancel(orders: CertainOrders, kind: str) -> None:
    if kind == ENTRY:
        await orders.cancel_order("BTCUSDT", orig_client_order_id=ENTRY)
    else:
        await orders.cancel_algo_order(client_algo_id=STOP)


def open_ids(running: Exchange) -> list[str]:
    return [each["client_id"] for each in running.account()["orders"]]


def sent(running: Exchange, method: str) -> int:
    return sum(
        each["method"] == method and each["path"].lower().endswith("order")
        for each in running.requests()
    )


@pytest.mark.parametrize("kind", [ENTRY, STOP])
@pytest.mark.parametrize("fault", ["unknown=done", "unknown=done/503", "reset@POST/*"])
def test_an_order_that_exists_after_an_unclear_answer_is_placed(
    start_exchange: Start, kind: str, fault: str
) -> None:
    running = start_exchange()
    running.fault(f"{fault}:times=1")
    asyncio.run(place(orders_at(running), kind))
    assert open_ids(running) == [kind]
    assert sent(running, "POST") == 1


@pytest.mark.parametrize("kind", [ENTRY, STOP])
@pytest.mark.parametrize("fault", ["unknown=lost", "unknown=lost/503"])
def test_an_order_that_does_not_exist_after_an_unclear_answer_may_be_sent_again(
    start_exchange: Start, kind: str, fault: str
) -> None:
    running = start_exchange()
    running.fault(f"{fault}:times=1")
    with pytest.raises(BinanceError) as raised:
        asyncio.run(place(orders_at(running), kind))
    assert may_send_again(str(raised.value))
    assert open_ids(running) == []


def test_an_order_whose_request_arrives_late_is_placed(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender waits no longer, and it is not there yet when it is asked for."""
    running = start_exchange()
    running.fault("slow=2s@POST/order:times=1")
    monkeypatch.setattr(certain_orders, "ANSWER_S", 0.2)
    asyncio.run(place(orders_at(running), ENTRY))
    assert open_ids(running) == [ENTRY]


BUY, SELL = BinanceOrderSide.BUY, BinanceOrderSide.SELL
LONG, SHORT = BinanceFuturesPositionSide.LONG, BinanceFuturesPositionSide.SHORT
LIMIT: dict[str, Any] = {
    "order_type": BinanceOrderType.LIMIT,
    "time_in_force": BinanceTimeInForce.GTC,
    "price": "20000.0",
}
MARKET: dict[str, Any] = {"order_type": BinanceOrderType.MARKET}
CONDITIONAL: dict[str, Any] = {
    "order_type": BinanceOrderType.STOP_MARKET, "trigger_price": "10000.0"
}  # fmt: skip
HEDGE_URGENT: dict[str, dict[str, Any]] = {
    "S1-1": CONDITIONAL | {"side": SELL, "position_side": LONG},
    "my-stop": CONDITIONAL | {"side": BUY, "position_side": SHORT},
    "F-1": MARKET | {"side": SELL, "position_side": LONG},
}
HEDGE_OTHERS: dict[str, dict[str, Any]] = {
    "E-1": LIMIT | {"side": BUY, "position_side": LONG},
    "Sell-1": LIMIT | {"side": SELL, "position_side": SHORT},
    "Short-2": MARKET | {"side": SELL, "position_side": SHORT},
    "Stop-entry": CONDITIONAL | {"side": BUY, "position_side": LONG},
    "T1-1": LIMIT | {"side": SELL, "position_side": LONG},
}
ONE_WAY_URGENT: dict[str, dict[str, Any]] = {
    "S1-1": CONDITIONAL | {"side": SELL, "reduce_only": "True"},
    "O-1": MARKET | {"side": BUY, "reduce_only": "True"},
    "all": CONDITIONAL | {"side": SELL, "close_position": "true", "quantity": None},
}
ONE_WAY_OTHERS: dict[str, dict[str, Any]] = {
    "Sell-1": MARKET | {"side": SELL, "reduce_only": "False"},
    "Stop-entry": CONDITIONAL | {"side": BUY, "reduce_only": "False"},
    "Sold": CONDITIONAL | {"side": SELL},
}


@pytest.mark.parametrize(
    ("one_way", "urgent", "others"),
    [(False, HEDGE_URGENT, HEDGE_OTHERS), (True, ONE_WAY_URGENT, ONE_WAY_OTHERS)],
)
def test_only_an_order_that_ends_a_loss_does_not_wait_for_late_requests(
    start_exchange: Start,
    one_way: bool,
    urgent: dict[str, dict[str, Any]],
    others: dict[str, dict[str, Any]],
) -> None:
    """Before, an id that began with S, and every conditional order, did not wait either."""
    running = start_exchange(one_way=one_way)
    running.fault("unknown=lost")
    orders = orders_at(running)

    async def lose(order_id: str, fields: dict[str, Any]) -> None:
        fields = {"symbol": "BTCUSDT", "quantity": "0.010"} | fields
        is_conditional = "trigger_price" in fields
        send = orders.new_algo_order if is_conditional else orders.new_order
        name = "client_algo_id" if is_conditional else "new_client_order_id"
        with pytest.raises(BinanceError, match="NOT_PLACED"):
            await send(**fields, **{name: order_id})

    async def lose_all() -> None:
        await asyncio.gather(*(lose(*each) for each in (urgent | others).items()))

    asyncio.run(lose_all())
    asked = Counter(
        each["params"].get("origClientOrderId") or each["params"].get("clientAlgoId")
        for each in running.requests()
        if each["method"] == "GET"
    )
    assert {each: asked[each] for each in urgent} == dict.fromkeys(urgent, 3)
    assert all(asked[each] > 3 for each in others), asked


def test_an_order_whose_query_never_succeeds_is_left_to_the_readings_of_the_account(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for being on its way for ever, and never be compared."""
    running = start_exchange()
    running.fault("unknown=done@POST/order:times=1")
    running.fault("503@GET/order")
    monkeypatch.setattr(certain_orders, "UNANSWERED_S", 0.5)
    orders = orders_at(running)

    async def run() -> None:
        task = asyncio.create_task(place(orders, ENTRY))
        async with asyncio.timeout(HANG_S):
            while not orders.under_way:
                await asyncio.sleep(0.01)
            while orders.under_way:
                await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()

    asyncio.run(run())
    assert open_ids(running) == [ENTRY]


def test_an_order_is_under_way_until_its_placement_is_answered_although_its_cancel_is(
    start_exchange: Start,
) -> None:
    """Before, the cancel's end removed the mark of both."""
    running = start_exchange()
    running.fault("unknown=done@POST/order:times=1")
    running.fault("503@GET/order")
    orders = orders_at(running)

    async def run() -> None:
        task = asyncio.create_task(place(orders, ENTRY))
        async with asyncio.timeout(HANG_S):
            while not sent(running, "GET"):
                await asyncio.sleep(0.01)
        await cancel(orders, ENTRY)
        assert orders.under_way == {ENTRY}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert orders.under_way == set()

    asyncio.run(run())
    assert open_ids(running) == []


def test_the_outcome_is_asked_for_until_the_exchange_answers(start_exchange: Start) -> None:
    running = start_exchange()
    running.fault("unknown=done@POST/order:times=1")
    running.fault("503@GET/order:times=2")
    orders = orders_at(running)

    async def run() -> set[str]:
        task = asyncio.create_task(place(orders, ENTRY))
        while not sent(running, "GET"):
            await asyncio.sleep(0.01)
        meanwhile = orders.under_way
        await task
        assert orders.under_way == set()
        return meanwhile

    assert asyncio.run(run()) == {ENTRY}
    assert open_ids(running) == [ENTRY]


@pytest.mark.parametrize("kind", [ENTRY, STOP])
@pytest.mark.parametrize("status", [403, 451])
def test_an_order_that_something_in_front_of_the_exchange_refuses_may_be_sent_again(
    start_exchange: Start, kind: str, status: int
) -> None:
    running = start_exchange()
    running.fault(f"{status}@POST/*:times=1")
    with pytest.raises(BinanceError) as raised:
        asyncio.run(place(orders_at(running), kind))
    assert may_send_again(str(raised.value))
    assert open_ids(running) == []
    assert sent(running, "GET") == 0, "it is known that it does not exist"


@pytest.mark.parametrize("fault", ["overload", "reject=-2019"])
def test_a_refused_order_is_not_asked_for(start_exchange: Start, fault: str) -> None:
    running = start_exchange()
    running.fault(f"{fault}:times=1")
    with pytest.raises(BinanceError) as raised:
        asyncio.run(place(orders_at(running), ENTRY))
    assert not may_send_again(str(raised.value))
    assert sent(running, "GET") == 0


@pytest.mark.parametrize("kind", [ENTRY, STOP])
def test_a_cancel_with_an_unclear_answer_is_done_if_the_order_is_closed(
    start_exchange: Start, kind: str
) -> None:
    running = start_exchange()
    orders = orders_at(running)

    async def run() -> None:
        await place(orders, kind)
        running.fault("unknown=done:times=1")
        await cancel(orders, kind)

    asyncio.run(run())
    assert open_ids(running) == []


@pytest.mark.parametrize("kind", [ENTRY, STOP])
def test_a_cancel_with_an_unclear_answer_has_failed_if_the_order_is_open(
    start_exchange: Start, kind: str
) -> None:
    running = start_exchange()
    orders = orders_at(running)

    async def run() -> None:
        await place(orders, kind)
        running.fault("unknown=lost:times=1")
        with pytest.raises(BinanceError, match="had no effect"):
            await cancel(orders, kind)

    asyncio.run(run())
    assert open_ids(running) == [kind]


def test_a_cancel_of_an_order_that_has_been_filled_is_done(start_exchange: Start) -> None:
    running = start_exchange()
    orders = orders_at(running)

    async def run() -> None:
        await take(orders, "0.010")
        await orders.cancel_order("BTCUSDT", orig_client_order_id="taken")

    asyncio.run(run())
    assert len(running.account()["positions"]) == 1


def test_a_cancel_of_an_order_that_never_existed_fails(start_exchange: Start) -> None:
    with pytest.raises(BinanceError, match="-2011"):
        asyncio.run(cancel(orders_at(start_exchange()), ENTRY))
