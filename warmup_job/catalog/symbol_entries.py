"""One symbol's entry of exchangeInfo, as Nautilus' adapter types it.

Binance adds order types, times in force and filters now and then. Nautilus decodes each of them as
an enum and refuses the whole entry for one that it does not know, although it uses none of those
lists for an instrument but the filters of price and size. So unknown ones are left out.
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
    """An entry that Nautilus' types do not fit; the message names the symbol and the field."""


def read_entry[InfoT: msgspec.Struct](entry: dict[str, Any], kind: type[InfoT]) -> InfoT:
    """Convert a raw entry to Nautilus' type of it, without what this Nautilus does not know.

    Raises:
        UnreadableEntryError: a field that is needed is missing or has a value that is not known.
    """
    symbol = entry.get("symbol")
    known, left_out = dict(entry), []
    for name, (enum, value_of) in _LISTS.items():
        if isinstance(entry.get(name), list):
            values = {each.value for each in enum}
            known[name] = [each for each in entry[name] if value_of(each) in values]
            if len(known[name]) < len(entry[name]):
                left_out.append(name)
    if left_out:
        logger.info(
            "{}: exchangeInfo has values in {} that this Nautilus does not know; they are left out",
            symbol, ", ".join(left_out),
        )  # fmt: skip
    try:
        return msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        said = " ".join(str(error).split())[:200]  # it repeats a value of the exchange's
        raise UnreadableEntryError(f"{symbol} in exchangeInfo: {said}") from None
