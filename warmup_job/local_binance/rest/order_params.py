"""Reads the parameters of order requests into the account's structs. Pure.

Everything that a request shows by itself is checked here, with Binance's codes
(https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code). The account
checks what depends on its state or on the market.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, get_args

from warmup_job.local_binance.account.order_requests import (
    AlgoOrderType,
    NewAlgoOrder,
    NewOrder,
    OrderChange,
    OrderReference,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from warmup_job.local_binance.prices.kline_pages import read_number
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.parameter_values import (
    mandatory,
    one_of,
    read_client_id,
    read_decimal,
    read_flag,
    read_listed,
    read_price,
    read_quantity,
)

if TYPE_CHECKING:
    from warmup_job.local_binance.rest.parameter_values import Listing, Params

_GOOD_TILL_AHEAD_MS = 600_000
_GOOD_TILL_MOST_MS = 253_402_300_799_000
_MARKET_TYPES = ("STOP_MARKET", "TAKE_PROFIT_MARKET")
_LIMIT_TYPES = ("STOP", "TAKE_PROFIT")
_TRAILING = "TRAILING_STOP_MARKET"
_CALLBACK_PERCENT = (Decimal("0.1"), Decimal(10))


def read_new_order(params: Params, listing: Listing, now_ms: int) -> NewOrder:
    """Read an order to place.

    Args:
        params: The request's parameters.
        listing: The listed symbols by name.
        now_ms: The exchange's time, UTC ms.

    Raises:
        ErrorAnswer: A parameter is missing, not needed or invalid.
    """
    symbol = read_listed(params, listing)
    side = _read_side(params)
    type_ = mandatory(params, "type")
    if type_ in get_args(AlgoOrderType):
        raise error_answers.belongs_to_the_algo_service()
    if type_ not in get_args(OrderType):
        raise error_answers.invalid_order_type()
    is_limit = type_ == "LIMIT"
    _refuse_price_match(params)
    for name in ("stopPrice", "activationPrice", "callbackRate", "closePosition"):
        if params.get(name, "false").lower() != "false":
            raise error_answers.not_required(name)
    in_force = _read_time_in_force(params, is_mandatory=is_limit, is_allowed=is_limit)
    return NewOrder(
        symbol=symbol.name,
        side=side,
        type="LIMIT" if is_limit else "MARKET",
        quantity=read_quantity(params, symbol),
        price=read_price(params, "price", symbol, is_mandatory=is_limit, is_allowed=is_limit),
        time_in_force=in_force,
        position_side=_read_position_side(params),
        reduce_only=read_flag(params, "reduceOnly"),
        client_id=read_client_id(params, "newClientOrderId"),
        good_till_ms=_read_good_till(params, in_force, now_ms),
        self_trade_prevention=_read_self_trade_prevention(params),
    )


def read_new_algo_order(params: Params, listing: Listing, now_ms: int) -> NewAlgoOrder:
    """Read a conditional order to place; arguments and errors are those of `read_new_order`."""
    if mandatory(params, "algoType") != "CONDITIONAL":
        raise error_answers.invalid_value("algoType")
    symbol = read_listed(params, listing)
    side = _read_side(params)
    type_ = one_of(
        mandatory(params, "type"), get_args(AlgoOrderType), error_answers.invalid_order_type()
    )
    _refuse_price_match(params)
    closes = read_flag(params, "closePosition") or False
    if closes and type_ not in _MARKET_TYPES:
        raise error_answers.not_required("closePosition")
    if closes and "reduceOnly" in params:
        raise error_answers.not_required("reduceOnly")
    if closes and "quantity" in params:
        raise error_answers.not_required("quantity")
    has_limit = type_ in _LIMIT_TYPES
    trails = type_ == _TRAILING
    working = one_of(
        params.get("workingType", "CONTRACT_PRICE"),
        get_args(WorkingType),
        error_answers.invalid_value("workingType"),
    )
    in_force = _read_time_in_force(params, is_mandatory=False, is_allowed=True)
    if in_force == "GTX" and not has_limit:
        raise error_answers.invalid_time_in_force()  # a market order always takes
    return NewAlgoOrder(
        symbol=symbol.name,
        side=side,
        type=type_,
        quantity=None if closes else read_quantity(params, symbol),
        price=read_price(params, "price", symbol, is_mandatory=has_limit, is_allowed=has_limit),
        trigger_price=read_price(
            params, "triggerPrice", symbol, is_mandatory=not trails, is_allowed=not trails
        ),
        activate_price=read_price(
            params, "activatePrice", symbol, is_mandatory=False, is_allowed=trails
        ),
        callback_rate=_read_callback_rate(params, trails=trails),
        working_type=working,
        time_in_force=in_force,
        position_side=_read_position_side(params),
        reduce_only=read_flag(params, "reduceOnly"),
        close_position=closes,
        price_protect=read_flag(params, "priceProtect") or False,
        client_id=read_client_id(params, "clientAlgoId"),
        good_till_ms=_read_good_till(params, in_force, now_ms),
        self_trade_prevention=_read_self_trade_prevention(params),
    )


def read_order_change(params: Params, listing: Listing) -> OrderChange:
    """Read a new quantity and price of a resting order; errors are those of `read_new_order`."""
    symbol = read_listed(params, listing)
    reference = read_order_reference(params)
    _refuse_price_match(params)
    price = read_price(params, "price", symbol, is_mandatory=True, is_allowed=True)
    if price is None:
        raise error_answers.missing("price")
    return OrderChange(
        symbol=symbol.name,
        order=reference,
        side=_read_side(params),
        quantity=read_quantity(params, symbol),
        price=price,
    )


def read_order_reference(params: Params) -> OrderReference:
    """Read which order a request is about.

    Raises:
        ErrorAnswer: −1102, neither id was sent; −1100, ``orderId`` is not a number.
    """
    return _read_reference(params, "orderId", "origClientOrderId")


def read_algo_reference(params: Params) -> OrderReference:
    """Read which algo order a request is about; errors are those of `read_order_reference`."""
    return _read_reference(params, "algoId", "clientAlgoId")


def wants_result(params: Params) -> bool:
    """Return whether the answer waits for the order's first fills (``newOrderRespType=RESULT``).

    Raises:
        ErrorAnswer: −1130 for another value than ACK or RESULT.
    """
    kind = params.get("newOrderRespType", "ACK")
    if kind not in ("ACK", "RESULT"):
        raise error_answers.invalid_value("newOrderRespType")
    return kind == "RESULT"


# --- single parameters ---


def _read_side(params: Params) -> Side:
    return one_of(mandatory(params, "side"), get_args(Side), error_answers.invalid_side())


def _read_position_side(params: Params) -> PositionSide | None:
    if "positionSide" not in params:
        return None
    side: PositionSide = one_of(
        params["positionSide"], get_args(PositionSide), error_answers.invalid_position_side()
    )
    return side


def _read_time_in_force(params: Params, *, is_mandatory: bool, is_allowed: bool) -> TimeInForce:
    if "timeInForce" not in params:
        if is_mandatory:
            raise error_answers.missing("timeInForce")
        return "GTC"
    if not is_allowed:
        raise error_answers.not_required("timeInForce")
    return one_of(
        params["timeInForce"], get_args(TimeInForce), error_answers.invalid_time_in_force()
    )


def _read_self_trade_prevention(params: Params) -> SelfTradePrevention:
    return one_of(
        params.get("selfTradePreventionMode", "EXPIRE_MAKER"),
        get_args(SelfTradePrevention),
        error_answers.invalid_self_trade_prevention(),
    )


def _read_good_till(params: Params, in_force: TimeInForce, now_ms: int) -> int | None:
    until_ms = read_number(params, "goodTillDate")
    if in_force != "GTD":
        if until_ms is not None:
            raise error_answers.not_required("goodTillDate")
        return None
    if until_ms is None:
        raise error_answers.missing("goodTillDate")
    if not now_ms + _GOOD_TILL_AHEAD_MS < until_ms < _GOOD_TILL_MOST_MS:
        raise error_answers.invalid_good_till_date()
    return until_ms // 1000 * 1000  # Binance ignores the milliseconds


def _read_callback_rate(params: Params, *, trails: bool) -> Decimal | None:
    if not trails:
        if "callbackRate" in params:
            raise error_answers.not_required("callbackRate")
        return None
    rate = read_decimal(mandatory(params, "callbackRate"), "callbackRate", 1)
    least, most = _CALLBACK_PERCENT
    if not least <= rate <= most:
        raise error_answers.invalid_callback_rate()
    return rate


def _refuse_price_match(params: Params) -> None:
    """Refuse orders whose price the book decides: they are not simulated."""
    if params.get("priceMatch", "NONE") != "NONE":
        raise error_answers.invalid_price_match()


def _read_reference(params: Params, id_name: str, client_id_name: str) -> OrderReference:
    order_id = read_number(params, id_name)
    client_id = params.get(client_id_name) or None
    if order_id is None and client_id is None:
        raise error_answers.neither_sent(client_id_name, id_name)
    return OrderReference(order_id=order_id, client_id=client_id)
