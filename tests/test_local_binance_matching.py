"""How the local exchange matches orders with a scripted market, over HTTP and its streams."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.futures_client import FuturesClient, with_futures
from tests.support.scripted_market import FIRST_MS, scripted_market
from warmup_job.local_binance.account.account_journal import AccountJournal


def sum_of(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


# --- fills ---


def test_local_binance_matching_market_order_pays_the_spread_and_the_takers_fee(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        placed = await client.place(
            "BUY", "LONG", newClientOrderId="E-1", newOrderRespType="RESULT"
        )
        assert (placed["status"], placed["executedQty"]) == ("FILLED", "0.010")
        assert (placed["avgPrice"], placed["cumQuote"]) == ("60000.10000", "600.001")
        await client.sees_order("E-1", "FILLED")
        assert client.story() == [
            "ORDER_TRADE_UPDATE NEW NEW",
            "ACCOUNT_UPDATE ORDER",
            "ORDER_TRADE_UPDATE TRADE FILLED",
        ]
        account, filled = client.collected[1]["a"], client.collected[2]["o"]
        assert (filled["L"], filled["l"], filled["m"]) == ("60000.10", "0.010", False)
        assert (filled["n"], filled["N"]) == ("0.3000005", "USDT")
        (balance,), (position,) = account["B"], account["P"]
        assert (balance["a"], balance["wb"]) == ("USDT", "9999.69999950")
        assert (position["pa"], position["ep"], position["ps"]) == ("0.01", "60000.1", "LONG")
        (trade,) = await client.get("v1/userTrades", symbol="BTCUSDT")
        assert (trade["id"], trade["orderId"]) == (filled["t"], placed["orderId"])
        assert (trade["commission"], trade["maker"]) == ("0.30000050", False)
        (kept,) = await client.get("v1/allOrders", symbol="BTCUSDT")
        by_client_id = await client.get("v1/order", symbol="BTCUSDT", origClientOrderId="E-1")
        assert kept == by_client_id
        assert (kept["status"], kept["time"]) == ("FILLED", filled["T"])

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_acknowledged_order_is_shown_before_its_fills(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        placed = await client.place("BUY", "LONG")
        assert (placed["status"], placed["executedQty"]) == ("NEW", "0.000")
        kept = await client.get("v1/order", symbol="BTCUSDT", orderId=placed["orderId"])
        assert kept["status"] == "FILLED"

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_large_market_order_walks_through_the_book(tmp_path: Path) -> None:
    """The top has 0.100; behind it each tick has 0.100 more than the one before."""

    async def use(client: FuturesClient) -> None:
        placed = await client.place("BUY", "LONG", quantity="0.5", newOrderRespType="RESULT")
        assert placed["executedQty"] == "0.500"
        trades = await client.get("v1/userTrades", symbol="BTCUSDT")
        assert [(trade["price"], trade["qty"]) for trade in trades] == [
            ("60000.10", "0.100"),
            ("60000.20", "0.200"),
            ("60000.30", "0.200"),
        ]
        assert placed["avgPrice"] == "60000.22000"

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),), balance="100000")


def test_local_binance_matching_limit_order_is_filled_as_maker_once_the_price_passes(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        touched = await client.place("BUY", "LONG", price="59900.00", newClientOrderId="touched")
        await client.place("BUY", "LONG", price="59950.00", newClientOrderId="passed")
        assert len(await client.get("v1/openOrders", symbol="BTCUSDT")) == 2
        await client.pass_rows()  # down to 59900 and no further
        filled = await client.sees_order("passed", "FILLED")
        assert (filled["L"], filled["m"], filled["n"]) == ("59950.00", True, "0.1199")
        (resting,) = await client.get("v1/openOrders", symbol="BTCUSDT")
        assert (resting["orderId"], resting["status"]) == (touched["orderId"], "NEW")
        await client.pass_rows()  # up again
        assert len(await client.get("v1/openOrders")) == 1

    prices = ("60000.00", "59900.00", "60000.00")
    with_futures(use, replay=(scripted_market(tmp_path, *prices),))


def test_local_binance_matching_resting_order_gets_no_more_than_is_traded(tmp_path: Path) -> None:
    """0.001 to 0.002 BTC are traded every 250 ms."""

    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", price="59990.00", newClientOrderId="E-1")
        await client.pass_rows()
        await client.sees_order("E-1", "FILLED")
        updates = [event["o"] for event in client.collected if event["e"] == "ORDER_TRADE_UPDATE"]
        statuses = [each["X"] for each in updates]
        assert statuses == ["NEW", *["PARTIALLY_FILLED"] * (len(statuses) - 2), "FILLED"]
        assert len(statuses) > 5
        filled = [Decimal(each["z"]) for each in updates]
        assert filled == sorted(filled)
        trades = await client.get("v1/userTrades", symbol="BTCUSDT")
        assert sum_of(trades, "qty") == Decimal("0.01")
        assert {trade["price"] for trade in trades} == {"59990.00"}

    market = scripted_market(tmp_path, "60000.00", "59000.00", volume="1.800")
    with_futures(use, replay=(market,))


def test_local_binance_matching_are_filled_in_pieces_if_the_exchange_is_told_to(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", newClientOrderId="taker")
        await client.place("BUY", "LONG", price="59990.00", newClientOrderId="maker")
        await client.pass_rows()
        await client.sees_order("maker", "FILLED")
        for client_id in ("taker", "maker"):
            order = await client.get("v1/order", symbol="BTCUSDT", origClientOrderId=client_id)
            number = order["orderId"]
            trades = await client.get("v1/userTrades", symbol="BTCUSDT", orderId=number)
            assert [trade["qty"] for trade in trades] == ["0.002"] * 5

    market = scripted_market(tmp_path, "60000.00", "59000.00")
    with_futures(use, replay=(market,), fill_pieces=5)


# --- time in force ---


def test_local_binance_matching_time_in_force(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        async def outcome(client_id: str, **params: object) -> tuple[str, str]:
            placed = await client.place(
                "BUY", "LONG", newClientOrderId=client_id, newOrderRespType="RESULT", **params
            )
            return placed["status"], placed["executedQty"]

        beyond = {"price": "60000.20", "quantity": "0.5"}  # 0.3 BTC are offered up to this price
        assert await outcome("ioc", timeInForce="IOC", **beyond) == ("EXPIRED", "0.300")
        assert await outcome("fok", timeInForce="FOK", **beyond) == ("EXPIRED", "0.000")
        small = {"price": "60000.20", "quantity": "0.2"}
        assert await outcome("whole", timeInForce="FOK", **small) == ("FILLED", "0.200")
        assert await outcome("gtc", timeInForce="GTC", **beyond) == ("PARTIALLY_FILLED", "0.300")
        # The rest of the last one is a bid now; a post-only order would not take it.
        taking = {"timeInForce": "GTX", "price": "60000.10"}
        assert await client.place_code("BUY", "LONG", newClientOrderId="no", **taking) == -5022
        assert await outcome("gtx", timeInForce="GTX", price="60000.00") == ("NEW", "0.000")
        names = [each["clientOrderId"] for each in await client.get("v1/openOrders")]
        assert names == ["gtc", "gtx"]
        # A post-only order that was refused is in no history.
        names = [
            each["clientOrderId"] for each in await client.get("v1/allOrders", symbol="BTCUSDT")
        ]
        assert names == ["ioc", "fok", "whole", "gtc", "gtx"]
        expired = await client.sees_order("ioc", "EXPIRED")
        assert (expired["x"], expired["z"]) == ("EXPIRED", "0.300")

    still = scripted_market(tmp_path, "60000.00", volume="0.012")  # fills nothing that rests
    with_futures(use, replay=(still,), balance="100000")


# --- changes ---


def test_local_binance_matching_cancel_reports_and_answers_once(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        placed = await client.place("BUY", "LONG", price="59000.00", newClientOrderId="E-1")
        gone = await client.delete("v1/order", symbol="BTCUSDT", origClientOrderId="E-1")
        assert (gone["orderId"], gone["status"]) == (placed["orderId"], "CANCELED")
        assert (await client.sees_order("E-1", "CANCELED"))["x"] == "CANCELED"
        again = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
        assert await client.code("DELETE", "v1/order", **again) == -2011
        assert await client.code("GET", "v1/order", symbol="BTCUSDT", orderId=1) == -2013
        await client.place("BUY", "LONG", price="59000.00")
        await client.place("SELL", "SHORT", price="61000.00")
        assert (await client.delete("v1/allOpenOrders", symbol="BTCUSDT"))["code"] == 200
        assert await client.get("v1/openOrders") == []

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_amendment_changes_price_and_quantity(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        placed = await client.place("BUY", "LONG", price="59000.00", newClientOrderId="E-1")
        change = {"symbol": "BTCUSDT", "side": "BUY", "orderId": placed["orderId"]}
        same = change | {"price": "59000.00", "quantity": "0.010"}
        assert await client.code("PUT", "v1/order", **same) == -5027
        changed = await client.put("v1/order", **change, price="59100.00", quantity="0.020")
        assert (changed["price"], changed["origQty"]) == ("59100.00", "0.020")
        amended = await client.sees(lambda event: event.get("o", {}).get("x") == "AMENDMENT")
        assert (amended["o"]["p"], amended["o"]["X"]) == ("59100.00", "NEW")
        # At the ask it takes.
        taken = await client.put("v1/order", **change, price="60000.10", quantity="0.020")
        assert (taken["status"], taken["avgPrice"]) == ("FILLED", "60000.10000")
        gone = change | {"price": "59000.00", "quantity": "0.010"}
        assert await client.code("PUT", "v1/order", **gone) == -2013

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_post_only_order_that_is_changed_to_take_is_cancelled(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place(
            "BUY", "LONG", price="59000.00", timeInForce="GTX", newClientOrderId="E-1"
        )
        about = {"symbol": "BTCUSDT", "origClientOrderId": "E-1"}
        change = about | {"side": "BUY", "quantity": "0.010"}
        changed = await client.put("v1/order", **change, price="60000.00")  # the bid
        assert changed["status"] == "NEW"
        gone = await client.put("v1/order", **change, price="60000.10")
        assert (gone["status"], gone["price"], gone["executedQty"]) == (
            "CANCELED",
            "60000.00",
            "0.000",
        )
        await client.sees_order("E-1", "CANCELED")
        assert (await client.get("v1/order", **about))["status"] == "CANCELED"
        assert await client.get("v3/positionRisk") == []

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_countdown_cancels_unless_it_is_renewed(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", price="59000.00", newClientOrderId="E-1")
        countdown = {"symbol": "BTCUSDT", "countdownTime": 400_000}
        await client.post("v1/countdownCancelAll", **countdown)
        await client.pass_rows()  # 300 s
        await client.post("v1/countdownCancelAll", **countdown)
        await client.pass_rows()
        assert len(await client.get("v1/openOrders")) == 1
        await client.pass_rows()
        assert await client.get("v1/openOrders") == []
        await client.sees_order("E-1", "CANCELED")

    with_futures(use, replay=(scripted_market(tmp_path, *["60000.00"] * 4),))


# --- refusals ---


def test_local_binance_matching_client_ids_are_unique_among_open_orders(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        resting = {"price": "59000.00", "newClientOrderId": "E-1"}
        first = await client.place("BUY", "LONG", **resting)
        assert await client.place_code("BUY", "LONG", **resting) == -4116
        # Another symbol may have the same one.
        other = resting | {"symbol": "ETHUSDT", "price": "1000.00", "quantity": "0.1"}
        await client.place("BUY", "LONG", **other)
        await client.delete("v1/order", symbol="BTCUSDT", orderId=first["orderId"])
        second = await client.place("BUY", "LONG", **resting)
        newest = await client.get("v1/order", symbol="BTCUSDT", origClientOrderId="E-1")
        assert newest["orderId"] == second["orderId"] != first["orderId"]

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


@pytest.mark.parametrize(
    ("code", "params"),
    [
        (-1111, {"price": "59000.001"}),
        (-1111, {"quantity": "0.0100001"}),
        (-4014, {"price": "59000.05"}),
        (-4013, {"price": "1.00"}),
        (-4002, {"price": "9999999.00"}),
        (-4016, {"price": "63001.00"}),  # 5 % above the mark price
        (-4003, {"quantity": "0"}),
        (-4005, {"quantity": "1001"}),
        (-4164, {"quantity": "0.001"}),  # 59 USDT, and 100 is the minimum
        (-4120, {"type": "STOP_MARKET", "stopPrice": "61000.00", "price": None}),
        (-1121, {"symbol": "NOPEUSDT"}),
        (-2019, {"quantity": "10"}),
        (-4061, {"positionSide": "BOTH"}),
        (-4061, {"positionSide": None}),
        (-1106, {"reduceOnly": "true"}),
        (-1106, {"reduceOnly": "false"}),
        (-1102, {"quantity": None}),
        (-1102, {"price": None}),
        (-1117, {"side": "HOLD"}),
    ],
)
def test_local_binance_matching_refusals(
    tmp_path: Path, code: int, params: dict[str, object]
) -> None:
    async def use(client: FuturesClient) -> None:
        sent = {"price": "59000.00"} | params
        side = str(sent.pop("side", "BUY"))
        assert await client.place_code(side, "LONG", **sent) == code
        assert await client.get("v1/allOrders", symbol="BTCUSDT") == []
        state = await client.state()
        (request,) = state["journal"]
        assert (request["event"], request["code"]) == ("request", code)

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_of_a_symbol_are_limited_to_200(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        rung = {"quantity": "0.002", "timeInForce": "GTX"}
        for number in range(200):
            await client.place("BUY", "LONG", price=f"{59000 - number}.00", **rung)
        assert await client.place_code("BUY", "LONG", price="58000.00", **rung) == -2025
        await client.delete("v1/allOpenOrders", symbol="BTCUSDT")
        await client.place("BUY", "LONG", price="58000.00", **rung)

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),), balance="1000000")


def test_local_binance_matching_of_an_account_that_may_not_trade_are_refused(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        assert await client.place_code("BUY", "LONG") == -4088

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),), no_trading=True)


# --- history ---


def test_local_binance_matching_history_gives_the_newest_or_from_an_id(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        for number in range(6):
            await client.place("BUY", "LONG", newClientOrderId=f"E-{number}")

        async def names(**params: object) -> list[str]:
            rows = await client.get("v1/allOrders", symbol="BTCUSDT", **params)
            return [row["clientOrderId"] for row in rows]

        assert await names(limit=2) == ["E-4", "E-5"]
        third = (await client.get("v1/order", symbol="BTCUSDT", origClientOrderId="E-2"))["orderId"]
        assert await names(orderId=third, limit=2) == ["E-2", "E-3"]
        trades = await client.get("v1/userTrades", symbol="BTCUSDT", limit=2)
        assert len(trades) == 2
        later = await client.get("v1/userTrades", symbol="BTCUSDT", fromId=trades[0]["id"])
        assert later == trades
        now_ms = client.exchange.now_ms()
        assert await names(startTime=now_ms + 1) == []
        assert await client.get("v1/allOrders", symbol="ETHUSDT") == []

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),), balance="100000")


def test_local_binance_matching_income_has_pages(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        for number in range(5):
            await client.place("BUY", "LONG", newClientOrderId=f"E-{number}")
        trades = [row["id"] for row in await client.get("v1/userTrades", symbol="BTCUSDT")]

        async def page(**params: object) -> list[int]:
            rows = await client.get("v1/income", incomeType="COMMISSION", limit=2, **params)
            return [int(row["tradeId"]) for row in rows]

        assert await page() == trades[3:]
        pages = [await page(page=number) for number in (1, 2, 3, 4)]
        assert pages == [trades[:2], trades[2:4], trades[4:], []]
        assert await client.code("GET", "v1/income", page=0) == -1130

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),), balance="100000")


def test_local_binance_matching_old_orders_and_income_are_forgotten(tmp_path: Path) -> None:
    """Three days for an order without a fill, ninety for others, as Binance documents it."""

    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", price="59000.00", newClientOrderId="unfilled")
        gone = {"symbol": "BTCUSDT", "origClientOrderId": "unfilled"}
        await client.algo("BUY", "LONG", triggerPrice="61000.00", clientAlgoId="S-1")
        await client.delete("v1/algoOrder", clientAlgoId="S-1")
        await client.delete("v1/order", **gone)
        await client.place("BUY", "LONG", newClientOrderId="filled")
        await client.place("SELL", "LONG", newClientOrderId="closed")
        kept = gone | {"origClientOrderId": "filled"}
        start_ms = client.exchange.now_ms() - 60_000

        async def names() -> list[str]:
            rows = await client.get("v1/allOrders", symbol="BTCUSDT", startTime=start_ms)
            return [row["clientOrderId"] for row in rows]

        client.exchange.add_fault("skew=+71h")
        assert await names() == ["unfilled", "filled", "closed"]
        client.exchange.add_fault("skew=+2h")
        assert await names() == ["filled", "closed"]
        assert await client.code("GET", "v1/order", **gone) == -2013
        assert await client.code("GET", "v1/algoOrder", clientAlgoId="S-1") == -2013
        assert (await client.get("v1/order", **kept))["status"] == "FILLED"
        assert len(await client.get("v1/income", startTime=start_ms)) == 3
        client.exchange.add_fault("skew=+2160h")  # 90 days
        assert await names() == []
        assert await client.get("v1/income", startTime=start_ms) == []
        trades = await client.get("v1/userTrades", symbol="BTCUSDT", startTime=start_ms)
        assert len(trades) == 2
        client.exchange.add_fault("skew=+2160h")
        assert await client.get("v1/userTrades", symbol="BTCUSDT", startTime=start_ms) == []

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_matching_journal_drops_its_oldest_entries() -> None:
    journal = AccountJournal(most=20)
    for number in range(100):
        journal.wallet(number, Decimal(0), Decimal(0), "TRADE")
    kept = [entry["n"] for entry in journal.after(0)]
    assert kept == list(range(kept[0], 101))
    assert 20 <= len(kept) <= 22
    assert [entry["n"] for entry in journal.after(98)] == [99, 100]
    assert journal.after(100) == []


def test_local_binance_matching_generated_market_fills_them_too() -> None:
    async def use(client: FuturesClient) -> None:
        book = await client.get("v1/ticker/bookTicker", symbol="ETHUSDT")
        bid, ask = (float(book[name]) for name in ("bidPrice", "askPrice"))
        rung = {"symbol": "ETHUSDT", "quantity": "1", "timeInForce": "GTX"}
        below, above = f"{bid * 0.9997:.2f}", f"{ask * 1.0003:.2f}"
        await client.place("BUY", "LONG", price=below, newClientOrderId="L", **rung)
        await client.place("SELL", "SHORT", price=above, newClientOrderId="S", **rung)
        # The market stands still until both rest; in half an hour it passes both.
        await client.control("POST", "faults", "skew=+30m")
        for client_id, price in (("L", below), ("S", above)):
            filled = await client.sees_order(client_id, "FILLED")
            assert (filled["m"], filled["L"]) == (True, price)

    with_futures(use, seed=3, speed=0.001, now_ms=FIRST_MS, balance="100000")
