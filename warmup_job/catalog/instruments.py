"""The instrument that the live node will have: raw exchangeInfo through Nautilus' own parser."""

from __future__ import annotations

from typing import Any

from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.futures.providers import BinanceFuturesInstrumentProvider
from nautilus_trader.adapters.binance.futures.schemas.market import BinanceFuturesSymbolInfo
from nautilus_trader.adapters.binance.futures.schemas.wallet import BinanceFuturesCommissionRate
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.spot.providers import BinanceSpotInstrumentProvider
from nautilus_trader.adapters.binance.spot.schemas.market import BinanceSpotSymbolInfo
from nautilus_trader.common.component import TestClock
from nautilus_trader.model.instruments import Instrument

from warmup_job.catalog.symbol_entries import read_entry
from warmup_job.errors import RefusedError
from warmup_job.market.pages import Market

_ACCOUNT_TYPES: dict[Market, BinanceAccountType] = {
    "um": BinanceAccountType.USDT_FUTURES,
    "spot": BinanceAccountType.SPOT,
}


def parse_instrument(market: Market, entry: dict[str, Any], ts_ns: int) -> Instrument:
    """The instrument for one raw entry of exchangeInfo.

    ``ts_ns`` becomes its ts_event and ts_init: the venue stamps each answer anew, and equal
    contents must give equal snapshots.

    Raises:
        RefusedError: the symbol is listed but cannot be traded, or not by this Nautilus.
    """
    clock = TestClock()
    clock.set_time(ts_ns)
    # The provider is only parsed with: this client never connects.
    client = BinanceHttpClient(clock, None, None, "http://127.0.0.1:9")
    symbol = entry.get("symbol")
    try:
        if market == "um":
            provider = BinanceFuturesInstrumentProvider(client, clock, _ACCOUNT_TYPES[market])
            rates = provider._fee_rates[0]  # what a live node without an account's fee tier takes
            provider._parse_instrument(
                symbol_info=read_entry(entry, BinanceFuturesSymbolInfo),
                ts_event=ts_ns,
                fee=BinanceFuturesCommissionRate(
                    symbol=symbol,
                    makerCommissionRate=rates.maker,
                    takerCommissionRate=rates.taker,
                ),
            )
        else:
            provider = BinanceSpotInstrumentProvider(client, clock, _ACCOUNT_TYPES[market])
            provider._parse_instrument(
                symbol_info=read_entry(entry, BinanceSpotSymbolInfo), fee=None, ts_event=ts_ns
            )
    except Exception as error:  # noqa: BLE001  # what breaks in there is up to the entry
        raise RefusedError(
            f"{symbol}: Nautilus cannot read its exchangeInfo entry "
            f"({type(error).__name__}: {error})"
        ) from None
    instruments: list[Instrument] = provider.list_all()
    if not instruments:
        raise RefusedError(
            f"{symbol} is listed but cannot be traded (status {entry.get('status')}): "
            "choose another"
        )
    return instruments[0]
