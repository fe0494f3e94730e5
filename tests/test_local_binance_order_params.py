"""Reading the parameters of order requests, and the limits on orders. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from warmup_job.local_binance.account.order_requests import NewAlgoOrder, NewOrder, OrderReference
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.local_binance.rest import batch_params, order_params
from warmup_job.local_binance.rest.error_answers import ErrorAnswer
from warmup_job.local_binance.rest.order_rate import OrderRate, order_counts
from warmup_job.local_binance.rest.weight_meter import request_weight

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_MS = 1_780_000_020_000
LISTING = {each.name: each for each in default_symbols() if each.market == "um"}
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "quantity": "0.010",
    "price": "65000.1",
}
MARKET = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.002",
    "triggerPrice": "64000",
}
TRAILING = {name: value for name, value in STOP.items() if name != "triggerPrice"} | {
    "type": "TRAILING_STOP_MARKET",
    "callbackRate": "0.5",
}


def order(**changes: str | None) -> NewOrder:
    return order_params.read_new_order(_changed(LIMIT, changes), LISTING, NOW_MS)


def market_order(**changes: str | None) -> NewOrder:
    return order_params.read_new_order(_changed(MARKET, changes), LISTING, NOW_MS)


def stop(**changes: str | None) -> NewAlgoOrder:
    return order_params.read_new_algo_order(_changed(STOP, changes), LISTING, NOW_MS)


def trailing(**changes: str | None) -> NewAlgoOrder:
    return order_params.read_new_algo_order(_changed(TRAILING, changes), LISTING, NOW_MS)


def _changed(params: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    changed = params | changes
    return {name: value for name, value in changed.items() if value is not None}


def test_local_binance_order_params_are_read_exactly() -> None:
    assert order(
        positionSide="LONG", newClientOrderId="E-2/a.b:c_1", selfTradePreventionMode="NONE"
    ) == NewOrder(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        time_in_force="GTX",
        quantity=Decimal("0.010"),
        price=Decimal("65000.1"),
        position_side="LONG",
        client_id="E-2/a.b:c_1",
        self_trade_prevention="NONE",
    )
    assert market_order(reduceOnly="true") == NewOrder(
        symbol="BTCUSDT", side="SELL", type="MARKET", quantity=Decimal("0.01"), reduce_only=True
    )
    assert stop(workingType="MARK_PRICE", priceProtect="TRUE", clientAlgoId="S-1") == NewAlgoOrder(
        symbol="BTCUSDT",
        side="SELL",
        type="STOP_MARKET",
        quantity=Decimal("0.002"),
        trigger_price=Decimal(64000),
        working_type="MARK_PRICE",
        price_protect=True,
        client_id="S-1",
    )
    closing = stop(closePosition="true", quantity=None)
    assert (closing.close_position, closing.quantity) == (True, None)
    until_ms = NOW_MS + 700_123
    assert order(timeInForce="GTD", goodTillDate=str(until_ms)).good_till_ms == NOW_MS + 700_000
    # Trailing zeros are no decimals: Binance accepts them.
    assert order(price="65000.100000").price == Decimal("65000.1")


@pytest.mark.parametrize(
    ("read", "changes", "code"),
    [
        (order, {"symbol": None}, -1102),
        (order, {"symbol": "DOGEUSDT"}, -1121),
        (order, {"side": None}, -1102),
        (order, {"side": "buy"}, -1117),
        (order, {"type": None}, -1102),
        (order, {"type": "ICEBERG"}, -1116),
        (order, {"type": "STOP_MARKET", "stopPrice": "64000"}, -4120),
        (order, {"timeInForce": None}, -1102),
        (order, {"timeInForce": "GTF"}, -1115),
        (order, {"timeInForce": "GTD"}, -1102),
        (order, {"timeInForce": "GTD", "goodTillDate": str(NOW_MS + 600_000)}, -5040),
        (order, {"goodTillDate": str(NOW_MS + 700_000)}, -1106),
        (order, {"quantity": None}, -1102),
        (order, {"quantity": ""}, -1102),
        (order, {"quantity": "-1"}, -1100),
        (order, {"quantity": "1e3"}, -1100),
        (order, {"quantity": "0"}, -4003),
        (order, {"quantity": "0.0101"}, -1111),
        (order, {"price": None}, -1102),
        (order, {"price": "0.0"}, -4001),
        (order, {"price": "65000.001"}, -1111),
        (order, {"positionSide": "UP"}, -4060),
        (order, {"reduceOnly": "yes"}, -1130),
        (order, {"newClientOrderId": ""}, -4015),
        (order, {"newClientOrderId": "a" * 37}, -4015),
        (order, {"newClientOrderId": "a b"}, -4015),
        (order, {"newClientOrderId": "é"}, -4015),
        (order, {"priceMatch": "QUEUE"}, -5037),
        (order, {"selfTradePreventionMode": "ALL"}, -5039),
        (order, {"stopPrice": "64000"}, -1106),
        (order, {"closePosition": "true"}, -1106),
        (market_order, {"price": "65000"}, -1106),
        (market_order, {"timeInForce": "GTC"}, -1106),
        (stop, {"algoType": None}, -1102),
        (stop, {"algoType": "TWAP"}, -1130),
        (stop, {"type": "LIMIT"}, -1116),
        (stop, {"triggerPrice": None}, -1102),
        (stop, {"triggerPrice": "64000.001"}, -1111),
        (stop, {"quantity": None}, -1102),
        (stop, {"price": "64000"}, -1106),
        (stop, {"type": "STOP"}, -1102),
        (stop, {"closePosition": "true"}, -1106),
        (stop, {"closePosition": "true", "quantity": None, "reduceOnly": "true"}, -1106),
        (stop, {"type": "STOP", "price": "63990", "closePosition": "true", "quantity": None},
         -1106),
        (stop, {"workingType": "INDEX_PRICE"}, -1130),
        (stop, {"callbackRate": "1"}, -1106),
        (stop, {"clientAlgoId": "a b"}, -4015),
        (trailing, {"callbackRate": None}, -1102),
        (trailing, {"callbackRate": "0.05"}, -1111),
        (trailing, {"callbackRate": "10.1"}, -2007),
        (trailing, {"triggerPrice": "64000"}, -1106),
    ],
)  # fmt: skip
def test_local_binance_order_params_that_are_wrong_have_their_own_code(
    read: Callable[..., Any], changes: dict[str, str | None], code: int
) -> None:
    with pytest.raises(ErrorAnswer) as caught:
        read(**changes)
    assert (caught.value.status, caught.value.code) == (400, code), caught.value.message


def test_local_binance_order_params_name_an_order_by_either_id() -> None:
    both = {"orderId": "7", "origClientOrderId": "E-1"}
    assert order_params.read_order_reference(both) == OrderReference(order_id=7, client_id="E-1")
    by_name = order_params.read_algo_reference({"clientAlgoId": "S-1"})
    assert by_name == OrderReference(client_id="S-1")
    for params in ({}, {"origClientOrderId": ""}, {"algoId": "7"}):
        with pytest.raises(ErrorAnswer) as caught:
            order_params.read_order_reference(params)
        assert caught.value.code == -1102
    assert batch_params.read_references({"orderIdList": "[1,2]"}) == [
        OrderReference(order_id=1),
        OrderReference(order_id=2),
    ]
    names = {"origClientOrderIdList": '["a","b"]'}
    assert [each.client_id for each in batch_params.read_references(names)] == ["a", "b"]
    for text, code in (("", -1102), ("7", -1130), ('["a"]', -1130), ("[]", -4082)):
        with pytest.raises(ErrorAnswer) as caught:
            batch_params.read_references({"orderIdList": text})
        assert caught.value.code == code, text


def test_local_binance_order_params_of_a_batch_are_text() -> None:
    batch = '[{"symbol":"BTCUSDT","quantity":0.01,"reduceOnly":true,"price":null},{"a":"b"}]'
    assert batch_params.read_batch({"batchOrders": batch}) == [
        {"symbol": "BTCUSDT", "quantity": "0.01", "reduceOnly": "true"},
        {"a": "b"},
    ]
    for text, code in (("", -1102), ("{}", -1130), ("[", -1130), ("[]", -4082)):
        with pytest.raises(ErrorAnswer) as caught:
            batch_params.read_batch({"batchOrders": text})
        assert caught.value.code == code, text
    with pytest.raises(ErrorAnswer) as caught:
        batch_params.read_batch({"batchOrders": "[" + ",".join(["{}"] * 6) + "]"})
    assert caught.value.code == -4082


# --- limits ---


def test_local_binance_order_rate_refuses_the_301st_order_in_ten_seconds() -> None:
    rate = OrderRate()
    start_ms = NOW_MS // 60_000 * 60_000
    headers = [rate.charge((1, 1), start_ms + number) for number in range(300)]
    assert headers[0] == {"X-MBX-ORDER-COUNT-10S": "1", "X-MBX-ORDER-COUNT-1M": "1"}
    assert headers[-1] == {"X-MBX-ORDER-COUNT-10S": "300", "X-MBX-ORDER-COUNT-1M": "300"}
    with pytest.raises(ErrorAnswer) as caught:
        rate.charge((1, 1), start_ms + 9_999)
    assert (caught.value.status, caught.value.code) == (429, -1015)
    assert caught.value.message == "Too many new orders; current limit is 300 orders per 10 SECOND."
    # The next ten seconds start with 0, the minute goes on, and refused orders do not count.
    assert rate.charge((1, 1), start_ms + 10_000) == {
        "X-MBX-ORDER-COUNT-10S": "1",
        "X-MBX-ORDER-COUNT-1M": "301",
    }


def test_local_binance_order_rate_refuses_the_1201st_order_in_a_minute() -> None:
    rate = OrderRate()
    start_ms = NOW_MS // 60_000 * 60_000
    for number in range(1200):
        rate.charge((1, 1), start_ms + number * 40)
    with pytest.raises(ErrorAnswer) as caught:
        rate.charge((1, 1), start_ms + 59_999)
    assert caught.value.message == "Too many new orders; current limit is 1200 orders per 1 MINUTE."
    assert rate.charge((1, 1), start_ms + 60_000)["X-MBX-ORDER-COUNT-1M"] == "1"
    rate.charge((5, 1), start_ms + 60_001)
    rate.reset()
    assert rate.charge((5, 1), start_ms + 60_002) == {
        "X-MBX-ORDER-COUNT-10S": "5",
        "X-MBX-ORDER-COUNT-1M": "1",
    }


@pytest.mark.parametrize(
    ("request_line", "counts", "weight"),
    [
        ("POST /fapi/v1/order", (1, 1), 0),
        ("PUT /fapi/v1/order", (1, 1), 0),
        ("DELETE /fapi/v1/order", (0, 0), 1),
        ("GET /fapi/v1/order", (0, 0), 1),
        ("POST /fapi/v1/batchOrders", (5, 1), 5),
        ("PUT /fapi/v1/batchOrders", (5, 1), 5),
        ("DELETE /fapi/v1/batchOrders", (0, 0), 1),
        ("POST /fapi/v1/algoOrder", (1, 1), 0),
        ("DELETE /fapi/v1/algoOrder", (0, 0), 1),
        ("DELETE /fapi/v1/allOpenOrders", (0, 0), 1),
        ("POST /fapi/v1/countdownCancelAll", (0, 0), 10),
        ("GET /fapi/v1/income", (0, 0), 30),
        ("GET /fapi/v1/userTrades", (0, 0), 5),
        ("GET /fapi/v1/openOrders", (0, 0), 40),
        ("GET /fapi/v3/positionRisk", (0, 0), 5),
    ],
)
def test_local_binance_order_rate_and_weight_of_each_request(
    request_line: str, counts: tuple[int, int], weight: int
) -> None:
    method, path = request_line.split()
    assert order_counts(method, path) == counts
    assert request_weight(path, {}, method) == weight
