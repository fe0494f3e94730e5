"""Decimals as text, as Binance prints them."""

from __future__ import annotations

from decimal import Decimal

_AMOUNT = Decimal("0.00000001")


def plain(value: Decimal) -> str:
    """Return the shortest text without an exponent: ``plain(Decimal("0.0500")) == "0.05"``."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(value: Decimal) -> str:
    """Return the text with eight decimals, as Binance prints amounts of money."""
    return f"{value.quantize(_AMOUNT):f}"


def with_decimals(value: Decimal, decimals: int) -> str:
    """Return the text with exactly this many decimals."""
    return f"{value:.{decimals}f}"
