"""Recorded klines, served as if they were live, compared with Binance's own responses."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.made_up_recording import calm, record
from tests.support.suite import HANG_S
from warmup_job.errors import ConfigError
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.prices.replay import RecordedFeed, recorded_feeds
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.local_binance.server import RunningExchange, start
from warmup_job.market.interval import MINUTE_MS, Interval
from warmup_job.market.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MINUTE = Interval.parse("1m")
FOREVER = 10**15

needs_recordings = pytest.mark.skipif(
    not (DATA / "README.md").exists(), reason=f"the recorded klines are not at {DATA}"
)


def feed_of(*specs: str) -> RecordedFeed:
    return recorded_feeds([read_recording(spec) for spec in specs], default_symbols())[0]


def with_exchange[T](options: ExchangeOptions, use: Callable[[RunningExchange], Awaitable[T]]) -> T:
    async def run() -> T:
        exchange = await start(options)
        try:
            return await use(exchange)
        finally:
            await exchange.stop()

    return asyncio.run(run())


async def get(exchange: RunningExchange, path: str, **params: object) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(exchange.url + path, params={k: str(v) for k, v in params.items()}) as response,
    ):
        return await response.json()


def csv_of(folder: Path, name: str, lines: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,tb,tq,ignore"
    path.write_bytes(gzip.compress("\n".join([header, *lines]).encode()))
    return path


def line(minute: int, close_ms: int | None = None, volume: str = "10.0") -> str:
    open_ms = 1_700_000_040_000 + minute * MINUTE_MS
    close = open_ms + MINUTE_MS - 1 if close_ms is None else close_ms
    return f"{open_ms},5.000,5.010,4.990,5.005,{volume},{close},50.0100,20,4.0,20.0100,0"


# --- compared with Binance's responses ---


@needs_recordings
@pytest.mark.parametrize(
    ("symbol", "moment"),
    [("BTCUSDT", "20260502T0209"), ("BTCUSDT", "20260502T0220"), ("ETHUSDT", "20260502T0236")],
)
def test_local_binance_replay_page_equals_binances_answer(symbol: str, moment: str) -> None:
    answer = DATA / "um" / "rest" / f"klines-{symbol}-1m-limit1000-{moment}.json"
    binance = json.loads(answer.read_text())
    now_ms = binance[-1][0] + 20_000
    options = ExchangeOptions(
        replay=(str(DATA / "um" / f"{symbol}-1m-20260430-20260502.csv.gz"),), now_ms=now_ms
    )

    async def use(exchange: RunningExchange) -> tuple[Any, Any]:
        page = await get(exchange, "/fapi/v1/klines", symbol=symbol, interval="1m", limit=1000)
        final = await get(
            exchange, "/fapi/v1/klines", symbol=symbol, interval="1m", startTime=now_ms + 40_000
        )
        return page, final

    page, after_now = with_exchange(options, use)
    assert len(page) == len(binance) == 1000
    assert json.dumps(page[:-1]) == json.dumps(binance[:-1])
    forming, theirs = page[-1], binance[-1]
    assert (forming[0], forming[1], forming[6]) == (theirs[0], theirs[1], theirs[6])
    recorded = feed_of(options.replay[0]).klines.latest(MINUTE, forming[0], 1, FOREVER)[0]
    assert forming[:-1] != list(recorded)
    assert 0 < Decimal(forming[5]) < Decimal(recorded.volume)
    assert Decimal(recorded.low) <= Decimal(forming[3]) <= Decimal(forming[4])
    assert Decimal(forming[4]) <= Decimal(forming[2]) <= Decimal(recorded.high)
    assert after_now == []


@needs_recordings
@pytest.mark.parametrize(
    ("interval", "recorded"),
    [("15m", "BTCUSDT-15m-20230101-20230630"), ("1h", "BTCUSDT-1h-2023")],
)
def test_local_binance_replay_aggregates_equal_the_recorded_ones_through_an_outage(
    interval: str, recorded: str
) -> None:
    minutes = feed_of(str(DATA / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"))
    theirs = feed_of(str(DATA / "spot" / f"{recorded}.csv.gz"))
    wanted = Interval.parse(interval)
    first, last = 1_678_406_400_000, 1_680_998_399_999  # what the minutes cover
    ours = minutes.klines.earliest(wanted, first, last, FOREVER, FOREVER)
    assert len(ours) > 700
    assert ours == theirs.klines.earliest(wanted, first, last, FOREVER, FOREVER)
    assert 1_679_661_581_646 in {row.close_ms for row in ours}  # the outage ended one early


@needs_recordings
def test_local_binance_replay_serves_gaps_and_early_closes() -> None:
    path = str(DATA / "spot" / "ETHUSDT-1m-20230310-20230408.csv.gz")
    last_before, first_after = 1_679_661_540_000, 1_679_666_400_000
    options = ExchangeOptions(replay=(path,), now_ms=first_after + 90_000)

    async def use(exchange: RunningExchange) -> Any:
        query = {"symbol": "ETHUSDT", "interval": "1m"}
        return (
            await get(exchange, "/api/v3/klines", **query, startTime=last_before, limit=2),
            await get(exchange, "/api/v3/klines", **query, endTime=first_after - 1, limit=1),
            await get(exchange, "/api/v3/klines", **query, limit=4),
            await get(
                exchange,
                "/api/v3/klines",
                **query,
                startTime=last_before + 1,
                endTime=first_after - 1,
            ),
        )

    across, before, newest, inside = with_exchange(options, use)
    assert [row[0] for row in across] == [last_before, first_after]
    assert across[0][6] == 1_679_661_583_061
    assert across[0][5] == "0.00000000"
    assert before == across[:1]
    assert [row[0] for row in newest] == [
        last_before - MINUTE_MS, last_before, first_after, first_after + MINUTE_MS
    ]  # fmt: skip
    assert inside == []


# --- without recordings ---


def test_local_binance_replay_last_row_is_forming_by_default(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "um", "FILUSDT-1m-x.csv.gz", [line(0), line(1), line(2)])

    async def use(exchange: RunningExchange) -> tuple[Any, int, int]:
        first = (await get(exchange, "/fapi/v1/time"))["serverTime"]
        rows = await get(exchange, "/fapi/v1/klines", symbol="FILUSDT", interval="1m")
        await asyncio.sleep(0.05)
        return rows, first, (await get(exchange, "/fapi/v1/time"))["serverTime"]

    began = time.monotonic()
    rows, first, later = with_exchange(ExchangeOptions(replay=(str(path),)), use)
    latest_ms = 1_700_000_161_000 + (time.monotonic() - began) * 1000 + 1
    assert 1_700_000_161_000 <= first <= later - 40 <= latest_ms
    assert [row[0] for row in rows] == [1_700_000_040_000 + i * MINUTE_MS for i in range(3)]
    assert rows[1] == [
        1_700_000_100_000, "5.000", "5.010", "4.990", "5.005", "10.0",
        1_700_000_159_999, "50.0100", 20, "4.0", "20.0100", "0",
    ]  # fmt: skip
    assert rows[2][1:6] != rows[1][1:6]


def test_local_binance_replay_that_has_the_present_runs_by_the_machines_clock(
    tmp_path: Path,
) -> None:
    """Live clients sign by that clock, and reading a long recording takes seconds."""
    recording = record(tmp_path, calm(10, Decimal(50_000)), calm(10, Decimal(50_000)))

    async def use(exchange: RunningExchange) -> None:
        before_ms = time.time_ns() // 1_000_000
        answered = (await get(exchange, "/fapi/v1/time"))["serverTime"]
        assert before_ms - 5 <= answered <= time.time_ns() // 1_000_000 + 5

    with_exchange(ExchangeOptions(replay=(str(recording),)), use)


def test_local_binance_replay_forming_row_only_grows(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "um", "FILUSDT-1m-x.csv.gz", [line(0), line(1)])
    feed = feed_of(str(path))
    final = feed.klines.earliest(MINUTE, 0, FOREVER, 1, FOREVER)[0]
    volume = Decimal(0)
    for now in range(final.open_ms, final.close_ms + 1, 171):
        row = feed.klines.latest(MINUTE, FOREVER, 1, now)[0]  # what opens later is not there yet
        assert row != final
        assert volume <= Decimal(row.volume) < Decimal(final.volume)
        volume = Decimal(row.volume)
        low, high = Decimal(row.low), Decimal(row.high)
        assert Decimal("4.990") <= low <= Decimal(row.close) <= high <= Decimal("5.010")
        assert low * volume <= Decimal(row.quote_volume) <= high * volume
        assert (row.trades == 0) == (volume == 0)
        assert row.close_ms == final.close_ms
    last_ms = feed.klines.latest(MINUTE, final.close_ms, 1, final.close_ms)[0]
    assert last_ms != final
    after = feed.klines.latest(MINUTE, FOREVER, 2, final.close_ms + 1)
    assert after[0] == final
    assert after[1].open_ms == final.close_ms + 1


def test_local_binance_replay_other_intervals_are_made_of_minutes(tmp_path: Path) -> None:
    minutes = [line(i) for i in range(7)]  # from 22:14 on: one minute, five, and half a minute
    one = csv_of(tmp_path / "um", "FILUSDT-1m-x.csv.gz", minutes)
    hour = csv_of(tmp_path / "spot", "XRPUSDT-1h-x.csv.gz", [line(i * 60 - 14) for i in range(3)])
    options = ExchangeOptions(replay=(str(one), str(hour)), now_ms=1_700_000_430_000)

    async def use(exchange: RunningExchange) -> Any:
        return (
            await get(exchange, "/fapi/v1/klines", symbol="FILUSDT", interval="5m"),
            await get(exchange, "/api/v3/klines", symbol="XRPUSDT", interval="1m"),
            await get(exchange, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=2),
            await get(
                exchange, "/fapi/v1/markPriceKlines", symbol="FILUSDT", interval="1m", limit=2
            ),
        )

    five, refused, generated, marks = with_exchange(options, use)
    assert [row[0] for row in five] == [1_699_999_800_000, 1_700_000_100_000, 1_700_000_400_000]
    assert [five[0][5], five[1][5]] == ["10.0", "50.0"]
    assert [five[0][8], five[1][8]] == [20, 100]
    assert 4 < Decimal(five[2][5]) < 5  # half a minute of the third
    assert five[2][6] == 1_700_000_699_999
    assert refused == {"code": -1120, "msg": "Invalid interval."}
    assert len(generated) == 2  # the other symbols continue on the same clock
    assert generated[-1][0] == 1_700_000_400_000
    assert marks[0][1:6] == ["5.00000000", "5.01000000", "4.99000000", "5.00500000", "0"]


def test_local_binance_replay_unknown_symbol_is_listed_with_its_decimals(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "anything.csv.gz", [line(0), line(1)])
    options = ExchangeOptions(replay=(f"um:WIFUSDT:1m:{path}",))

    async def use(exchange: RunningExchange) -> Any:
        info = await get(exchange, "/fapi/v1/exchangeInfo")
        return next(entry for entry in info["symbols"] if entry["symbol"] == "WIFUSDT")

    entry = with_exchange(options, use)
    assert (entry["baseAsset"], entry["pricePrecision"], entry["quantityPrecision"]) == (
        "WIF",
        3,
        1,
    )
    assert entry["filters"][0]["tickSize"] == "0.001"
    assert entry["filters"][1]["stepSize"] == "0.1"


def test_local_binance_replay_streams_close_with_the_recorded_row(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "um", "FILUSDT-1m-x.csv.gz", [line(0), line(1)])
    options = ExchangeOptions(replay=(str(path),), now_ms=1_700_000_060_000, kline_ms=100)

    async def use(exchange: RunningExchange) -> list[Any]:
        names = "filusdt@kline_1m/filusdt@aggTrade/filusdt@bookTicker/filusdt@markPrice@1s"
        seen = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{exchange.ws_url}/stream?streams={names}") as socket,
            asyncio.timeout(HANG_S),
        ):
            events: set[str] = set()
            while len(events) < 4:  # every event has come; now the kline may close
                seen.append((await socket.receive_json())["data"])
                events.add(seen[-1]["e"])
            exchange.add_fault("skew=+39s")
            async for message in socket:
                seen.append(json.loads(message.data)["data"])
                if seen[-1]["e"] == "kline" and seen[-1]["k"]["t"] == 1_700_000_100_000:
                    return seen
        return seen

    seen = with_exchange(options, use)
    klines = [event["k"] for event in seen if event["e"] == "kline"]
    closed = [k for k in klines if k["x"]]
    assert [(k["t"], k["o"], k["c"], k["v"], k["n"]) for k in closed] == [
        (1_700_000_040_000, "5.000", "5.005", "10.0", 20)
    ]
    assert all(k["v"] != "10.0" for k in klines if not k["x"])
    assert {event["e"] for event in seen} == {"kline", "aggTrade", "bookTicker", "markPriceUpdate"}


@pytest.mark.parametrize(
    ("folder", "name", "lines", "says"),
    [
        ("elsewhere", "FILUSDT-1m-x.csv.gz", [line(0)], "neither um nor spot"),
        ("um", "FILUSDT.csv.gz", [line(0)], "SYMBOL-INTERVAL"),
        ("um", "FILUSDT-7m-x.csv.gz", [line(0)], "no kline interval"),
        ("um", "FILUSDT-1m-x.csv.gz", [], "no klines"),
        ("um", "FILUSDT-1m-x.csv.gz", [line(1), line(0)], "do not ascend"),
        ("um", "FILUSDT-1m-x.csv.gz", ["1,2,3"], "3 columns"),
        ("um", "NOQUOTE-1m-x.csv.gz", [line(0)], "quote asset"),
    ],
)
def test_local_binance_replay_bad_recording_is_named(
    tmp_path: Path, folder: str, name: str, lines: list[str], says: str
) -> None:
    path = csv_of(tmp_path / folder, name, lines)
    with pytest.raises(ConfigError, match=says):
        asyncio.run(start(ExchangeOptions(replay=(str(path),))))


def test_local_binance_replay_file_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m-x.csv.gz"
    path.write_text("not gzip")
    for spec in (f"um:BTCUSDT:1m:{path}", f"um:BTCUSDT:1m:{tmp_path}/nothing.csv.gz"):
        with pytest.raises(ConfigError, match="not a readable kline recording"):
            read_recording(spec)
