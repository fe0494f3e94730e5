"""BinanceDataWarmer, the library: fetch historical bars in a script or a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from loguru import logger

from warmup_job.acquire.bar_collector import BarCollector
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.endpoints import rest_url
from warmup_job.catalog.names import instrument_id_of
from warmup_job.catalog.packed_bars import VALUES, BarSeries, float_columns, import_ahead
from warmup_job.config import VenueConfig
from warmup_job.errors import RefusedError, UnknownSymbolError
from warmup_job.market.interval import Interval
from warmup_job.market.listed_symbols import unlisted_text
from warmup_job.market.rows import find_gaps
from warmup_job.market.stream_id import StreamId
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import NS_PER_MS, utc_text
from warmup_job.regime.detector import DetectorBar

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.instruments import Instrument


class Console(Protocol):
    """Anything with rich's ``print``."""

    def print(self, message: str) -> object:
        """Show one line."""


class BinanceDataWarmer:
    """Fetches closed bars from the venue of a configuration; use it as a context manager.

    It needs no API key. It works inside a running event loop too: it sends its requests from a
    thread of its own. Errors are `warmup_job.errors.WarmupError`s, each one line that says what to
    do.

    Args:
        venue_config: the venue, as `VenueConfigLoader.load` returns it.
        console: where progress is shown, for example rich's Console; None: in the log.
        deadline_ms: how long one call may take, ms, also while Binance cannot be reached.
    """

    def __init__(
        self,
        venue_config: VenueConfig,
        console: Console | None = None,
        *,
        deadline_ms: int = 60_000,
    ) -> None:
        self._deadline_ms = deadline_ms
        self.venue_config = venue_config
        self.base_url = rest_url(
            venue_config.market, venue_config.environment, venue_config.api.base_url
        )
        self._console = console
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warmer")
        self._runner = asyncio.Runner()
        self._client: BinanceClient | None = None
        self._closed = False
        self._instruments: dict[str, Instrument] = {}

    def fetch_historical_bars(
        self,
        symbol: str,
        bar_type: BarType,
        num_bars: int = 100,
        end_time: datetime | None = None,
    ) -> list[Bar]:
        """Fetch the last ``num_bars`` closed bars, oldest first, with exact decimals.

        Args:
            symbol: Binance's symbol (BTCUSDT) or a Nautilus id (BTCUSDT-PERP.BINANCE).
            bar_type: the type of the bars; its interval must be one of Binance's.
            num_bars: the number of bars; a younger symbol gives fewer.
            end_time: the bars closed by then; None: by now, on Binance's clock.

        Returns:
            Bars with ts_event = ts_init = their close time.

        Raises:
            WarmupError: the reason, e.g. an unknown symbol or interval, or no connection.
        """
        from warmup_job.catalog.nautilus_bars import interval_of, unpack_bars

        name, interval = venue_symbol(symbol), interval_of(bar_type)
        traded = instrument_id_of(self.venue_config.market, name).rpartition(".")[0]
        if bar_type.instrument_id.symbol.value != traded:
            raise RefusedError(
                f"{bar_type} is not for {name} on this venue: the bars of {name} are those of "
                f"{traded}"
            )

        async def fetch() -> list[Bar]:
            series = await self._fetch(name, interval, num_bars, end_time)
            if not series.rows:
                return []
            instrument = await self._instrument(name, series.first_ms)
            return unpack_bars(series, bar_type, instrument)

        return self._run(fetch())

    def fetch_detector_bars(
        self,
        symbol: str,
        num_bars: int = 60,
        interval: str = "1m",
        end_time: datetime | None = None,
    ) -> list[DetectorBar]:
        """Fetch bars like `fetch_historical_bars`, as plain floats for a `RegimeDetector`."""
        name, parsed = venue_symbol(symbol), Interval.parse(interval)

        async def fetch() -> list[DetectorBar]:
            series = await self._fetch(name, parsed, num_bars, end_time)
            columns = float_columns(series.tables(), VALUES)
            closes_ns = (
                at for table in series.tables() for at in table.column("ts_event").to_pylist()
            )
            return [
                DetectorBar._make((*prices, close_ns // NS_PER_MS))
                for *prices, close_ns in zip(*columns, closes_ns, strict=True)
            ]

        return self._run(fetch())

    def close(self) -> None:
        """Close the connection; the warmer cannot be used after that. Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._close).result()
            self._thread.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    async def _fetch(
        self, symbol: str, interval: Interval, num_bars: int, end_time: datetime | None
    ) -> BarSeries:
        if num_bars <= 0:
            return BarSeries(())
        client = await self._open()
        until_ms = client.now_ms()
        if end_time is not None:
            until_ms = min(until_ms, int(end_time.timestamp() * 1000))
        last_ms = interval.last_closed(until_ms)
        collector = BarCollector(client, StreamId(symbol, interval), last_ms)
        await collector.fetch_newest(num_bars)
        await collector.fetch_older(num_bars)
        await collector.fetch_missing()
        series = collector.series().last(num_bars)
        self._tell(f"Fetched {series.rows} of {num_bars} {interval.name} bars for {symbol}")
        for gap in find_gaps(series.opens_ms, interval):
            self._tell(f"Binance itself lacks {gap.bars} bar(s) from {utc_text(gap.first_ms)} on")
        return series

    async def _open(self) -> BinanceClient:
        if self._client is None:
            threading.Thread(target=import_ahead, daemon=True).start()
            self._client = BinanceClient(
                self.venue_config.market,
                self.base_url,
                weight_per_minute=self.venue_config.rate_limits.weight_per_minute,
            )
        self._client.extend_deadline(self._deadline_ms)
        await self._client.sync_clock()
        return self._client

    async def _instrument(self, symbol: str, first_open_ms: int) -> Instrument:
        from warmup_job.catalog.instruments import parse_instrument

        if symbol not in self._instruments:
            client = await self._open()
            entries = await client.exchange_info([symbol])
            if symbol not in entries:
                raise UnknownSymbolError(unlisted_text(client.url, symbol, client.listed))
            self._instruments[symbol] = parse_instrument(
                client.market, entries[symbol], first_open_ms * NS_PER_MS
            )
        return self._instruments[symbol]

    def _tell(self, message: str) -> None:
        if self._console is None:
            logger.info("{_step}", event="warmer.step", _step=message)
        else:
            self._console.print(message)

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._runner.run, work).result()

    def _close(self) -> None:
        if self._client is not None:
            self._runner.run(self._client.__aexit__(None, None, None))
        self._runner.close()
