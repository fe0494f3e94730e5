"""The part of exchangeInfo that Nautilus gets: traded symbols, without values unknown to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from nautilus_trader.adapters.binance.futures.schemas.market import (
    BinanceFuturesExchangeInfo,
    BinanceFuturesSymbolInfo,
)

from warmup_job.catalog.instruments import parse_instrument
from warmup_job.errors import RefusedError
from warmup_job.handoff.live_account.exchange_info import TradedSymbols
from warmup_job.local_binance.faults.distortion import with_unknown_values
from warmup_job.local_binance.prices.symbols import default_symbols


def entry(name: str) -> dict[str, Any]:
    """Return a futures symbol's entry of exchangeInfo."""
    return next(
        each.info() for each in default_symbols() if (each.market, each.name) == ("um", name)
    )


def answer(*entries: object) -> bytes:
    return msgspec.json.encode(
        {
            "serverTime": 1,
            "rateLimits": [{"rateLimitType": "NOVEL"}],
            "exchangeFilters": [{"filterType": "NOVEL"}],
            "symbols": entries,
        }
    )


def test_symbol_entries_of_other_symbols_may_be_anything() -> None:
    decoder = TradedSymbols(BinanceFuturesExchangeInfo, BinanceFuturesSymbolInfo, ["BTCUSDT"])
    others = ({"symbol": "X"}, entry("ETHUSDT") | {"status": "NOVEL"})
    decoded = decoder.decode(answer(*others, entry("BTCUSDT")))
    expected = msgspec.convert(entry("BTCUSDT"), BinanceFuturesSymbolInfo)
    assert decoded.symbols == [expected]
    assert decoded.serverTime == 1


def test_symbol_entries_unknown_list_values_do_not_change_the_instrument() -> None:
    known, odd = entry("BTCUSDT"), with_unknown_values(entry("BTCUSDT"))
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(odd, BinanceFuturesSymbolInfo)
    made, expected = parse_instrument("um", odd, 0), parse_instrument("um", known, 0)
    assert made.to_dict(made) == expected.to_dict(expected)


def test_symbol_entries_unreadable_value_is_named_by_symbol_and_field() -> None:
    odd = entry("BTCUSDT") | {"status": "NOVEL"}
    decoder = TradedSymbols(BinanceFuturesExchangeInfo, BinanceFuturesSymbolInfo, ["BTCUSDT"])
    with pytest.raises(ValueError, match=r"BTCUSDT.*\$\.status"):
        decoder.decode(answer(odd))
    with pytest.raises(RefusedError, match=r"BTCUSDT.*\$\.status"):
        parse_instrument("um", odd, 0)
