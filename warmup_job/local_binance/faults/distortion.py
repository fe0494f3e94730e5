"""Error answers, pages and kline rows as a fault changes them."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.error_answers import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmup_job.local_binance.faults.fault_board import TickAndStep
    from warmup_job.local_binance.faults.fault_spec import Fault
    from warmup_job.local_binance.prices.price_feed import BookTop

Row = list[Any]
"""One row of a kline answer, in the order and with the types of Binance's array."""

_OPEN, _LOW, _CLOSE, _VOLUME = 1, 3, 4, 5
_SHORT_ROW = 6
_ERRORS: dict[int, tuple[int, str]] = {
    418: (-1003, "Way too many requests; IP banned."),
    429: (-1003, "Too many requests. Please use the websocket for live updates."),
    451: (0, "Service unavailable from a restricted location."),
    500: (-1000, "An unknown error occurred while processing the request."),
    503: (-1001, "Internal error; unable to process your request. Please try again."),
    504: (-1007, "Timeout waiting for response from backend server."),
}
_OTHER_ERROR = (-1000, "The request was refused.")
_REJECTIONS: dict[int, str] = {
    -1003: "Too many requests. Please use the websocket for live updates.",
    -2010: "Order would immediately match and take.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2018: "Balance is insufficient.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -4045: "Reach max stop order limit.",
    -4118: "ReduceOnly Order Failed. Please check your existing position and open orders.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4164: "Order's notional must be no smaller than 5 (unless you choose reduce only).",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected.",
}


def error_answer_of(fault: Fault, now_ms: int, left_s: float | None) -> ErrorAnswer:
    """Return the error answer of a fault whose kind is a status or the name of an error.

    Args:
        fault: The fault.
        now_ms: The exchange's time, UTC ms.
        left_s: How many more seconds the fault lasts; the Retry-After of a fault without ARG.
    """
    if fault.kind == "symbol-status":
        return ErrorAnswer(400, -1122, "Invalid symbol status.")
    if fault.kind == "stale":
        return error_answers.outside_receive_window()
    if fault.kind == "overload":
        return error_answers.overloaded()
    if fault.kind in ("reject", "reject-cancel"):
        code = int(fault.number or 0)
        return ErrorAnswer(400, code, _REJECTIONS.get(code, "The order was rejected."))
    if fault.kind == "banned":  # as through a proxy that drops Retry-After
        until_ms = now_ms + round((fault.number or 0) * 1000)
        return ErrorAnswer(418, -1003, f"Way too many requests; IP banned until {until_ms}.")
    status = int(fault.kind)
    code, message = _ERRORS.get(status, _OTHER_ERROR)
    wait_s = fault.number if fault.number is not None else left_s
    retry_after_s = None if wait_s is None else math.ceil(wait_s)
    if status == 418 and retry_after_s is not None:
        until_ms = now_ms + retry_after_s * 1000
        message = f"Way too many requests; IP banned until {until_ms}."
    return ErrorAnswer(status, code, message, retry_after_s=retry_after_s)


def unknown_answer_of(fault: Fault) -> ErrorAnswer:
    """Return the answer that does not tell whether a request had an effect."""
    if fault.word.endswith("/503"):
        return error_answers.unknown_error()
    return error_answers.backend_timeout()


def html_page(status: int) -> str:
    """Return the HTML page of a firewall or gateway."""
    title = "Welcome" if status == 200 else f"Error {status}"
    return (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>This page is not from the exchange.</p></body></html>\n"
    )


def with_unknown_values(entry: dict[str, Any]) -> dict[str, Any]:
    """Add an unknown order type and an unknown filter to a symbol's exchangeInfo entry."""
    filters = [*entry["filters"], {"filterType": "NOVEL_FILTER", "limit": 1}]
    return entry | {"orderTypes": [*entry["orderTypes"], "NOVEL_TYPE"], "filters": filters}


def distort(rows: Sequence[Sequence[Any]], fault: Fault) -> list[Row]:
    """Damage the middle of a kline answer's rows; an answer with too few rows is not changed."""
    spoiled = [list(row) for row in rows]
    middle = len(spoiled) // 2
    if fault.kind == "shape":
        return [_reshaped(row, fault.word) for row in spoiled]
    if fault.kind == "odd":
        late = [row for row in spoiled if row[0] < (fault.number or 0)]
        for row in late:
            row[0] += 17_000
        return spoiled
    if fault.kind == "missing":
        # The first and the last row stay, so that only a check inside the page finds the gap.
        count = max(0, min(int(fault.number or 0), len(spoiled) - 2))
        first = (len(spoiled) - count) // 2
        return spoiled[:first] + spoiled[first + count :]
    if not spoiled:
        return spoiled
    if fault.kind == "duplicate":
        spoiled.insert(middle, list(spoiled[middle]))
    elif fault.kind == "disorder" and middle:
        spoiled[middle - 1], spoiled[middle] = spoiled[middle], spoiled[middle - 1]
    elif fault.kind == "nan":
        spoiled[middle][_CLOSE] = "NaN"
    elif fault.kind == "negative":
        # The low, because a low may be below all other prices: only the sign is wrong.
        spoiled[middle][_LOW] = "-1.0"
    elif fault.kind == "fine":
        spoiled[middle][_LOW] = _finer(spoiled[middle][_LOW])
    return spoiled


def rows_with_decimals(rows: Sequence[Sequence[Any]], changed: TickAndStep) -> list[Row]:
    """Change rows that open at ``changed.from_ms`` or later so that they need its tick and step.

    Only a finer tick or step changes a row: its low is one tick lower, its volume one step larger.
    """
    shown = [list(row) for row in rows]
    for row in shown:
        if changed.from_ms is None or row[0] < changed.from_ms:
            continue
        if _decimals(changed.tick) > _decimals(row[_LOW]):
            for at in range(_OPEN, _CLOSE + 1):
                row[at] = _printed(row[at], changed.tick)
            row[_LOW] = str(Decimal(row[_LOW]) - Decimal(changed.tick))
        if _decimals(changed.step) > _decimals(row[_VOLUME]):
            row[_VOLUME] = str(
                Decimal(_printed(row[_VOLUME], changed.step)) + Decimal(changed.step)
            )
    return shown


def book_with_decimals(book: BookTop, changed: TickAndStep) -> BookTop:
    """Return the top of the book with the decimals of the new tick and step."""
    step = Decimal(1).scaleb(-_decimals(changed.step))

    def price(text: str) -> str:
        return _printed(text, max(text, changed.tick, key=_decimals))

    def quantity(text: str) -> str:
        return str(Decimal(text).quantize(step, ROUND_CEILING))

    return book._replace(
        bid=price(book.bid),
        ask=price(book.ask),
        bid_quantity=quantity(book.bid_quantity),
        ask_quantity=quantity(book.ask_quantity),
    )


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _printed(text: str, like: str) -> str:
    """Return a decimal with as many decimals as ``like``, which has at least as many."""
    return f"{Decimal(text):.{_decimals(like)}f}"


def _finer(price: str) -> str:
    """Return a price lowered by one unit of the next decimal: no multiple of the tick."""
    value = Decimal(price)
    exponent = value.as_tuple().exponent
    return str(value - Decimal(1).scaleb(int(exponent) - 1))


def _reshaped(row: Row, shape: str) -> Row:
    if shape == "short":
        return row[:_SHORT_ROW]
    if shape == "strings":
        return [str(value) for value in row]
    # Swap the types: prices and volumes as numbers, times and counts as text.
    return [float(value) if isinstance(value, str) else str(value) for value in row]
