"""Nautilus' Binance clients, reading only the node's own symbols from exchangeInfo.

Nautilus decodes the whole answer into typed entries, so an unknown value in any of six hundred
symbols fails them all, and a node whose instruments fail to load says RUNNING and never starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from loguru import logger
from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.factories import (
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.adapters.binance.futures.providers import BinanceFuturesInstrumentProvider
from nautilus_trader.adapters.binance.futures.schemas.market import (
    BinanceFuturesExchangeInfo,
    BinanceFuturesSymbolInfo,
)
from nautilus_trader.adapters.binance.spot.providers import BinanceSpotInstrumentProvider
from nautilus_trader.adapters.binance.spot.schemas.market import (
    BinanceSpotExchangeInfo,
    BinanceSpotSymbolInfo,
)
from nautilus_trader.model.identifiers import InstrumentId

from warmup_job.catalog.symbol_entries import UnreadableEntryError, read_entry

type _Provider = BinanceFuturesInstrumentProvider | BinanceSpotInstrumentProvider


class _Head(msgspec.Struct):
    serverTime: int  # noqa: N815  # Binance's names
    symbols: list[msgspec.Raw]
    timezone: str = "UTC"


class _Named(msgspec.Struct):
    symbol: str


class TradedSymbols:
    """Decodes the answer to exchangeInfo; it replaces the decoder of Nautilus' endpoint.

    See https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Exchange-Information

    Args:
        info: Nautilus' type of the answer.
        entry: Nautilus' type of a symbol's entry.
        symbols: the venue's names of the symbols whose entries are read.
    """

    def __init__(
        self, info: type[Any], entry: type[msgspec.Struct], symbols: Iterable[str]
    ) -> None:
        self._info, self._entry, self._symbols = info, entry, frozenset(symbols)

    def decode(self, raw: bytes) -> Any:  # noqa: ANN401  # Nautilus' type of the answer
        """Decode the entries of our symbols, without the venue's rate limits and filters.

        Raises:
            UnreadableEntryError: one of them cannot be read; it names the symbol and the field.
            msgspec.DecodeError: it is not an answer to exchangeInfo.
        """
        head = msgspec.json.decode(raw, type=_Head)
        entries: list[Any] = []
        for each in head.symbols:
            if msgspec.json.decode(each, type=_Named).symbol in self._symbols:
                try:
                    entries.append(read_entry(msgspec.json.decode(each), self._entry))
                except UnreadableEntryError as error:
                    logger.error(
                        "{}: this version of Nautilus cannot trade it: update Nautilus", error
                    )
                    raise
        for name in sorted(self._symbols - {each.symbol for each in entries}):
            logger.error("the exchange does not list {}: correct the symbol", name)
        return self._info(
            timezone=head.timezone,
            serverTime=head.serverTime,
            rateLimits=[],
            exchangeFilters=[],
            symbols=entries,
        )


class DataClientFactory(BinanceLiveDataClientFactory):
    """Nautilus' factory, with `TradedSymbols`."""

    @staticmethod
    def create(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as Nautilus calls it
        """Create the data client."""
        client = BinanceLiveDataClientFactory.create(*args, **kwargs)
        _narrow(client._instrument_provider)
        return client


class ExecClientFactory(BinanceLiveExecClientFactory):
    """Nautilus' factory, with `TradedSymbols`."""

    @staticmethod
    def create(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as Nautilus calls it
        """Create the execution client."""
        client = BinanceLiveExecClientFactory.create(*args, **kwargs)
        _narrow(client._instrument_provider)
        return client


def _narrow(provider: _Provider) -> None:
    market = provider._http_market
    names = [
        str(BinanceSymbol(InstrumentId.from_str(str(each)).symbol.value))
        for each in provider._load_ids_on_start or ()
    ]
    if isinstance(provider, BinanceFuturesInstrumentProvider):
        decoder = TradedSymbols(BinanceFuturesExchangeInfo, BinanceFuturesSymbolInfo, names)
        market._endpoint_futures_exchange_info._get_resp_decoder = decoder
    else:
        decoder = TradedSymbols(BinanceSpotExchangeInfo, BinanceSpotSymbolInfo, names)
        market._endpoint_spot_exchange_info._get_resp_decoder = decoder
