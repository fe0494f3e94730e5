"""Reads single parameters of requests: symbols, decimals, flags, client ids. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from warmup_job.local_binance.prices.kline_pages import read_symbol
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.local_binance.rest.error_answers import ErrorAnswer

_CLIENT_ID_FORM = r"[\.A-Z\:/a-z0-9_-]{1,36}"
_DECIMAL_FORM = r"([0-9]{1,20})(\.[0-9]{1,20})?"
Params = Mapping[str, str]
"""The parameters of a request, as sent."""
Listing = Mapping[str, "ListedSymbol"]
"""The listed symbols by name."""


def read_listed(params: Params, listing: Listing) -> ListedSymbol:
    """Read the symbol of a request.

    Raises:
        ErrorAnswer: −1102 or −1100 for a missing or malformed symbol, −1121 for an unknown one.
    """
    symbol = listing.get(read_symbol(params))
    if symbol is None:
        raise error_answers.invalid_symbol()
    return symbol


def read_optional_symbol(params: Params) -> str | None:
    """Read a symbol that may be left out; None: all symbols."""
    return read_symbol(params) if "symbol" in params else None


def mandatory(params: Params, name: str) -> str:
    """Return a parameter that must be sent and not be empty (−1102)."""
    text = params.get(name, "")
    if not text:
        raise error_answers.missing(name)
    return text


def one_of[T: str](text: str, allowed: tuple[T, ...], otherwise: ErrorAnswer) -> T:
    """Return the allowed value that the text is, or raise ``otherwise``."""
    for value in allowed:
        if value == text:
            return value
    raise otherwise


def read_flag(params: Params, name: str) -> bool | None:
    """Read ``true`` or ``false``, in any case; None: not sent.

    Raises:
        ErrorAnswer: −1130 for another value.
    """
    text = params.get(name)
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise error_answers.invalid_value(name)
    return text.lower() == "true"


def read_client_id(params: Params, name: str) -> str | None:
    """Read a client id; None: not sent.

    Raises:
        ErrorAnswer: −4015, it has another form.
    """
    text = params.get(name)
    if text is not None and not re.fullmatch(_CLIENT_ID_FORM, text):
        raise error_answers.invalid_client_id()
    return text


def read_quantity(params: Params, symbol: ListedSymbol) -> Decimal:
    """Read ``quantity``.

    Raises:
        ErrorAnswer: −1102, −1100, −1111 or −4003.
    """
    quantity = read_decimal(mandatory(params, "quantity"), "quantity", symbol.volume_decimals)
    if not quantity:
        raise error_answers.quantity_not_positive()
    return quantity


def read_price(
    params: Params, name: str, symbol: ListedSymbol, *, is_mandatory: bool, is_allowed: bool
) -> Decimal | None:
    """Read a price; None: not sent, and it need not be.

    Raises:
        ErrorAnswer: −1102, −1106, −1100, −1111 or −4001.
    """
    if name not in params and not is_mandatory:
        return None
    if not is_allowed:
        raise error_answers.not_required(name)
    price = read_decimal(mandatory(params, name), name, symbol.price_decimals)
    if not price:
        raise error_answers.price_not_positive()
    return price


def read_decimal(text: str, name: str, decimals: int) -> Decimal:
    """Read a decimal with at most ``decimals`` significant decimals (−1111)."""
    if not re.fullmatch(_DECIMAL_FORM, text):
        raise error_answers.illegal_characters(name, f"^{_DECIMAL_FORM}$")
    if len(text.partition(".")[2].rstrip("0")) > decimals:
        raise error_answers.too_precise()
    return Decimal(text)
