"""Nautilus' Binance clients, reading only the node's own symbols from exchangeInfo.

Nautilus decodes the whole answer into typed entries, so an unknown value in any of six hundred
symbols fails them all, and a node whose instruments fail to load says RUNNING and never starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from loguru import logger
from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import (
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
    get_cached_binance_futures_instrument_provider,
    get_cached_binance_http_client,
)
from nautilus_trader.adapters.binance.futures.providers import BinanceFuturesInstrumentProvider
from nautilus_trader.adapters.binance.futures.schemas.market import (
    BinanceFuturesExchangeInfo,
    BinanceFuturesSymbolInfo,
)
from nautilus_trader.adapters.binance.spot.execution import BinanceSpotExecutionClient
from nautilus_trader.adapters.binance.spot.providers import BinanceSpotInstrumentProvider
from nautilus_trader.adapters.binance.spot.schemas.market import (
    BinanceSpotExchangeInfo,
    BinanceSpotSymbolInfo,
)
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.model.identifiers import InstrumentId

from warmup_job.catalog.symbol_entries import UnreadableEntryError, read_entry
from warmup_job.handoff.live_account.account_client import AccountClient

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
                        "{error}: this version of Nautilus cannot trade it: update Nautilus",
                        event="instrument.not_supported",
                        error=error,
                    )
                    raise
        for name in sorted(self._symbols - {each.symbol for each in entries}):
            logger.error(
                "the exchange does not list {instrument}: correct the symbol",
                event="instrument.not_listed",
                instrument=name,
            )
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
    """Nautilus' factory, with `TradedSymbols`, and with an `AccountClient` on futures."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: BinanceExecClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> BinanceSpotExecutionClient | AccountClient:
        """Create the execution client."""
        if not config.account_type.is_futures:
            client = BinanceLiveExecClientFactory.create(loop, name, config, msgbus, cache, clock)
            _narrow(client._instrument_provider)
            return client
        http = get_cached_binance_http_client(
            clock=clock,
            account_type=config.account_type,
            api_key=config.api_key,
            api_secret=config.api_secret,
            key_type=config.key_type,
            base_url=config.base_url_http,
            environment=config.environment,
            proxy_url=config.proxy_url,
        )
        provider = get_cached_binance_futures_instrument_provider(
            client=http,
            clock=clock,
            account_type=config.account_type,
            config=config.instrument_provider,
            venue=config.venue,
        )
        _narrow(provider)
        client = AccountClient(
            loop=loop,
            client=http,
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=provider,
            base_url_ws=config.base_url_ws,
            account_type=config.account_type,
            name=name,
            config=config,
            environment=config.environment,
            api_key=config.api_key,
            api_secret=config.api_secret,
        )
        client.symbols = tuple(sorted(_symbols(provider)))
        return client


def _symbols(provider: _Provider) -> list[str]:
    """Return the venue's names of the node's own symbols."""
    return [
        str(BinanceSymbol(InstrumentId.from_str(str(each)).symbol.value))
        for each in provider._load_ids_on_start or ()
    ]


def _narrow(provider: _Provider) -> None:
    market, names = provider._http_market, _symbols(provider)
    if isinstance(provider, BinanceFuturesInstrumentProvider):
        decoder = TradedSymbols(BinanceFuturesExchangeInfo, BinanceFuturesSymbolInfo, names)
        market._endpoint_futures_exchange_info._get_resp_decoder = decoder
    else:
        decoder = TradedSymbols(BinanceSpotExchangeInfo, BinanceSpotSymbolInfo, names)
        market._endpoint_spot_exchange_info._get_resp_decoder = decoder
