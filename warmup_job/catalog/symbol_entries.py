"""Convert one symbol's exchangeInfo entry to the type of Nautilus' adapter."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from nautilus_trader.adapters.binance.common.enums import (
    BinanceOrderType,
    BinanceSymbolFilterType,
    BinanceTimeInForce,
)

from warmup_job.catalog.symbol_fields import log_ignored_values, without_unknown_values

_LISTS: dict[str, type[Enum]] = {
    "orderTypes": BinanceOrderType,
    "timeInForce": BinanceTimeInForce,
    "filters": BinanceSymbolFilterType,
}


class UnreadableEntryError(ValueError):
    """Nautilus' type does not fit the entry; the message names the symbol and the field."""


def read_entry[InfoT: msgspec.Struct](entry: dict[str, Any], kind: type[InfoT]) -> InfoT:
    """Convert a raw entry to ``kind``, without the values that this Nautilus does not know.

    Raises:
        UnreadableEntryError: A required field is missing, or its value is unknown.
    """
    symbol = entry.get("symbol")
    values = {name: frozenset(each.value for each in enum) for name, enum in _LISTS.items()}
    known, shortened = without_unknown_values(entry, values)
    log_ignored_values(symbol, shortened)
    try:
        return msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        reason = " ".join(str(error).split())[:200]  # it quotes a value of the exchange
        raise UnreadableEntryError(f"{symbol} in exchangeInfo: {reason}") from None
