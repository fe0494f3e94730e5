"""A request with any parameters is answered by the rules: never with a 500, and never half done."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.account_client import with_account
from tests.support.suite import SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.account_client import AccountClient

REQUESTS = (
    *((method, "v1/order") for method in ("POST", "PUT", "DELETE", "GET")),
    *((method, "v1/batchOrders") for method in ("POST", "PUT", "DELETE")),
    *((method, "v1/algoOrder") for method in ("POST", "DELETE", "GET")),
    *(
        ("GET", path)
        for path in (
            "v1/openOrders", "v1/openOrder", "v1/allOrders", "v1/userTrades", "v1/income",
            "v1/openAlgoOrders", "v1/allAlgoOrders", "v2/positionRisk", "v3/positionRisk",
            "v1/leverageBracket", "v1/symbolConfig", "v1/commissionRate", "v1/positionSide/dual",
        )
    ),
    *(("DELETE", path) for path in ("v1/allOpenOrders", "v1/algoOpenOrders")),
    *(
        ("POST", path)
        for path in (
            "v1/countdownCancelAll", "v1/leverage", "v1/marginType", "v1/positionSide/dual",
        )
    ),
)  # fmt: skip
NUMBERS = (
    "1", "0", "-1", "", "x", "1.", ".5", "1e-7", "1E3", "nan", "inf", "0.01 ", "\u0663", "9" * 30,
    "0." + "0" * 25 + "1", "500", "1000", "1001", "60000", "60000.1", "60000.11", "90000",
    "1780000000000",
)  # fmt: skip
WORDS = ("true", "false", "TRUE", "", "x", "a", "a" * 36, "a" * 37, "\u00e9", "a b", "\0")
LISTS = (
    "", "x", "[]", "{}", "[{}]", "[1]", "[null]", '["a"]', "[1.5]", '[{"symbol":1}]',
    '[{"a":[1]}]', "[" + "9" * 30 + "]",
    '[{"symbol":"BTCUSDT","side":"BUY","positionSide":"LONG","type":"MARKET","quantity":1e-7}]',
    '[{"symbol":"BTCUSDT","side":"BUY","positionSide":"LONG","type":"MARKET","quantity":0.01}]',
)  # fmt: skip
VALUES: dict[str, Sequence[str]] = {
    "symbol": ("BTCUSDT", "ETHUSDT", "btcusdt", "NOPE", "", "BTCUSDT\0"),
    "side": ("BUY", "SELL", "buy", ""),
    "positionSide": ("LONG", "SHORT", "BOTH", "", "x"),
    "type": (
        "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET", "", "x",
    ),
    "timeInForce": ("GTC", "GTX", "IOC", "FOK", "GTD", "", "x"),
    "algoType": ("CONDITIONAL", "", "x"),
    "workingType": ("MARK_PRICE", "CONTRACT_PRICE", "x"),
    "marginType": ("ISOLATED", "CROSSED", "", "x"),
    **dict.fromkeys(("batchOrders", "orderIdList", "origClientOrderIdList"), LISTS),
    **dict.fromkeys(
        (
            "closePosition", "reduceOnly", "newClientOrderId", "origClientOrderId", "clientAlgoId",
            "incomeType", "dualSidePosition", "newOrderRespType", "priceProtect", "priceMatch",
            "selfTradePreventionMode",
        ),
        WORDS,
    ),
    **dict.fromkeys(
        (
            "quantity", "price", "stopPrice", "triggerPrice", "activatePrice", "callbackRate",
            "orderId", "algoId", "fromId", "startTime", "endTime", "limit", "page", "leverage",
            "countdownTime", "goodTillDate",
        ),
        NUMBERS,
    ),
}  # fmt: skip
LIKELY = {
    "symbol": "BTCUSDT", "side": "BUY", "positionSide": "LONG", "type": "MARKET",
    "quantity": "0.01", "algoType": "CONDITIONAL",
}  # fmt: skip

changes = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(
        lambda name: st.tuples(st.just(name), st.none() | st.sampled_from(VALUES[name]))
    ),
    max_size=7,
)
requests = st.lists(
    st.tuples(st.sampled_from(REQUESTS), st.booleans(), changes), min_size=1, max_size=60
)


@settings(
    max_examples=20 * SCALE,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(sent=requests)
def test_local_binance_bad_parameters_are_refused_by_code(
    sent: Sequence[tuple[tuple[str, str], bool, Sequence[tuple[str, str | None]]]],
) -> None:
    async def use(client: AccountClient) -> None:
        for (method, path), likely, changed in sent:
            params = dict[str, str | None](LIKELY if likely else {}) | dict(changed)
            given_params = {name: value for name, value in params.items() if value is not None}
            await ask(client, method, path, given_params)
        await client.granted("GET", "v2/account")

    with_account(use, now_ms=1_780_000_021_000, speed=0.001, weight_limit=10**9)


def held(account: Mapping[str, Any]) -> list[Any]:
    """Return what an account holds, without what its mark price changes."""
    valued = {"mark_price", "unrealised"}
    positions = [
        {name: value for name, value in each.items() if name not in valued}
        for each in account["positions"]
    ]
    return [account["wallet"], positions, account["orders"]]


async def ask(client: AccountClient, method: str, path: str, params: Mapping[str, str]) -> None:
    """Send a request; a refusal has a code and leaves the account as it was."""
    before = await client.account()
    status, body = await client.ask(method, path, **params)
    assert status < 500, (method, path, params, body)
    if status != 200:
        assert set(body) == {"code", "msg"}, (method, path, params, body)
        assert body["code"] < 0
        after = await client.account()
        assert held(after) == held(before), (path, params)
    elif isinstance(body, dict) and "origQty" in body:
        # Decimals are text without an exponent.
        for name in ("origQty", "price", "executedQty", "cumQuote", "avgPrice"):
            assert isinstance(body[name], str)
            assert "E" not in body[name].upper()
            assert Decimal(body[name]) >= 0
