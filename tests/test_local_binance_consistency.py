"""Whoever only listens to the account's events knows what the REST endpoints say.

Random orders, changes, cancels, payments and jumps of the clock; afterwards the events, the
endpoints and the journal must tell the same orders, positions and wallet.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.account_client import with_account
from tests.support.suite import SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.account_client import AccountClient, UserEvents

NOW_MS = 1_780_000_021_000
OPEN = {"NEW", "PARTIALLY_FILLED"}
ENDED = {"FILLED", "CANCELED", "EXPIRED"}

Action = tuple[str, int, int, int]
"""What to do, and three numbers that say with what."""

WAYS = (("BUY", "LONG"), ("SELL", "LONG"), ("SELL", "SHORT"), ("BUY", "SHORT"))
KINDS = (
    "market", "limit", "post_only", "stop", "stop_limit", "target", "trailing", "close_all",
    "cancel", "cancel_algo", "amend", "cancel_all", "later", "transfer", "funding",
)  # fmt: skip

runs = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(-40, 40), st.integers(1, 30)),
    min_size=3,
    max_size=18,
)


class Listener:
    """The account as its events tell it."""

    def __init__(self) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.algos: dict[int, dict[str, Any]] = {}
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.wallet: Decimal | None = None
        self.trades: list[int] = []

    def hear(self, event: dict[str, Any]) -> None:
        if event["e"] == "ORDER_TRADE_UPDATE":
            order = event["o"]
            before = self.orders.get(order["i"])
            if before is None:
                assert order["x"] == "NEW", order
            else:
                assert before["X"] not in ENDED, (before, order)
                assert Decimal(order["z"]) >= Decimal(before["z"]), (before, order)
            if order["x"] in ("TRADE", "CALCULATED"):
                filled = Decimal(before["z"] if before else 0)
                assert Decimal(order["z"]) == filled + Decimal(order["l"]), order
                assert (order["X"] == "FILLED") == (order["z"] == order["q"]), order
                self.trades.append(order["t"])
            self.orders[order["i"]] = order
        elif event["e"] == "ALGO_UPDATE":
            self.algos[event["o"]["aid"]] = event["o"]
        elif event["e"] == "ACCOUNT_UPDATE":
            (balance,) = event["a"]["B"]
            self.wallet = Decimal(balance["wb"])
            for row in event["a"]["P"]:
                self.positions[row["s"], row["ps"]] = Decimal(row["pa"])

    def open_orders(self) -> dict[int, Decimal]:
        return {
            order_id: Decimal(order["z"])
            for order_id, order in self.orders.items()
            if order["X"] in OPEN
        }


@settings(
    max_examples=15 * SCALE,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(actions=runs, pieces=st.sampled_from([1, 3]), closing=st.sampled_from(["expire", "reject"]))
def test_local_binance_consistency_of_events_endpoints_and_journal(
    actions: Sequence[Action], pieces: int, closing: str
) -> None:
    async def use(client: AccountClient) -> None:
        listener = Listener()
        async with client.events() as events:
            for side, position in (WAYS[0], WAYS[2]):
                await client.order(side, position, "0.02")
            for action in actions:
                await act(client, *action)
            await client.control("POST", "transfer", "0.00000001")
            await listen(events, listener)
        await compare(client, listener)

    with_account(
        use, now_ms=NOW_MS, speed=0.001, volatility_bps=40, fill_pieces=pieces,
        closing_orders=closing,
    )  # fmt: skip


async def act(client: AccountClient, kind: str, way: int, off: int, size: int) -> None:
    """Send one request; whether it is accepted does not matter."""
    price = round(await client.price() * (1 + off / 10_000), 1)
    order = new_order(kind, way, f"{size / 1000 + 0.002:.3f}", price)
    if order is not None:
        path = "v1/algoOrder" if "algoType" in order else "v1/order"
        await client.ask("POST", path, **order)
    elif kind in ("cancel", "amend", "cancel_algo"):
        await change_the_oldest(client, kind, f"{size / 1000:.3f}", price)
    elif kind == "cancel_all":
        await client.granted("DELETE", "v1/allOpenOrders", symbol="BTCUSDT")
    elif kind == "later":
        await client.control("POST", "faults", f"skew=+{size * 4}s")
        await client.granted("GET", "v1/openOrders")  # now the account is there too
    elif kind == "transfer":
        await client.control("POST", "transfer", str(off or 1))
    else:
        await client.control("POST", "funding", f"BTCUSDT={off / 10_000:.4f}")


def new_order(kind: str, way: int, quantity: str, price: float) -> dict[str, object] | None:
    """Return the parameters of a new order; None if ``kind`` is something else."""
    side, position = WAYS[way]
    about: dict[str, object] = {"symbol": "BTCUSDT", "side": side, "positionSide": position}
    sized = about | {"quantity": quantity}
    limit = sized | {"type": "LIMIT", "timeInForce": ("GTC", "IOC", "FOK", "GTC")[way]}
    algo = sized | {"algoType": "CONDITIONAL"}
    at = {"triggerPrice": price}
    orders = {
        "market": sized | {"type": "MARKET"},
        "limit": limit | {"price": price},
        "post_only": limit | {"price": price, "timeInForce": "GTX"},
        "stop": algo | at | {"type": "STOP_MARKET"},
        "stop_limit": algo | at | {"type": "STOP", "price": price},
        "target": algo | at | {"type": "TAKE_PROFIT_MARKET"},
        "trailing": algo | {"type": "TRAILING_STOP_MARKET", "callbackRate": "0.1"},
        "close_all": about | at | {
            "algoType": "CONDITIONAL", "type": "STOP_MARKET", "closePosition": "true",
        },
    }  # fmt: skip
    return orders.get(kind)


async def change_the_oldest(client: AccountClient, kind: str, quantity: str, price: float) -> None:
    if kind == "cancel_algo":
        for each in (await client.granted("GET", "v1/openAlgoOrders"))[:1]:
            await client.ask("DELETE", "v1/algoOrder", algoId=each["algoId"])
        return
    for each in (await client.granted("GET", "v1/openOrders"))[:1]:
        about = {"symbol": "BTCUSDT", "orderId": each["orderId"]}
        if kind == "cancel":
            await client.ask("DELETE", "v1/order", **about)
        else:
            change = {"quantity": quantity, "price": price, "side": each["side"]}
            await client.ask("PUT", "v1/order", **about, **change)


async def listen(events: UserEvents, listener: Listener) -> None:
    """Hear the events up to the deposit that ends the run."""
    while True:
        event = await events.next()
        listener.hear(event)
        if event["e"] == "ACCOUNT_UPDATE" and event["a"]["B"][0]["bc"] == "0.00000001":
            return


async def compare(client: AccountClient, listener: Listener) -> None:
    rows = await client.granted("GET", "v1/openOrders")
    assert {row["orderId"]: Decimal(row["executedQty"]) for row in rows} == listener.open_orders()
    for row in await client.granted("GET", "v1/allOrders", symbol="BTCUSDT", limit=1000):
        heard = listener.orders[row["orderId"]]
        assert (row["status"], row["clientOrderId"], row["origQty"], row["type"]) == (
            heard["X"], heard["c"], heard["q"], heard["o"],
        )  # fmt: skip
        assert Decimal(row["price"]) == Decimal(heard["p"])
        assert Decimal(row["avgPrice"]) == round(Decimal(heard["ap"]), 5)
    algos = await client.granted("GET", "v1/allAlgoOrders", symbol="BTCUSDT", limit=1000)
    assert {row["algoId"]: row["algoStatus"] for row in algos} == {
        algo_id: heard["X"] for algo_id, heard in listener.algos.items()
    }
    waiting = await client.granted("GET", "v1/openAlgoOrders")
    assert [row["algoId"] for row in waiting] == [
        row["algoId"] for row in algos if row["algoStatus"] == "NEW"
    ]
    trades = await client.granted("GET", "v1/userTrades", symbol="BTCUSDT", limit=1000)
    assert [trade["id"] for trade in trades] == listener.trades

    held = {
        (row["symbol"], row["positionSide"]): Decimal(row["positionAmt"])
        for row in await client.granted("GET", "v2/positionRisk", symbol="BTCUSDT")
    }
    heard_held = {"LONG": Decimal(0), "SHORT": Decimal(0)} | {
        side: quantity for (_, side), quantity in listener.positions.items()
    }
    assert {side: held["BTCUSDT", side] for side in heard_held} == heard_held
    assert held["BTCUSDT", "LONG"] >= 0 >= held["BTCUSDT", "SHORT"]
    (balance,) = await client.granted("GET", "v3/balance")
    assert Decimal(balance["balance"]) == listener.wallet

    journal = (await client.account())["journal"]
    fills = [each for each in journal if each["event"] == "fill"]
    assert [each["trade_id"] for each in fills] == listener.trades
    for side in ("LONG", "SHORT"):
        of_side = [each for each in fills if each["position_side"] == side]
        total = sum(
            Decimal(each["quantity"]) * (1 if each["side"] == "BUY" else -1) for each in of_side
        )
        assert total == held["BTCUSDT", side]
    changes = sum(Decimal(each["change"]) for each in journal if each["event"] == "wallet")
    assert Decimal(10_000) + changes == listener.wallet
    income = await client.granted("GET", "v1/income", limit=1000)
    assert sum(Decimal(row["income"]) for row in income) == changes
