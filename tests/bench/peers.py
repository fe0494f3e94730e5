"""The same klines by other means, each as a whole process: what `bench.py` puts ours beside.

    python -m tests.bench.peers NAME URL BARS OUT

Each fetches the last BARS closed 1m klines of BTCUSDT from the local exchange at URL and, where it
can, leaves them in OUT as a catalog. None checks what came, publishes, or may be killed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

MINUTE_MS = 60_000
BAR_TYPE = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"


def window(bars: int) -> tuple[int, int]:
    """First and last open of the wanted klines, by this machine's clock."""
    last = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS - MINUTE_MS
    return last - (bars - 1) * MINUTE_MS, last


def ccxt_sync(url: str, bars: int, out: Path) -> int:
    """ccxt as its manual shows it: fetch_ohlcv in a loop, 1000 rows a page, floats."""
    import ccxt

    x = ccxt.binanceusdm({"options": {"fetchMarkets": {"types": ["linear"]}}})
    point(x, url)
    since, last = window(bars)
    rows: list[Any] = []
    while since <= last:
        page = x.fetch_ohlcv("BTC/USDT:USDT", "1m", since=since, limit=1000)
        if not page:
            break
        rows += page
        since = page[-1][0] + MINUTE_MS
    return len(rows)


def ccxt_paginate(url: str, bars: int, out: Path) -> int:
    """ccxt's own concurrent pagination."""
    import ccxt.async_support as ccxt

    async def fetch() -> int:
        x = ccxt.binanceusdm({"options": {"fetchMarkets": {"types": ["linear"]}}})
        point(x, url)
        since, _ = window(bars)
        options = {"paginate": True, "paginationCalls": bars // 1000 + 1}
        rows = await x.fetch_ohlcv("BTC/USDT:USDT", "1m", since=since, limit=bars, params=options)
        await x.close()
        return len(rows)

    return asyncio.run(fetch())


def nautilus(url: str, bars: int, out: Path) -> int:
    """Nautilus' own adapter: load the instrument, request_binance_bars, write_data."""
    from nautilus_trader.adapters.binance.common.enums import (
        BinanceAccountType,
        BinanceKlineInterval,
    )
    from nautilus_trader.adapters.binance.futures.http.market import BinanceFuturesMarketHttpAPI
    from nautilus_trader.adapters.binance.futures.providers import BinanceFuturesInstrumentProvider
    from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
    from nautilus_trader.common.component import LiveClock
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    async def fetch() -> int:
        clock = LiveClock()
        client = BinanceHttpClient(clock, None, None, url)
        account = BinanceAccountType.USDT_FUTURES
        provider = BinanceFuturesInstrumentProvider(client, clock, account)
        await provider.load_ids_async([InstrumentId.from_str("BTCUSDT-PERP.BINANCE")])
        first, last = window(bars)
        rows = await BinanceFuturesMarketHttpAPI(client, account).request_binance_bars(
            bar_type=BarType.from_str(BAR_TYPE),
            interval=BinanceKlineInterval.MINUTE_1,
            limit=1000,
            start_time=first,
            end_time=last,
        )
        catalog = ParquetDataCatalog(str(out))
        catalog.write_data(provider.list_all())
        catalog.write_data(
            [Bar(r.bar_type, r.open, r.high, r.low, r.close, r.volume, r.ts_event, r.ts_event)
             for r in rows]
        )  # fmt: skip
        return len(rows)

    return asyncio.run(fetch())


def python_binance(url: str, bars: int, out: Path) -> int:
    """python-binance's futures_historical_klines."""
    from binance.client import Client

    Client.FUTURES_URL = f"{url}/fapi"
    client = Client(ping=False)
    first, last = window(bars)
    return len(client.futures_historical_klines("BTCUSDT", "1m", first, last, limit=1000))


def floor(url: str, bars: int, out: Path) -> int:
    """The same requests by bare aiohttp, and the same Parquet by bare pyarrow: nothing checked."""
    import aiohttp
    import msgspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    from warmup_job.market.interval import Interval
    from warmup_job.market.pages import plan_pages

    async def fetch() -> int:
        columns: list[list[Any]] = [[], [], [], [], [], []]
        async with aiohttp.ClientSession() as session:
            for path in ("time", "exchangeInfo"):
                async with session.get(f"{url}/fapi/v1/{path}") as answer:
                    await answer.read()
            last = window(bars)[1]
            pages = plan_pages("um", Interval.parse("1m"), bars, last)
            gate = asyncio.Semaphore(16)

            async def page(start: int | None, end: int, limit: int) -> list[Any]:
                query = f"symbol=BTCUSDT&interval=1m&startTime={start}&endTime={end}&limit={limit}"
                async with gate, session.get(f"{url}/fapi/v1/klines?{query}") as answer:
                    rows: list[Any] = msgspec.json.decode(await answer.read())
                    return rows

            for rows in await asyncio.gather(*(page(*p[:3]) for p in pages)):
                for index, column in enumerate(columns):
                    column += [row[index + 1] for row in rows]
        values = [pa.array(c, pa.string()).cast(pa.decimal128(38, 16)) for c in columns[:5]]
        stamps = pa.array([ms * 1_000_000 for ms in columns[5]], pa.uint64())
        table = pa.Table.from_arrays([*values, stamps, stamps], names=list("ohlcvti"))
        pq.write_table(table, out / "bars.parquet", row_group_size=5000)
        return len(columns[0])

    out.mkdir(parents=True)
    return asyncio.run(fetch())


def imports(url: str, bars: int, out: Path) -> int:
    """ccxt and what makes an instrument in Nautilus, and the same requests: no work beyond it."""
    import ccxt.async_support  # noqa: F401

    import warmup_job.catalog.instruments
    import warmup_job.catalog.nautilus_catalog  # noqa: F401

    return floor(url, bars, out)


def imports_later(url: str, bars: int, out: Path) -> int:
    """What our runs must import, and the same requests."""
    import ccxt.async_support  # noqa: F401

    return floor(url, bars, out)


def point(x: Any, url: str) -> None:
    """Turn a ccxt exchange to the local one."""
    x.urls["api"]["fapiPublic"] = f"{url}/fapi/v1"
    x.urls["api"]["fapiPublicV2"] = f"{url}/fapi/v2"


PEERS = {
    each.__name__: each
    for each in (
        ccxt_sync, ccxt_paginate, nautilus, python_binance, floor, imports, imports_later,
    )
}  # fmt: skip

if __name__ == "__main__":
    print(PEERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
