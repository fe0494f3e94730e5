"""Reads the orders of a batch: those to place or change, and those to cancel. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from warmup_job.local_binance.account.order_requests import OrderReference
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.parameter_values import mandatory

if TYPE_CHECKING:
    from warmup_job.local_binance.rest.parameter_values import Params

MOST_IN_BATCH = 5
"""Orders in one batchOrders request that places or changes orders."""
MOST_CANCELLED = 10
"""Orders in one batchOrders request that cancels orders."""


def read_batch(params: Params) -> list[dict[str, str]]:
    """Read the parameters of each order of a batch.

    Raises:
        ErrorAnswer: −1102 or −1130, it is missing or no list of orders; −4082, it is too long.
    """
    text = mandatory(params, "batchOrders")
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


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
