"""Algo orders of the local exchange in a scripted market, over HTTP and its streams."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.futures_client import FuturesClient, with_futures
from tests.support.scripted_market import scripted_market

STOP = {"triggerPrice": "59950.00", "clientAlgoId": "S-1"}


def test_local_binance_algo_orders_stop_is_triggered_and_closes_the_position(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", newClientOrderId="E-1")
        placed = await client.algo("SELL", "LONG", **STOP)
        assert (placed["algoStatus"], placed["orderType"]) == ("NEW", "STOP_MARKET")
        assert (placed["triggerPrice"], placed["workingType"]) == ("59950.00", "CONTRACT_PRICE")
        (waiting,) = await client.get("v1/openAlgoOrders")
        assert (waiting["algoId"], waiting["actualOrderId"]) == (placed["algoId"], "")
        assert await client.get("v1/openOrders") == []
        await client.pass_rows()
        filled = await client.sees_order("S-1", "FILLED")
        assert (filled["o"], filled["ot"], filled["S"]) == ("MARKET", "STOP_MARKET", "SELL")
        # It is triggered by the first trade at or below its price.
        assert Decimal(59949) <= Decimal(filled["ap"]) <= Decimal(59950)
        finished = await client.sees_algo("S-1", "FINISHED")
        assert (finished["ai"], finished["aq"]) == (str(filled["i"]), "0.010")
        assert client.story()[3:] == [
            "ALGO_UPDATE NEW",
            "ALGO_UPDATE TRIGGERING",
            "ORDER_TRADE_UPDATE NEW NEW",
            "ACCOUNT_UPDATE ORDER",
            "ORDER_TRADE_UPDATE TRADE FILLED",
            # The algo service reports later than the matching engine.
            "ALGO_UPDATE TRIGGERED",
            "ALGO_UPDATE FINISHED",
        ]
        assert (await client.position())["positionAmt"] == "0"
        assert await client.get("v1/openAlgoOrders") == []
        done = await client.get("v1/algoOrder", clientAlgoId="S-1")
        assert (done["algoStatus"], done["actualOrderId"]) == ("FINISHED", str(filled["i"]))
        assert done["triggerTime"] == filled["T"]
        (listed,) = await client.get("v1/allAlgoOrders", symbol="BTCUSDT")
        assert listed == done
        order = await client.get("v1/order", symbol="BTCUSDT", origClientOrderId="S-1")
        assert (order["orderId"], order["stopPrice"]) == (filled["i"], "59950.00")

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "59900.00"),))


@pytest.mark.parametrize(
    ("side", "position_side", "kind", "trigger", "falls"),
    [
        ("SELL", "LONG", "STOP_MARKET", "59950.00", True),
        ("SELL", "LONG", "TAKE_PROFIT_MARKET", "60050.00", False),
        ("BUY", "SHORT", "STOP_MARKET", "60050.00", False),
        ("BUY", "SHORT", "TAKE_PROFIT_MARKET", "59950.00", True),
    ],
)
@pytest.mark.parametrize("working_type", ["CONTRACT_PRICE", "MARK_PRICE"])
def test_local_binance_algo_orders_directions(
    tmp_path: Path,
    side: str,
    position_side: str,
    kind: str,
    trigger: str,
    falls: bool,
    working_type: str,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("SELL" if side == "BUY" else "BUY", position_side)
        params = {"type": kind, "workingType": working_type, "clientAlgoId": "A-1"}
        await client.algo(side, position_side, triggerPrice=trigger, **params)
        await client.pass_rows()  # away from it
        assert len(await client.get("v1/openAlgoOrders")) == 1
        # On the other side of the price it would be triggered at once.
        other = "60050.00" if falls else "59950.00"
        beyond = {"triggerPrice": other, **params, "clientAlgoId": "A-2"}
        assert await client.algo_code(side, position_side, **beyond) == -2021
        await client.pass_rows(2)
        await client.sees_algo("A-1", "FINISHED")
        assert (await client.position(position_side))["positionAmt"] == "0"

    away, towards = ("60010.00", "59900.00") if falls else ("59990.00", "60100.00")
    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", away, "60000.00", towards),))


def test_local_binance_algo_orders_stop_limit_rests_at_its_price(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG")
        limit = {"type": "STOP", "price": "59980.00", "timeInForce": "GTC"}
        await client.algo("SELL", "LONG", **STOP, **limit)
        await client.pass_rows()  # 59900: triggered, but nobody buys at 59980
        await client.sees_algo("S-1", "TRIGGERED")
        (resting,) = await client.get("v1/openOrders", symbol="BTCUSDT")
        assert (resting["type"], resting["price"]) == ("LIMIT", "59980.00")
        # It is an ordinary order now.
        assert await client.code("DELETE", "v1/algoOrder", clientAlgoId="S-1") == -2011
        await client.pass_rows()
        filled = await client.sees_order("S-1", "FILLED")
        assert (filled["L"], filled["m"]) == ("59980.00", True)
        await client.sees_algo("S-1", "FINISHED")

    market = scripted_market(tmp_path, "60000.00", "59900.00", "60000.00")
    with_futures(use, replay=(market,))


def test_local_binance_algo_orders_post_only_stop_limit_never_takes(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG")
        limit = {"type": "STOP", "price": "59900.00", "timeInForce": "GTX"}
        await client.algo("SELL", "LONG", **STOP, **limit)
        await client.pass_rows()  # triggered at 59950, where a sale at 59900 would take
        ended = await client.sees_order("S-1", "EXPIRED")
        assert Decimal(ended["z"]) == 0
        await client.sees_algo("S-1", "FINISHED")
        assert (await client.position())["positionAmt"] == "0.01"

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "59900.00"),))


def test_local_binance_algo_orders_cancelled_order_of_a_stop_limit_finishes_it(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG")
        limit = {"type": "STOP", "price": "59980.00", "timeInForce": "GTC"}
        await client.algo("SELL", "LONG", **STOP, **limit)
        await client.pass_rows()
        await client.delete("v1/order", symbol="BTCUSDT", origClientOrderId="S-1")
        finished = await client.sees_algo("S-1", "FINISHED")
        assert Decimal(finished["aq"]) == 0
        await client.sees_order("S-1", "CANCELED")

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "59900.00"),))


def test_local_binance_algo_orders_trailing_stop_follows_the_price(tmp_path: Path) -> None:
    """It is activated at 60300, follows to 60600, and is triggered 0.5 % below that: 60297."""

    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG")
        trailing = {"type": "TRAILING_STOP_MARKET", "callbackRate": "0.5"}
        placed = await client.algo(
            "SELL", "LONG", activatePrice="60300.00", clientAlgoId="S-1", **trailing
        )
        assert (placed["callbackRate"], placed["activatePrice"]) == ("0.5", "60300.00")
        await client.pass_rows()  # 59600: not active yet
        assert len(await client.get("v1/openAlgoOrders")) == 1
        await client.pass_rows()  # 60600
        assert len(await client.get("v1/openAlgoOrders")) == 1
        await client.pass_rows()  # 60000
        filled = await client.sees_order("S-1", "FILLED")
        assert Decimal(60295) <= Decimal(filled["ap"]) <= Decimal(60297)

    market = scripted_market(tmp_path, "60000.00", "59600.00", "60600.00", "60000.00")
    with_futures(use, replay=(market,))


def test_local_binance_algo_orders_close_position_closes_what_there_is(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        whole = {"closePosition": "true", "quantity": None}
        await client.algo("SELL", "LONG", triggerPrice="59950.00", clientAlgoId="S-1", **whole)
        await client.algo("SELL", "LONG", triggerPrice="59920.00", clientAlgoId="S-2", **whole)
        await client.place("BUY", "LONG", quantity="0.013")
        await client.place("BUY", "LONG", quantity="0.004")
        await client.pass_rows()
        filled = await client.sees_order("S-1", "FILLED")
        assert (filled["q"], filled["cp"]) == ("0.017", True)
        assert (await client.position())["positionAmt"] == "0"
        # The second one has nothing to close.
        assert (await client.sees_algo("S-2", "EXPIRED"))["ai"] == ""

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "59900.00"),))


def test_local_binance_algo_orders_without_a_position_are_rejected_when_triggered(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.algo("SELL", "LONG", **STOP)
        await client.pass_rows()
        rejected = await client.sees_algo("S-1", "REJECTED")
        assert (rejected["rm"], rejected["ai"]) == ("Reduce Only reject", "")
        assert await client.get("v1/openAlgoOrders") == []
        assert await client.get("v1/allOrders", symbol="BTCUSDT") == []

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "59900.00"),))


def test_local_binance_algo_orders_can_stick_at_their_trigger(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.control("POST", "faults", "stick-trigger:times=1")
        await client.place("BUY", "LONG")
        await client.algo("SELL", "LONG", **STOP)
        await client.pass_rows()
        await client.sees_algo("S-1", "TRIGGERING")
        stuck = await client.get("v1/algoOrder", clientAlgoId="S-1")
        assert (stuck["algoStatus"], stuck["actualOrderId"]) == ("TRIGGERING", "")
        assert await client.get("v1/openAlgoOrders") == []
        assert await client.code("DELETE", "v1/algoOrder", clientAlgoId="S-1") == -2011
        assert (await client.position())["positionAmt"] == "0.01"
        # The next one works.
        await client.algo("SELL", "LONG", triggerPrice="59850.00", clientAlgoId="S-2")
        await client.pass_rows()
        await client.sees_order("S-2", "FILLED")
        assert client.story().count("ALGO_UPDATE TRIGGERING") == 2

    market = scripted_market(tmp_path, "60000.00", "59900.00", "59800.00")
    with_futures(use, replay=(market,))


def test_local_binance_algo_orders_can_stick_for_a_time(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.control("POST", "faults", "stick-trigger=4m")
        await client.place("BUY", "LONG")
        await client.algo("SELL", "LONG", **STOP)
        await client.pass_rows()
        triggered = await client.sees_algo("S-1", "TRIGGERING")
        assert (await client.position())["positionAmt"] == "0.01"
        await client.pass_rows()
        filled = await client.sees_order("S-1", "FILLED")
        assert filled["T"] == triggered["tt"] + 240_000
        assert (await client.position())["positionAmt"] == "0"
        await client.sees_algo("S-1", "FINISHED")

    market = scripted_market(tmp_path, "60000.00", "59900.00", "59900.00")
    with_futures(use, replay=(market,))


def test_local_binance_algo_orders_can_open_a_position(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        opening = {"triggerPrice": "60050.00", "clientAlgoId": "O-1"}
        await client.algo("BUY", "LONG", **opening)
        too_large = {"triggerPrice": "60060.00", "clientAlgoId": "O-2", "quantity": "9"}
        await client.algo("BUY", "LONG", **too_large)
        await client.pass_rows()
        assert (await client.sees_order("O-1", "FILLED"))["S"] == "BUY"
        rejected = await client.sees_algo("O-2", "REJECTED")
        assert rejected["rm"] == "Margin is insufficient."
        assert (await client.position())["positionAmt"] == "0.01"

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "60100.00"),))


def test_local_binance_algo_orders_ids_limits_and_cancels(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        for number in range(200):
            await client.algo("SELL", "LONG", triggerPrice="59000.00", clientAlgoId=f"S-{number}")
        another = {"triggerPrice": "59000.00", "clientAlgoId": "S-200"}
        assert await client.algo_code("SELL", "LONG", **another) == -4045
        gone = await client.delete("v1/algoOrder", clientAlgoId="S-0")
        assert (gone["clientAlgoId"], gone["code"]) == ("S-0", "200")
        assert (await client.sees_algo("S-0", "CANCELED"))["X"] == "CANCELED"
        assert await client.code("DELETE", "v1/algoOrder", clientAlgoId="S-0") == -2011
        assert await client.code("GET", "v1/algoOrder", clientAlgoId="S-999") == -2013
        double = another | {"clientAlgoId": "S-1"}
        assert await client.algo_code("SELL", "LONG", **double) == -4116
        await client.algo("SELL", "LONG", **another)
        await client.delete("v1/algoOpenOrders", symbol="BTCUSDT")
        assert await client.get("v1/openAlgoOrders") == []
        assert len(await client.get("v1/allAlgoOrders", symbol="BTCUSDT")) == 201

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


@pytest.mark.parametrize(
    ("code", "params"),
    [
        (-2021, {"triggerPrice": "60000.00"}),
        (-1102, {"triggerPrice": None}),
        (-1111, {"triggerPrice": "59000.001"}),
        (-4014, {"triggerPrice": "59000.05"}),
        (-1111, {"quantity": "0.0005"}),
        (-4061, {"positionSide": None}),
        (-1106, {"reduceOnly": "true"}),
        (-1106, {"closePosition": "true"}),  # with a quantity
        (-1102, {"type": "STOP"}),  # without a price
        (-1115, {"timeInForce": "GTX"}),  # a market order always takes
        (-1116, {"type": "LIMIT"}),
        (-1121, {"symbol": "NOPEUSDT"}),
    ],
)
def test_local_binance_algo_orders_refusals(
    tmp_path: Path, code: int, params: dict[str, object]
) -> None:
    async def use(client: FuturesClient) -> None:
        sent = {"triggerPrice": "59000.00"} | params
        assert await client.algo_code("SELL", "LONG", **sent) == code
        assert await client.get("v1/openAlgoOrders") == []

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))
