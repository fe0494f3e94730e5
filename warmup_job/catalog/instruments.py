"""Make the instrument that the live node will have, with Nautilus' own parser of exchangeInfo."""

from __future__ import annotations

from decimal import Decimal
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
from warmup_job.catalog.symbol_fields import not_tradable
from warmup_job.errors import RefusedError
from warmup_job.market.pages import Market

_ACCOUNT_TYPES: dict[Market, BinanceAccountType] = {
    "um": BinanceAccountType.USDT_FUTURES,
    "spot": BinanceAccountType.SPOT,
}


def parse_instrument(market: Market, entry: dict[str, Any], ts_ns: int) -> Instrument:
    """Return the instrument for one raw entry of exchangeInfo.

    Args:
        market: The market of the symbol.
        entry: The raw entry.
        ts_ns: The ts_event and ts_init to set, UTC ns. A fixed value gives equal snapshots for
            equal contents; Nautilus would use the time of the answer.

    Raises:
        RefusedError: The symbol cannot be traded now, or this Nautilus cannot parse it.
    """
    clock = TestClock()
    clock.set_time(ts_ns)
    # The provider only parses; this client never connects.
    client = BinanceHttpClient(clock, None, None, "http://127.0.0.1:9")
    symbol = entry.get("symbol")
    try:
        if market == "um":
            provider = BinanceFuturesInstrumentProvider(client, clock, _ACCOUNT_TYPES[market])
            rates = provider._fee_rates[0]  # as a live node without an account's fee tier
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
    except Exception as error:  # noqa: BLE001  # depends on the entry
        raise RefusedError(
            f"{symbol}: Nautilus cannot parse its exchangeInfo entry ({type(error).__name__}: "
            f"{error}): remove the symbol, or update nautilus_trader"
        ) from None
    instruments: list[Instrument] = provider.list_all()
    if not instruments:
        raise not_tradable(entry)
    return instruments[0]


def largest_market_order(instrument: Instrument) -> Decimal:
    """Return the largest quantity of one market order, base currency.

    Binance's limit for market orders (MARKET_LOT_SIZE) is below that of limit orders.
    """
    limits = [
        Decimal(each.get("maxQty") or 0)
        for each in (instrument.info or {}).get("filters", ())
        if each.get("filterType") == "MARKET_LOT_SIZE"
    ]
    if instrument.max_quantity is not None:
        limits.append(instrument.max_quantity.as_decimal())
    return min(filter(None, limits), default=Decimal("Infinity"))
