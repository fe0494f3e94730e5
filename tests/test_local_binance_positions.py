"""Positions, margin, funding and liquidation on the local exchange, in a scripted market."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.futures_client import FuturesClient, with_futures
from tests.support.scripted_market import FIRST_MS, scripted_market

EIGHT_HOURS_MS = 8 * 3_600_000


async def income_of(client: FuturesClient) -> dict[str, Decimal]:
    """Return the sum of each kind of income."""
    sums: dict[str, Decimal] = {}
    for row in await client.get("v1/income", limit=1000):
        sums[row["incomeType"]] = sums.get(row["incomeType"], Decimal(0)) + Decimal(row["income"])
    return sums


def test_local_binance_positions_entry_price_results_and_wallet_add_up(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", quantity="0.010")  # at 60000.1
        await client.pass_rows()
        await client.place("BUY", "LONG", quantity="0.020")  # at 60300.1
        position = await client.position()
        assert position["positionAmt"] == "0.03"
        assert Decimal(position["entryPrice"]) == Decimal("60200.1")
        assert Decimal(position["markPrice"]) == Decimal(60300)
        assert Decimal(position["unRealizedProfit"]) == Decimal("2.997")
        assert Decimal(position["notional"]) == Decimal(1809)
        # Two fees of 0.05 % are to be earned before the position breaks even.
        fees = Decimal("0.3000005") + Decimal("0.603001")
        even = Decimal(position["breakEvenPrice"])
        assert even == round((Decimal("1806.003") + fees) / Decimal("0.03"), 8)
        (newer,) = await client.get("v3/positionRisk")
        assert Decimal(newer["initialMargin"]) == Decimal(1809) / 20
        assert Decimal(newer["maintMargin"]) == Decimal(1809) * Decimal("0.004")
        account = await client.get("v2/account")
        wallet = Decimal(10000) - fees
        assert Decimal(account["totalWalletBalance"]) == wallet.quantize(Decimal("0.00000001"))
        assert Decimal(account["totalUnrealizedProfit"]) == Decimal("2.997")
        available = wallet + Decimal("2.997") - Decimal(1809) / 20
        assert abs(Decimal(account["availableBalance"]) - available) < Decimal("0.0000001")

        await client.place("SELL", "LONG", quantity="0.010", newClientOrderId="half")
        half = await client.sees_order("half", "FILLED")
        assert Decimal(half["rp"]) == Decimal("0.999")  # (60300 - 60200.1) * 0.01
        await client.place("SELL", "LONG", quantity="0.020")
        assert (await client.position())["entryPrice"] == "0.0"
        assert await client.get("v3/positionRisk") == []
        sums = await income_of(client)
        assert sums["REALIZED_PNL"] == Decimal("2.997")
        trades = await client.get("v1/userTrades", symbol="BTCUSDT")
        assert sums["COMMISSION"] == -sum(Decimal(trade["commission"]) for trade in trades)
        assert Decimal(await client.wallet()) == 10000 + sum(sums.values())

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "60300.00"),))


def test_local_binance_positions_long_and_short_of_hedge_mode_are_apart(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", quantity="0.020")
        await client.place("SELL", "SHORT", quantity="0.010")
        assert (await client.position("LONG"))["positionAmt"] == "0.02"
        short = await client.position("SHORT")
        assert (short["positionAmt"], short["entryPrice"]) == ("-0.01", "60000")
        await client.pass_rows()
        short = await client.position("SHORT")
        assert Decimal(short["unRealizedProfit"]) == Decimal(-10)
        await client.place("BUY", "SHORT", quantity="0.010", newClientOrderId="close")
        assert Decimal((await client.sees_order("close", "FILLED"))["rp"]) == Decimal("-10.001")
        assert (await client.position("LONG"))["positionAmt"] == "0.02"
        # There is nothing left to close on that side.
        assert await client.place_code("BUY", "SHORT", quantity="0.010") == -2022

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00", "61000.00"),))


def test_local_binance_positions_one_way_mode_nets_and_reduces(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        assert await client.place_code("BUY", "LONG") == -4061
        await client.place("BUY", None, quantity="0.010")
        await client.place("SELL", None, quantity="0.030")
        position = await client.position("BOTH")
        assert (position["positionAmt"], position["entryPrice"]) == ("-0.02", "60000")
        reducing = {"reduceOnly": "true", "quantity": "0.050"}
        assert await client.place_code("SELL", None, **reducing) == -2022
        placed = await client.place("BUY", None, newClientOrderId="R", **reducing)
        assert placed["reduceOnly"] is True
        expired = await client.sees_order("R", "EXPIRED")
        assert (expired["z"], expired["q"], expired["R"]) == ("0.020", "0.050", True)
        assert (await client.position("BOTH"))["positionAmt"] == "0"

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),), one_way=True)


# --- closing orders ---


def test_local_binance_positions_closing_orders_expire_with_the_position(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", quantity="0.010")
        for number, price in enumerate(("60100.00", "60200.00")):
            await client.place("SELL", "LONG", price=price, newClientOrderId=f"T-{number}")
        large = {"price": "60050.00", "quantity": "0.015", "newClientOrderId": "large"}
        await client.place("SELL", "LONG", **large)
        await client.pass_rows()  # 60120
        expired = await client.sees_order("large", "EXPIRED")
        assert (expired["z"], expired["q"]) == ("0.010", "0.015")
        for number in range(2):
            assert (await client.sees_order(f"T-{number}", "EXPIRED"))["z"] == "0.000"
        assert await client.get("v1/openOrders") == []
        assert (await client.position())["positionAmt"] == "0"

    market = scripted_market(tmp_path, "60000.00", "60120.00")
    with_futures(use, replay=(market,), closing_orders="expire")


def test_local_binance_positions_closing_orders_are_rejected_beyond_the_position(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", quantity="0.020")
        target = {"price": "60500.00", "quantity": "0.010"}
        stop = {"triggerPrice": "59000.00", "quantity": "0.010"}
        assert await client.place_code("SELL", "LONG", **target | {"quantity": "0.021"}) == -4118
        await client.place("SELL", "LONG", **target)
        await client.algo("SELL", "LONG", **stop)
        await client.place("SELL", "LONG", **target)
        # The targets leave nothing: a stop of a part is refused, a stop of the whole is not.
        assert await client.algo_code("SELL", "LONG", **stop) == -4118
        assert await client.place_code("SELL", "LONG", quantity="0.010") == -4118
        await client.algo("SELL", "LONG", **stop | {"quantity": "0.020", "clientAlgoId": "whole"})
        await client.place("SELL", "LONG", quantity="0.020", newClientOrderId="close")
        await client.sees_order("close", "FILLED")
        await client.pass_rows()  # 58900: there is no position any more
        assert (await client.sees_algo("whole", "REJECTED"))["rm"] == "Reduce Only reject"

    market = scripted_market(tmp_path, "60000.00", "58900.00")
    with_futures(use, replay=(market,), closing_orders="reject")


# --- margin ---


def test_local_binance_positions_margin_is_needed_for_orders_and_freed_again(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.post("v1/leverage", symbol="BTCUSDT", leverage=10)
        await client.place("BUY", "LONG", price="59000.00", quantity="0.1")
        account = await client.get("v2/account")
        assert Decimal(account["totalOpenOrderInitialMargin"]) == 590
        assert Decimal(account["availableBalance"]) == 410
        assert await client.place_code("BUY", "LONG", price="59000.00", quantity="0.07") == -2019
        # An order of the other book needs margin too, one that closes does not.
        assert await client.place_code("SELL", "SHORT", price="60000.00", quantity="0.07") == -2019
        await client.delete("v1/allOpenOrders", symbol="BTCUSDT")
        await client.place("BUY", "LONG", quantity="0.15")
        await client.place("SELL", "LONG", price="60500.00", quantity="0.15")
        await client.post("v1/leverage", symbol="ETHUSDT", leverage=125)
        large = {"symbol": "ETHUSDT", "price": "1000.00", "quantity": "60"}
        assert await client.place_code("BUY", "LONG", **large) == -2027

    market = scripted_market(tmp_path, "60000.00")
    with_futures(use, replay=(market,), balance="1000")


def test_local_binance_positions_limit_what_leverage_and_margin_type_may_be(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        async def leverage(number: int) -> int:
            status, body = await client.ask(
                "POST", "v1/leverage", symbol="BTCUSDT", leverage=number
            )
            return int(body["leverage"]) if status == 200 else int(body["code"])

        async def isolate() -> int:
            how = {"symbol": "BTCUSDT", "marginType": "ISOLATED"}
            return await client.code("POST", "v1/marginType", **how)

        resting = await client.place("BUY", "LONG", price="59000.00")
        assert await isolate() == -4047
        await client.delete("v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
        await client.place("BUY", "LONG", quantity="1")  # 60,000 USDT; 3,000 at leverage 20
        assert await isolate() == -4048
        assert await leverage(10) == -2028
        assert await leverage(125) == -2027  # up to 50,000 USDT
        assert await leverage(100) == 100
        assert (await client.position())["leverage"] == "100"
        await client.place("SELL", "LONG", quantity="1")
        assert await leverage(125) == 125
        await client.post("v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")

    market = scripted_market(tmp_path, "60000.00")
    with_futures(use, replay=(market,), balance="4000")


def test_local_binance_positions_account_without_margin_is_liquidated(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.post("v1/leverage", symbol="BTCUSDT", leverage=100)
        await client.place("BUY", "LONG", quantity="0.100")
        await client.place("BUY", "LONG", price="58000.00", newClientOrderId="rung")
        await client.algo("SELL", "LONG", triggerPrice="58000.00", clientAlgoId="S-1")
        price = Decimal((await client.position())["liquidationPrice"])
        assert Decimal(59000) < price < Decimal(60000)
        await client.pass_rows()
        closed = await client.sees(lambda event: event.get("o", {}).get("x") == "CALCULATED")
        order = closed["o"]
        assert order["c"].startswith("autoclose-")
        assert (order["o"], order["X"], order["q"]) == ("LIQUIDATION", "FILLED", "0.100")
        assert abs(Decimal(order["ap"]) - price) < 10
        await client.sees_order("rung", "CANCELED")
        await client.sees_algo("S-1", "EXPIRED")
        sums = await income_of(client)
        assert sums["INSURANCE_CLEAR"] < 0
        assert Decimal(await client.wallet()) == 100 + sum(sums.values()) >= 0
        reasons = {
            entry["reason"] for entry in (await client.state())["journal"] if "change" in entry
        }
        assert reasons == {"TRADE", "COMMISSION", "LIQUIDATION"}

    market = scripted_market(tmp_path, "60000.00", "59000.00")
    with_futures(use, replay=(market,), balance="100")


def test_local_binance_positions_loss_in_one_jump_leaves_a_wallet_of_zero(tmp_path: Path) -> None:
    """The insurance fund pays what the account cannot."""

    async def use(client: FuturesClient) -> None:
        await client.post("v1/leverage", symbol="BTCUSDT", leverage=100)
        await client.place("BUY", "LONG", quantity="0.100")
        await client.pass_rows()
        await client.sees(lambda event: event.get("o", {}).get("x") == "CALCULATED")
        sums = await income_of(client)
        assert sums["REALIZED_PNL"] < -500
        assert sums["INSURANCE_CLEAR"] > 400
        assert Decimal(await client.wallet()) == 0 == 75 + sum(sums.values())

    market = scripted_market(tmp_path, "60000.00", jump="55000.00")
    with_futures(use, replay=(market,), balance="75")


# --- funding and transfers ---


@pytest.mark.parametrize(("rate", "paid"), [("0.0003", "-0.18"), ("-0.0002", "0.12")])
def test_local_binance_positions_pay_funding_at_the_funding_time(
    tmp_path: Path, rate: str, paid: str
) -> None:
    """With a positive rate a long position pays; 0.01 BTC at a mark price of 60000."""

    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG")
        before = Decimal(await client.wallet())
        await client.pass_rows()
        (row,) = await client.get("v1/income", incomeType="FUNDING_FEE")
        assert (Decimal(row["income"]), row["symbol"]) == (Decimal(paid), "BTCUSDT")
        assert row["time"] % 3_600_000 == 0
        event = await client.sees(lambda event: event.get("a", {}).get("m") == "FUNDING_FEE")
        # By the documentation it names no position.
        assert (event["a"]["P"], event["T"]) == ([], row["time"])
        (balance,) = event["a"]["B"]
        assert Decimal(balance["bc"]) == Decimal(paid)
        assert Decimal(await client.wallet()) == before + Decimal(paid)
        await client.pass_rows()
        assert len(await client.get("v1/income", incomeType="FUNDING_FEE")) == 1

    hour_ms = FIRST_MS // 3_600_000 * 3_600_000 + 3_600_000
    rows = (hour_ms - FIRST_MS) // 300_000
    market = scripted_market(tmp_path, *["60000.00"] * (rows + 3))
    with_futures(
        use,
        replay=(market,),
        now_ms=FIRST_MS + (rows - 1) * 300_000 + 1000,
        funding=(f"BTCUSDT={rate}/1",),
    )


def test_local_binance_positions_funding_of_both_books_is_told_once(tmp_path: Path) -> None:
    async def use(client: FuturesClient) -> None:
        await client.place("BUY", "LONG", quantity="0.030")
        await client.place("SELL", "SHORT", quantity="0.010")
        await client.control("POST", "funding", "BTCUSDT=0.001")
        event = await client.sees(lambda event: event.get("a", {}).get("m") == "FUNDING_FEE")
        assert Decimal(event["a"]["B"][0]["bc"]) == Decimal("-1.2")
        rows = await client.get("v1/income", incomeType="FUNDING_FEE")
        assert [Decimal(row["income"]) for row in rows] == [Decimal("-1.8"), Decimal("0.6")]

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))


def test_local_binance_positions_transfers_change_the_wallet_and_are_income(
    tmp_path: Path,
) -> None:
    async def use(client: FuturesClient) -> None:
        await client.control("POST", "transfer", "250.5")
        event = await client.sees(lambda event: event.get("a", {}).get("m") == "DEPOSIT")
        assert event["a"]["B"] == [
            {"a": "USDT", "wb": "10250.50000000", "cw": "10250.50000000", "bc": "250.5"}
        ]
        await client.control("POST", "transfer", "-50")
        await client.sees(lambda event: event.get("a", {}).get("m") == "WITHDRAW")
        assert await client.wallet() == "10200.50000000"
        rows = await client.get("v1/income", incomeType="TRANSFER")
        assert [row["income"] for row in rows] == ["250.50000000", "-50.00000000"]

    with_futures(use, replay=(scripted_market(tmp_path, "60000.00"),))
