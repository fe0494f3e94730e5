"""Orders of the local exchange over HTTP: what clients send, get back, and find later."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.account_client import AccountClient, with_account
from tests.support.commands import job_process
from warmup_job.errors import ConfigError
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import start

MINUTE_START = 1_780_000_020_000
STANDING: dict[str, Any] = {"now_ms": MINUTE_START + 1_000, "speed": 0.001}
"""Options of an exchange whose clock and prices nearly stand still."""
NEW = {"symbol": "BTCUSDT", "side": "BUY", "positionSide": "LONG"}


def test_local_binance_orders_market_order_fills_and_is_found_everywhere() -> None:
    async def use(client: AccountClient) -> None:
        accepted = await client.granted(
            "POST", "v1/order", **NEW, type="MARKET", quantity="0.02", newClientOrderId="E-1"
        )
        # Without newOrderRespType=RESULT the answer is only the acceptance.
        assert (accepted["status"], accepted["executedQty"]) == ("NEW", "0.000")
        result = await client.order("SELL", "LONG", "0.005", newClientOrderId="T-1")
        assert (result["status"], result["executedQty"], result["clientOrderId"]) == (
            "FILLED", "0.005", "T-1",
        )  # fmt: skip

        by_id = {"symbol": "BTCUSDT", "orderId": accepted["orderId"]}
        by_name = {"symbol": "BTCUSDT", "origClientOrderId": "E-1"}
        order = await client.granted("GET", "v1/order", **by_id)
        assert order == await client.granted("GET", "v1/order", **by_name)
        assert (order["status"], order["executedQty"]) == ("FILLED", "0.020")
        assert await client.refused("GET", "v1/openOrder", **by_name) == (400, -2013)
        orders = await client.granted("GET", "v1/allOrders", symbol="BTCUSDT")
        assert [each["clientOrderId"] for each in orders] == ["E-1", "T-1"]

        trades = await client.granted("GET", "v1/userTrades", symbol="BTCUSDT")
        assert sum(float(trade["qty"]) for trade in trades) == pytest.approx(0.025)
        last = trades[-1]
        assert (last["side"], last["positionSide"], last["maker"]) == ("SELL", "LONG", False)
        of_one = await client.granted("GET", "v1/userTrades", **by_id)
        assert {trade["orderId"] for trade in of_one} == {accepted["orderId"]}

        (position,) = await client.granted("GET", "v3/positionRisk")
        assert (position["positionSide"], position["positionAmt"]) == ("LONG", "0.015")
        rows = await client.granted("GET", "v2/positionRisk", symbol="BTCUSDT")
        assert {row["positionSide"]: row["positionAmt"] for row in rows} == {
            "LONG": "0.015", "SHORT": "0",
        }  # fmt: skip
        income = await client.granted("GET", "v1/income", incomeType="COMMISSION")
        assert len(income) == len(trades)
        wallet = (await client.granted("GET", "v3/balance"))[0]["balance"]
        changes = await client.granted("GET", "v1/income")
        assert float(wallet) == pytest.approx(10_000 + sum(float(row["income"]) for row in changes))

    with_account(use, **STANDING)


def test_local_binance_orders_resting_order_is_changed_and_cancelled() -> None:
    async def use(client: AccountClient) -> None:
        low = round(await client.price() * 0.97, 1)
        order = await client.order("BUY", "LONG", "0.01", price=low, newClientOrderId="E-1")
        assert order["status"] == "NEW"
        name = {"symbol": "BTCUSDT", "origClientOrderId": "E-1"}
        assert (await client.granted("GET", "v1/openOrder", **name))["orderId"] == order["orderId"]
        duplicate = {"type": "MARKET", "quantity": "0.01", "newClientOrderId": "E-1"}
        assert await client.refused("POST", "v1/order", **NEW, **duplicate) == (400, -4116)

        change = {"side": "BUY", "quantity": "0.02", "price": round(low - 10, 1)}
        changed = await client.granted("PUT", "v1/order", **name, **change)
        assert (changed["origQty"], float(changed["price"])) == ("0.020", change["price"])
        assert await client.refused("PUT", "v1/order", **name, **change) == (400, -5027)

        listed = await client.granted("GET", "v1/openOrders")
        assert [each["origQty"] for each in listed] == ["0.020"]
        assert await client.granted("GET", "v1/openOrders", symbol="ETHUSDT") == []
        gone = await client.granted("DELETE", "v1/order", **name)
        assert gone["status"] == "CANCELED"
        assert await client.refused("DELETE", "v1/order", **name) == (400, -2011)
        assert await client.granted("GET", "v1/openOrders") == []

        await client.order("BUY", "LONG", "0.01", price=low)
        done = await client.granted("DELETE", "v1/allOpenOrders", symbol="BTCUSDT")
        assert done["code"] == 200
        assert await client.granted("GET", "v1/openOrders") == []

    with_account(use, **STANDING)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"symbol": "DOGEUSDT"}, -1121),
        ({"side": ""}, -1102),
        ({"side": "buy"}, -1117),
        ({"type": "ICEBERG"}, -1116),
        ({"timeInForce": "NOW"}, -1115),
        ({"quantity": "0.0011"}, -1111),
        ({"price": "50000.001"}, -1111),
        ({"price": "60000.05"}, -4014),
        ({"price": "0"}, -4001),
        ({"quantity": "0"}, -4003),
        ({"quantity": "1500"}, -4005),
        ({"price": "100"}, -4013),
        ({"newClientOrderId": "a b"}, -4015),
        ({"newClientOrderId": "a" * 37}, -4015),
        ({"positionSide": "BOTH"}, -4061),
        ({"reduceOnly": "true"}, -1106),
        ({"quantity": "0.001"}, -4164),
        ({"side": "SELL"}, -2022),
        ({"quantity": "300"}, -2027),
        ({"quantity": "4"}, -2019),
        ({"type": "STOP_MARKET", "stopPrice": "50000"}, -4120),
        ({"timestamp": 1_700_000_000_000}, -1021),
    ],
)
def test_local_binance_orders_that_cannot_be_accepted(order: dict[str, Any], code: int) -> None:
    async def use(client: AccountClient) -> None:
        price = round(await client.price() * 0.98, 1)
        good = NEW | {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": price}
        assert await client.refused("POST", "v1/order", **(good | order)) == (400, code)
        assert (await client.account())["orders"] == []
        await client.granted("POST", "v1/order", **good)

    with_account(use, **STANDING)


def test_local_binance_orders_post_only_order_that_would_take_is_refused() -> None:
    async def use(client: AccountClient) -> None:
        high = round(await client.price() * 1.01, 1)
        post_only = {"type": "LIMIT", "timeInForce": "GTX", "quantity": "0.01", "price": high}
        assert await client.refused("POST", "v1/order", **NEW, **post_only) == (400, -5022)
        await client.order("BUY", "LONG", "0.01")
        closing = NEW | post_only | {"side": "SELL", "price": round(await client.price() * 0.99, 1)}
        assert await client.refused("POST", "v1/order", **closing) == (400, -5022)

    with_account(use, **STANDING)


def test_local_binance_orders_batch_has_one_answer_for_each_order() -> None:
    async def use(client: AccountClient) -> None:
        low = round(await client.price() * 0.97, 1)
        good = NEW | {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": str(low)}
        batch = [good | {"newClientOrderId": "E-1"}, good | {"side": "up"}, good]
        first, second, third = await client.granted(
            "POST", "v1/batchOrders", batchOrders=json.dumps(batch)
        )
        assert (first["clientOrderId"], first["status"]) == ("E-1", "NEW")
        assert second == {"code": -1117, "msg": "Invalid side."}
        assert client.headers["X-MBX-ORDER-COUNT-10S"] == "5"
        assert client.headers["X-MBX-ORDER-COUNT-1M"] == "1"

        change = {"symbol": "BTCUSDT", "side": "BUY", "price": str(low), "quantity": "0.02"}
        changes = [change | {"origClientOrderId": "E-1"}, change | {"orderId": 1}]
        changed, unknown = await client.granted(
            "PUT", "v1/batchOrders", batchOrders=json.dumps(changes)
        )
        assert (changed["origQty"], unknown["code"]) == ("0.020", -2013)

        ids = json.dumps([first["orderId"], third["orderId"], 1])
        gone = await client.granted("DELETE", "v1/batchOrders", symbol="BTCUSDT", orderIdList=ids)
        assert [each.get("status", each.get("code")) for each in gone] == [
            "CANCELED", "CANCELED", -2011,
        ]  # fmt: skip
        both = {"orderIdList": ids, "origClientOrderIdList": '["E-1"]', "symbol": "BTCUSDT"}
        assert await client.refused("DELETE", "v1/batchOrders", **both) == (400, -1128)
        too_many = json.dumps([good] * 6)
        assert await client.refused("POST", "v1/batchOrders", batchOrders=too_many) == (400, -4082)

    with_account(use, **STANDING)


def test_local_binance_orders_of_clients_that_send_at_once_are_each_placed_once() -> None:
    async def use(client: AccountClient) -> None:
        other = AccountClient(client.exchange, client.session)
        low = str(round(await client.price() * 0.97, 1))
        order = NEW | {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": low}
        answers = await asyncio.gather(
            *(
                each.ask("POST", "v1/order", **order, newClientOrderId=f"E-{number}")
                for number in range(20)
                for each in (client, other)
            )
        )
        codes = [status for status, _ in answers], [body.get("code", 0) for _, body in answers]
        assert [sorted(each) for each in codes] == [
            [200] * 20 + [400] * 20,
            [-4116] * 20 + [0] * 20,
        ]
        opened = await client.granted("GET", "v1/openOrders")
        assert sorted(each["clientOrderId"] for each in opened) == sorted(
            f"E-{number}" for number in range(20)
        )
        gone = await asyncio.gather(
            *(
                each.ask("DELETE", "v1/order", symbol="BTCUSDT", orderId=row["orderId"])
                for row in opened
                for each in (client, other)
            )
        )
        assert sorted(body.get("code", 0) for _, body in gone) == [-2011] * 20 + [0] * 20

    with_account(use, **STANDING)


def test_local_binance_orders_algo_order_waits_and_is_cancelled() -> None:
    async def use(client: AccountClient) -> None:
        price = await client.price()
        low, high = round(price * 0.97, 1), round(price * 1.03, 1)
        await client.order("BUY", "LONG", "0.02")
        stop = await client.stop("SELL", "LONG", low, clientAlgoId="S-1")
        assert (stop["algoStatus"], stop["orderType"], stop["clientAlgoId"]) == (
            "NEW", "STOP_MARKET", "S-1",
        )  # fmt: skip
        both = await client.stop("SELL", "LONG", high, type="TAKE_PROFIT_MARKET")
        assert await client.granted("GET", "v1/algoOrder", algoId=stop["algoId"]) == stop
        listed = await client.granted("GET", "v1/openAlgoOrders", symbol="BTCUSDT")
        assert [each["algoId"] for each in listed] == [stop["algoId"], both["algoId"]]
        # A stop is not an order yet.
        assert await client.granted("GET", "v1/openOrders") == []

        refused: dict[str, Any] = {
            "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL",
            "positionSide": "LONG", "type": "STOP_MARKET", "quantity": "0.01",
        }  # fmt: skip
        for change, code in (
            ({"triggerPrice": high}, -2021),
            ({"triggerPrice": low, "clientAlgoId": "S-1"}, -4116),
            ({"triggerPrice": low, "reduceOnly": "true"}, -1106),
            ({"triggerPrice": "50000.001"}, -1111),
            ({"quantity": "0.01"}, -1102),
        ):
            answer = await client.refused("POST", "v1/algoOrder", **(refused | change))
            assert answer == (400, code), change

        gone = await client.granted("DELETE", "v1/algoOrder", clientAlgoId="S-1")
        assert (gone["algoId"], gone["code"]) == (stop["algoId"], "200")
        assert await client.refused("DELETE", "v1/algoOrder", clientAlgoId="S-1") == (400, -2011)
        await client.granted("DELETE", "v1/algoOpenOrders", symbol="BTCUSDT")
        assert await client.granted("GET", "v1/openAlgoOrders") == []
        past = await client.granted("GET", "v1/allAlgoOrders", symbol="BTCUSDT")
        assert [each["algoStatus"] for each in past] == ["CANCELED", "CANCELED"]

    with_account(use, **STANDING)


@pytest.mark.parametrize("closing", ["expire", "reject"])
def test_local_binance_orders_closing_more_than_the_position(closing: str) -> None:
    async def use(client: AccountClient) -> None:
        high = round(await client.price() * 1.02, 1)
        await client.order("BUY", "LONG", "0.01")
        await client.order("SELL", "LONG", "0.01", price=high)
        more = {"symbol": "BTCUSDT", "side": "SELL", "positionSide": "LONG", "quantity": "0.02"}
        status, body = await client.ask(
            "POST", "v1/order", **more, type="LIMIT", timeInForce="GTC", price=high
        )
        assert (status, body.get("code")) == ((400, -4118) if closing == "reject" else (200, None))

    with_account(use, closing_orders=closing, **STANDING)


def test_local_binance_orders_the_301st_in_ten_seconds_is_refused() -> None:
    async def use(client: AccountClient) -> None:
        low = round(await client.price() * 0.97, 1)
        for _ in range(60):
            batch = json.dumps([NEW | {"type": "NONE"}])
            await client.granted("POST", "v1/batchOrders", batchOrders=batch)
        assert client.headers["X-MBX-ORDER-COUNT-10S"] == "300"
        limit = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": low}
        assert await client.refused("POST", "v1/order", **NEW, **limit) == (429, -1015)
        # Cancelling and asking go on, and it is no ban.
        await client.granted("DELETE", "v1/allOpenOrders", symbol="BTCUSDT")
        limits = await client.granted("GET", "v1/rateLimit/order")
        assert {each["interval"]: each["limit"] for each in limits} == {
            "SECOND": 300, "MINUTE": 1200,
        }  # fmt: skip
        await client.control("POST", "reset")
        await client.granted("POST", "v1/order", **NEW, **limit)

    with_account(use, **STANDING)


def test_local_binance_orders_history_is_paged() -> None:
    async def use(client: AccountClient) -> None:
        low = round(await client.price() * 0.97, 1)
        ids = [(await client.order("BUY", "LONG", "0.01", price=low))["orderId"] for _ in range(5)]
        about = {"symbol": "BTCUSDT"}

        async def asked(**params: object) -> list[int]:
            rows = await client.granted("GET", "v1/allOrders", **about, **params)
            return [row["orderId"] for row in rows]

        assert await asked() == ids
        assert await asked(limit=2) == ids[-2:]
        assert await asked(orderId=ids[1], limit=2) == ids[1:3]
        assert await asked(endTime=MINUTE_START) == []
        for params, code in (
            ({"limit": 1001}, -1130),
            ({"limit": "many"}, -1100),
            ({"startTime": 2, "endTime": 1}, -1023),
            ({"startTime": 0, "endTime": 8 * 86_400_000}, -1127),
        ):
            answer = await client.refused("GET", "v1/allOrders", **about, **params)
            assert answer == (400, code), params
        both = {"fromId": 1, "startTime": 1}
        assert await client.refused("GET", "v1/userTrades", **about, **both) == (400, -1128)
        await client.order("BUY", "LONG", "0.01")
        await client.order("BUY", "LONG", "0.01")
        await client.control("POST", "faults", "history=1")
        assert len(await client.granted("GET", "v1/userTrades", **about)) == 1
        assert len(await asked()) == 7

    with_account(use, **STANDING)


def test_local_binance_orders_position_mode_is_fixed_while_something_is_open() -> None:
    async def use(client: AccountClient) -> None:
        mode = ("POST", "v1/positionSide/dual")
        order = await client.order("BUY", "LONG", "0.01", price=60_000)
        assert await client.refused(*mode, dualSidePosition="false") == (400, -4067)
        await client.granted("DELETE", "v1/order", symbol="BTCUSDT", orderId=order["orderId"])
        await client.order("BUY", "LONG", "0.01")
        assert await client.refused(*mode, dualSidePosition="false") == (400, -4068)
        await client.order("SELL", "LONG", "0.01")
        await client.granted(*mode, dualSidePosition="false")
        one_way = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        await client.granted("POST", "v1/order", **one_way)
        (position,) = await client.granted("GET", "v3/positionRisk")
        assert position["positionSide"] == "BOTH"

        await client.granted("POST", "v1/multiAssetsMargin", multiAssetsMargin="true")
        assert (await client.granted("GET", "v1/multiAssetsMargin"))["multiAssetsMargin"] is True
        assert (await client.granted("GET", "v2/account"))["multiAssetsMargin"] is True

    with_account(use, **STANDING)


# --- faults ---


def test_local_binance_orders_unknown_answer_with_and_without_effect() -> None:
    async def use(client: AccountClient) -> None:
        low = round(await client.price() * 0.97, 1)
        limit = NEW | {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": low}
        for effect, status, code in (
            ("done", 408, -1007), ("lost", 408, -1007), ("done/503", 503, -1000),
            ("lost/503", 503, -1000),
        ):  # fmt: skip
            await client.control("POST", "faults", f"unknown={effect}@POST/order:times=1")
            name = "E-" + effect
            answer = await client.refused("POST", "v1/order", **limit, newClientOrderId=name)
            assert answer == (status, code)
            about = {"symbol": "BTCUSDT", "origClientOrderId": name}
            if effect.startswith("done"):
                assert (await client.granted("GET", "v1/order", **about))["status"] == "NEW"
            else:
                assert await client.refused("GET", "v1/order", **about) == (400, -2013)
        # A refused order is unknown to its sender too.
        await client.control("POST", "faults", "unknown=done@POST/order:times=1")
        bad = limit | {"quantity": "0"}
        assert await client.refused("POST", "v1/order", **bad) == (408, -1007)
        # Cancels.
        await client.control("POST", "faults", "unknown=done@DELETE/order:times=1")
        about = {"symbol": "BTCUSDT", "origClientOrderId": "E-done"}
        assert await client.refused("DELETE", "v1/order", **about) == (408, -1007)
        assert (await client.granted("GET", "v1/order", **about))["status"] == "CANCELED"

    with_account(use, **STANDING)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("overload", 503, -1008),
        ("reject", 400, -2010),
        ("reject=-4118", 400, -4118),
        ("stale@POST/order", 400, -1021),
    ],
)
def test_local_binance_orders_refused_by_a_fault_have_no_effect(
    fault: str, status: int, code: int
) -> None:
    async def use(client: AccountClient) -> None:
        market = NEW | {"type": "MARKET", "quantity": "0.01"}
        await client.control("POST", "faults", f"{fault}:times=1")
        assert await client.refused("POST", "v1/order", **market) == (status, code)
        assert (await client.account())["journal"] == []
        await client.granted("POST", "v1/order", **market)

    with_account(use, **STANDING)


def test_local_binance_orders_rejected_cancel_leaves_the_order_open() -> None:
    async def use(client: AccountClient) -> None:
        order = await client.order("BUY", "LONG", "0.01", price=60_000)
        about = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
        await client.control("POST", "faults", "reject-cancel:times=1")
        assert await client.refused("DELETE", "v1/order", **about) == (400, -2011)
        assert len((await client.account())["orders"]) == 1
        await client.granted("DELETE", "v1/order", **about)

    with_account(use, **STANDING)


def test_local_binance_orders_slow_request_takes_effect_later() -> None:
    async def use(client: AccountClient) -> None:
        order = await client.order("BUY", "LONG", "0.01", price=60_000)
        about = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
        await client.control("POST", "faults", "slow=150ms@DELETE/order")
        await client.granted("DELETE", "v1/order", **about)
        account = await client.account()
        ended = next(each for each in account["journal"] if each.get("status") == "CANCELED")
        (away,) = [each for each in await requests(client) if each["method"] == "DELETE"]
        # The request was logged when it arrived, and the order was open until later.
        assert ended["at_ms"] - away["time"] >= 150
        assert away["fault"] == "slow"

    with_account(use, now_ms=MINUTE_START)


async def requests(client: AccountClient) -> list[dict[str, Any]]:
    _, body = await client.control("GET", "requests")
    return list(body["requests"])


# --- control paths ---


def test_local_binance_orders_journal_tells_what_happened() -> None:
    async def use(client: AccountClient) -> None:
        await client.order("BUY", "LONG", "0.01", newClientOrderId="E-1")
        await client.refused("DELETE", "v1/order", symbol="BTCUSDT", origClientOrderId="E-1")
        account = await client.account()
        (position,) = account["positions"]
        assert (position["position_side"], position["quantity"]) == ("LONG", "0.01")
        journal = account["journal"]
        assert [entry["n"] for entry in journal] == list(range(1, len(journal) + 1))
        asked = [entry for entry in journal if entry["event"] == "request"]
        assert [(each["method"], each["path"], each["client_id"], each["status"], each["code"])
                for each in asked] == [
            ("POST", "/fapi/v1/order", "E-1", 200, 0),
            ("DELETE", "/fapi/v1/order", "E-1", 400, -2011),
        ]  # fmt: skip
        _, rest = await client.control("GET", f"account?after={journal[-2]['n']}")
        assert rest["journal"] == journal[-1:]
        assert (await client.control("GET", "account?after=x"))[0] == 400

    with_account(use, **STANDING)


def test_local_binance_orders_deposits_and_withdrawals() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            assert await client.control("POST", "transfer", "9000.5") == (
                200, {"wallet": "19000.5"},
            )  # fmt: skip
            event = await events.next()
            assert (event["a"]["m"], event["a"]["B"][0]["wb"]) == ("DEPOSIT", "19000.50000000")
            await client.control("POST", "transfer", "-9000")
            assert (await events.next())["a"]["m"] == "WITHDRAW"
        rows = await client.granted("GET", "v1/income", incomeType="TRANSFER")
        assert [float(row["income"]) for row in rows] == [9000.5, -9000]
        assert (await client.control("POST", "transfer", "-20000"))[0] == 400
        for text in ("", "0", "much", "NaN"):
            assert (await client.control("POST", "transfer", text))[0] == 400

    with_account(use, **STANDING)


def test_local_binance_orders_funding_is_paid_on_request() -> None:
    async def use(client: AccountClient) -> None:
        await client.order("BUY", "LONG", "0.1")
        async with client.events() as events:
            status, paid = await client.control("POST", "funding", "BTCUSDT=0.001")
            assert status == 200
            event = await events.next()
        assert event["a"]["m"] == "FUNDING_FEE"
        (row,) = await client.granted("GET", "v1/income", incomeType="FUNDING_FEE")
        assert float(row["income"]) == float(paid["change"]) < 0
        assert float(paid["change"]) == pytest.approx(-0.0001 * await client.price(), rel=0.01)
        assert await client.control("PUT", "funding", "BTCUSDT=-0.0005/4") == (
            200, {"symbol": "BTCUSDT", "rate": "-0.0005", "hours": 4},
        )  # fmt: skip
        (info,) = await client.granted("GET", "v1/fundingInfo")
        assert (info["symbol"], info["fundingIntervalHours"]) == ("BTCUSDT", 4)
        assert (await client.control("POST", "funding", "BTCUSDT"))[0] == 400

    with_account(use, **STANDING)


def test_local_binance_orders_of_another_client_are_orders_of_the_account() -> None:
    async def use(client: AccountClient) -> None:
        order = "symbol=BTCUSDT&side=BUY&positionSide=LONG&quantity=0.01"
        resting = f"{order}&type=LIMIT&timeInForce=GTC&price=60000&newClientOrderId=foreign-1"
        async with client.events() as events:
            assert (await client.control("POST", "orders", resting))[0] == 200
            assert await events.until("ORDER_TRADE_UPDATE foreign-1 NEW")
        (listed,) = await client.granted("GET", "v1/openOrders")
        assert listed["clientOrderId"] == "foreign-1"
        gone = "symbol=BTCUSDT&origClientOrderId=foreign-1"
        assert (await client.control("DELETE", "orders", gone))[1]["status"] == "CANCELED"
        await client.control("POST", "orders", f"{order}&type=MARKET")
        stop = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&positionSide=LONG&type=STOP_MARKET"
        stop += "&quantity=0.01&triggerPrice=60000&clientAlgoId=foreign-2"
        assert (await client.control("POST", "orders", stop))[1]["algoStatus"] == "NEW"
        assert (await client.control("DELETE", "orders", "clientAlgoId=foreign-2"))[0] == 200
        status, body = await client.control("POST", "orders", f"{order}&type=NONE")
        assert (status, body["code"]) == (400, -1116)

    with_account(use, **STANDING)


def test_local_binance_orders_countdown_cancels_all() -> None:
    async def use(client: AccountClient) -> None:
        await client.order("BUY", "LONG", "0.01", price=60_000, newClientOrderId="E-1")
        async with client.events() as events:
            answer = await client.granted(
                "POST", "v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=100
            )
            assert answer == {"symbol": "BTCUSDT", "countdownTime": "100"}
            assert await events.until("ORDER_TRADE_UPDATE E-1 CANCELED")
        missing = await client.refused("POST", "v1/countdownCancelAll", symbol="BTCUSDT")
        assert missing == (400, -1102)

    with_account(use, now_ms=MINUTE_START)


def test_local_binance_orders_command_sets_the_engines_options() -> None:
    options = (
        "--closing-orders", "reject", "--hide-reduce-only", "--most-algo-orders", "1",
        "--fill-pieces", "2", "--funding", "BTCUSDT=0.0003/4",
    )  # fmt: skip
    with job_process("exchange", "--port", "0", *options) as process:
        url = process.stdout.readline().partition("REST ")[2].partition(",")[0]

        def place(**order: object) -> dict[str, Any]:
            """Place a closing order and return the answer, whatever it is."""
            closing = {"symbol": "BTCUSDT", "side": "SELL", "positionSide": "LONG"}
            body = urlencode(closing | {"quantity": "0.01"} | order).encode()
            try:
                with urllib.request.urlopen(f"{url}/_sim/orders", body) as response:
                    return dict(json.load(response))
            except urllib.error.HTTPError as refused:
                return dict(json.load(refused))

        place(side="BUY", type="MARKET")
        with urllib.request.urlopen(f"{url}/_sim/account") as response:
            account = json.load(response)
        fills = [each["quantity"] for each in account["journal"] if each["event"] == "fill"]
        assert fills == ["0.005", "0.005"]
        high = round(float(account["positions"][0]["mark_price"]) * 1.02, 1)
        limit = {"type": "LIMIT", "timeInForce": "GTC", "price": high}
        assert place(**limit, quantity="0.02")["code"] == -4118
        assert place(**limit)["reduceOnly"] is False
        stop = {
            "algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": round(high * 0.9, 1),
        }  # fmt: skip
        assert place(**stop)["algoStatus"] == "NEW"
        assert place(**stop)["code"] == -4045
        with urllib.request.urlopen(f"{url}/fapi/v1/fundingInfo") as response:
            assert json.load(response)[0]["fundingIntervalHours"] == 4


def test_local_binance_orders_options_out_of_range_are_refused() -> None:
    for options in ({"fill_pieces": 0}, {"most_algo_orders": 0}, {"funding": ("BTCUSDT",)}):
        with pytest.raises(ConfigError):
            asyncio.run(start(ExchangeOptions(**options)))
