"""Reads the parameters of order requests into the account's structs. Pure.

Everything that a request shows by itself is checked here, with Binance's codes
(https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code). The account
checks what depends on its state or on the market.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, get_args

import msgspec

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
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.local_binance.rest.error_answers import ErrorAnswer

MOST_IN_BATCH = 5
"""Orders in one batchOrders request that places or changes orders."""
MOST_CANCELLED = 10
"""Orders in one batchOrders request that cancels orders."""
_GOOD_TILL_AHEAD_MS = 600_000
_GOOD_TILL_MOST_MS = 253_402_300_799_000
_CLIENT_ID_FORM = r"[\.A-Z\:/a-z0-9_-]{1,36}"
_DECIMAL_FORM = r"([0-9]{1,20})(\.[0-9]{1,20})?"
_MARKET_TYPES = ("STOP_MARKET", "TAKE_PROFIT_MARKET")
_LIMIT_TYPES = ("STOP", "TAKE_PROFIT")
_TRAILING = "TRAILING_STOP_MARKET"
_CALLBACK_PERCENT = (Decimal("0.1"), Decimal(10))

Params = Mapping[str, str]
"""The parameters of a request, as sent."""
Listing = Mapping[str, "ListedSymbol"]
"""The listed symbols by name."""


class HistoryQuery(NamedTuple):
    """The part of a history that a request asks for; None: not given."""

    start_ms: int | None
    end_ms: int | None
    limit: int | None
    first_id: int | None


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
    type_ = _mandatory(params, "type")
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
        quantity=_read_quantity(params, symbol),
        price=_read_price(params, "price", symbol, is_mandatory=is_limit, is_allowed=is_limit),
        time_in_force=in_force,
        position_side=_read_position_side(params),
        reduce_only=_read_flag(params, "reduceOnly"),
        client_id=_read_client_id(params, "newClientOrderId"),
        good_till_ms=_read_good_till(params, in_force, now_ms),
        self_trade_prevention=_read_self_trade_prevention(params),
    )


def read_new_algo_order(params: Params, listing: Listing, now_ms: int) -> NewAlgoOrder:
    """Read a conditional order to place; arguments and errors are those of `read_new_order`."""
    if _mandatory(params, "algoType") != "CONDITIONAL":
        raise error_answers.invalid_value("algoType")
    symbol = read_listed(params, listing)
    side = _read_side(params)
    type_ = _one_of(
        _mandatory(params, "type"), get_args(AlgoOrderType), error_answers.invalid_order_type()
    )
    _refuse_price_match(params)
    closes = _read_flag(params, "closePosition") or False
    if closes and type_ not in _MARKET_TYPES:
        raise error_answers.not_required("closePosition")
    if closes and "reduceOnly" in params:
        raise error_answers.not_required("reduceOnly")
    if closes and "quantity" in params:
        raise error_answers.not_required("quantity")
    has_limit = type_ in _LIMIT_TYPES
    trails = type_ == _TRAILING
    working = _one_of(
        params.get("workingType", "CONTRACT_PRICE"),
        get_args(WorkingType),
        error_answers.invalid_value("workingType"),
    )
    in_force = _read_time_in_force(params, is_mandatory=False, is_allowed=True)
    return NewAlgoOrder(
        symbol=symbol.name,
        side=side,
        type=type_,
        quantity=None if closes else _read_quantity(params, symbol),
        price=_read_price(params, "price", symbol, is_mandatory=has_limit, is_allowed=has_limit),
        trigger_price=_read_price(
            params, "triggerPrice", symbol, is_mandatory=not trails, is_allowed=not trails
        ),
        activate_price=_read_price(
            params, "activatePrice", symbol, is_mandatory=False, is_allowed=trails
        ),
        callback_rate=_read_callback_rate(params, trails=trails),
        working_type=working,
        time_in_force=in_force,
        position_side=_read_position_side(params),
        reduce_only=_read_flag(params, "reduceOnly"),
        close_position=closes,
        price_protect=_read_flag(params, "priceProtect") or False,
        client_id=_read_client_id(params, "clientAlgoId"),
        good_till_ms=_read_good_till(params, in_force, now_ms),
        self_trade_prevention=_read_self_trade_prevention(params),
    )


def read_order_change(params: Params, listing: Listing) -> OrderChange:
    """Read a new quantity and price of a resting order; errors are those of `read_new_order`."""
    symbol = read_listed(params, listing)
    reference = read_order_reference(params)
    _refuse_price_match(params)
    price = _read_price(params, "price", symbol, is_mandatory=True, is_allowed=True)
    if price is None:
        raise error_answers.missing("price")
    return OrderChange(
        symbol=symbol.name,
        order=reference,
        side=_read_side(params),
        quantity=_read_quantity(params, symbol),
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


def read_batch(params: Params) -> list[dict[str, str]]:
    """Read the parameters of each order of a batch.

    Raises:
        ErrorAnswer: −1102 or −1130, it is missing or no list of orders; −4082, it is too long.
    """
    text = _mandatory(params, "batchOrders")
    try:
        orders = msgspec.json.decode(text, type=list[dict[str, str | int | float | bool | None]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise error_answers.invalid_value("batchOrders") from None
    if not 1 <= len(orders) <= MOST_IN_BATCH:
        raise error_answers.wrong_batch_size()
    return [
        {name: _as_text(value) for name, value in order.items() if value is not None}
        for order in orders
    ]


def read_references(params: Params) -> list[OrderReference]:
    """Read which orders of a symbol to cancel.

    Raises:
        ErrorAnswer: −1102 or −1130, both lists are missing or one is no list; −4082, it is too
            long; −1128, both were sent.
    """
    # ccxt writes these two names in lower case, and Binance accepts that.
    lists = {name.lower(): text for name, text in params.items()}
    if {"orderidlist", "origclientorderidlist"} <= set(lists):
        raise error_answers.invalid_combination()
    if "orderidlist" in lists:
        ids = _read_list(lists["orderidlist"], "orderIdList", list[int])
        return [OrderReference(order_id=each) for each in ids]
    if "origclientorderidlist" in lists:
        names = _read_list(lists["origclientorderidlist"], "origClientOrderIdList", list[str])
        return [OrderReference(client_id=each) for each in names]
    raise error_answers.neither_sent("origClientOrderIdList", "orderIdList")


def read_listed(params: Params, listing: Listing) -> ListedSymbol:
    """Read the symbol of a request.

    Raises:
        ErrorAnswer: −1102 or −1100 for a missing or malformed symbol, −1121 for an unknown one.
    """
    symbol = listing.get(read_symbol(params))
    if symbol is None:
        raise error_answers.invalid_symbol()
    return symbol


def read_history_query(params: Params, id_name: str | None, most: int) -> HistoryQuery:
    """Read which part of a history is asked for.

    Args:
        params: The request's parameters.
        id_name: The parameter with the first id; None: there is none.
        most: The largest limit.

    Raises:
        ErrorAnswer: −1100, a number is malformed; −1130, the limit is out of range; −1023, the
            start is after the end.
    """
    start_ms, end_ms, limit = (
        read_number(params, name) for name in ("startTime", "endTime", "limit")
    )
    first_id = None if id_name is None else read_number(params, id_name)
    if limit is not None and not 1 <= limit <= most:
        raise error_answers.invalid_value("limit")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise error_answers.start_after_end()
    return HistoryQuery(start_ms, end_ms, limit, first_id)


def read_optional_symbol(params: Params) -> str | None:
    """Read a symbol that may be left out; None: all symbols."""
    return read_symbol(params) if "symbol" in params else None


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
    return _one_of(_mandatory(params, "side"), get_args(Side), error_answers.invalid_side())


def _read_position_side(params: Params) -> PositionSide | None:
    if "positionSide" not in params:
        return None
    side: PositionSide = _one_of(
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
    return _one_of(
        params["timeInForce"], get_args(TimeInForce), error_answers.invalid_time_in_force()
    )


def _read_self_trade_prevention(params: Params) -> SelfTradePrevention:
    return _one_of(
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


def _read_client_id(params: Params, name: str) -> str | None:
    text = params.get(name)
    if text is not None and not re.fullmatch(_CLIENT_ID_FORM, text):
        raise error_answers.invalid_client_id()
    return text


def _read_flag(params: Params, name: str) -> bool | None:
    text = params.get(name)
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise error_answers.invalid_value(name)
    return text.lower() == "true"


def _read_quantity(params: Params, symbol: ListedSymbol) -> Decimal:
    quantity = _read_decimal(_mandatory(params, "quantity"), "quantity", symbol.volume_decimals)
    if not quantity:
        raise error_answers.quantity_not_positive()
    return quantity


def _read_price(
    params: Params, name: str, symbol: ListedSymbol, *, is_mandatory: bool, is_allowed: bool
) -> Decimal | None:
    if name not in params and not is_mandatory:
        return None
    if not is_allowed:
        raise error_answers.not_required(name)
    price = _read_decimal(_mandatory(params, name), name, symbol.price_decimals)
    if not price:
        raise error_answers.price_not_positive()
    return price


def _read_callback_rate(params: Params, *, trails: bool) -> Decimal | None:
    if not trails:
        if "callbackRate" in params:
            raise error_answers.not_required("callbackRate")
        return None
    rate = _read_decimal(_mandatory(params, "callbackRate"), "callbackRate", 1)
    least, most = _CALLBACK_PERCENT
    if not least <= rate <= most:
        raise error_answers.invalid_callback_rate()
    return rate


def _read_decimal(text: str, name: str, decimals: int) -> Decimal:
    """Read a decimal with at most ``decimals`` significant decimals (−1111)."""
    if not re.fullmatch(_DECIMAL_FORM, text):
        raise error_answers.illegal_characters(name, f"^{_DECIMAL_FORM}$")
    if len(text.partition(".")[2].rstrip("0")) > decimals:
        raise error_answers.too_precise()
    return Decimal(text)


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


def _read_list[T](text: str, name: str, type_: type[list[T]]) -> list[T]:
    if not text:
        raise error_answers.missing(name)
    try:
        values = msgspec.json.decode(text, type=type_)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise error_answers.invalid_value(name) from None
    if not 1 <= len(values) <= MOST_CANCELLED:
        raise error_answers.wrong_batch_size()
    return values


def _one_of[T: str](text: str, allowed: tuple[T, ...], otherwise: ErrorAnswer) -> T:
    for value in allowed:
        if value == text:
            return value
    raise otherwise


def _mandatory(params: Params, name: str) -> str:
    text = params.get(name, "")
    if not text:
        raise error_answers.missing(name)
    return text


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
