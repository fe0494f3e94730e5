"""Convert one symbol's exchangeInfo entry to the type of Nautilus' adapter.

Binance sometimes adds order types, times in force and filters. Nautilus decodes each of them as an
enum and rejects the whole entry if it does not know one, although it needs only the price and size
filters for an instrument. So this module removes unknown values first.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec
from loguru import logger
from nautilus_trader.adapters.binance.common.enums import (
    BinanceOrderType,
    BinanceSymbolFilterType,
    BinanceTimeInForce,
)

_LISTS: dict[str, tuple[type[Enum], Callable[[Any], Any]]] = {
    "orderTypes": (BinanceOrderType, lambda each: each),
    "timeInForce": (BinanceTimeInForce, lambda each: each),
    "filters": (
        BinanceSymbolFilterType,
        lambda each: each.get("filterType") if isinstance(each, dict) else each,
    ),
}


class UnreadableEntryError(ValueError):
    """Nautilus' type does not fit the entry; the message names the symbol and the field."""


def read_entry[InfoT: msgspec.Struct](entry: dict[str, Any], kind: type[InfoT]) -> InfoT:
    """Convert a raw entry to ``kind``, without the values that this Nautilus does not know.

    Raises:
        UnreadableEntryError: A required field is missing, or its value is unknown.
    """
    symbol = entry.get("symbol")
    known, shortened = dict(entry), []
    for name, (enum, value_of) in _LISTS.items():
        if isinstance(entry.get(name), list):
            values = {each.value for each in enum}
            known[name] = [each for each in entry[name] if value_of(each) in values]
            if len(known[name]) < len(entry[name]):
                shortened.append(name)
    if shortened:
        logger.info(
            "{symbol}: ignoring values of exchangeInfo's {values} that this Nautilus does not know",
            event="instrument.values_ignored",
            symbol=symbol,
            values=", ".join(shortened),
        )
    try:
        return msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        reason = " ".join(str(error).split())[:200]  # it quotes a value of the exchange
        raise UnreadableEntryError(f"{symbol} in exchangeInfo: {reason}") from None
