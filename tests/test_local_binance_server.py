"""The local exchange over real HTTP and websockets: plain clients, ccxt and NautilusTrader.

Run as a script, this file is the process that runs NautilusTrader's own node on the exchange.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket as sockets
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.commands import run_as_script
from tests.support.suite import HANG_S
from warmup_job.errors import ConfigError
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.rest.weight_meter import PATIENCE, WeightMeter, request_weight
from warmup_job.local_binance.server import RunningExchange, serve, start
from warmup_job.market.interval import INTERVAL_NAMES, MINUTE_MS, Interval

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MINUTE_START = 1_780_000_020_000
assert MINUTE_START % MINUTE_MS == 0


def with_exchange[T](options: ExchangeOptions, use: Callable[[RunningExchange], Awaitable[T]]) -> T:
    async def run() -> T:
        exchange = await start(options)
        try:
            return await use(exchange)
        finally:
            await exchange.stop()

    return asyncio.run(run())


async def reply(
    exchange: RunningExchange, path: str, **params: object
) -> tuple[int, dict[str, str], Any]:
    query = {name: str(value) for name, value in params.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(exchange.url + path, params=query) as response,
    ):
        return response.status, dict(response.headers), await response.json()


async def get(exchange: RunningExchange, path: str, **params: object) -> Any:
    status, _, body = await reply(exchange, path, **params)
    assert status == 200, body
    return body


# --- pages ---


def test_local_binance_server_pages_follow_binances_rules() -> None:
    async def use(exchange: RunningExchange) -> None:
        async def opens(**params: object) -> list[int]:
            rows = await get(exchange, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", **params)
            return [(row[0] - MINUTE_START) // MINUTE_MS for row in rows]

        forming = 0
        t = MINUTE_START
        minute = MINUTE_MS
        # Neither startTime nor endTime: the latest rows, the newest one forming.
        assert await opens(limit=3) == [-2, -1, forming]
        assert len(await opens()) == 500
        assert len(await opens(limit=1500)) == 1500
        # Only endTime: the latest up to it, inclusive on the open time.
        assert await opens(endTime=t - 5 * minute, limit=2) == [-6, -5]
        assert await opens(endTime=t - 5 * minute - 1, limit=2) == [-7, -6]
        assert await opens(endTime=t + 10**9, limit=2) == [-1, forming]
        # startTime: the earliest from there, inclusive, never more than limit.
        assert await opens(startTime=t - 5 * minute, limit=2) == [-5, -4]
        assert await opens(startTime=t - 5 * minute + 1, limit=2) == [-4, -3]
        assert await opens(startTime=t - 2 * minute) == [-2, -1, forming]
        assert await opens(startTime=t - 5 * minute, endTime=t - 4 * minute) == [-5, -4]
        assert await opens(startTime=t - 5 * minute, endTime=t - 4 * minute - 1) == [-5]
        assert await opens(startTime=t - 5 * minute + 1, endTime=t - 4 * minute - 1) == []
        assert await opens(startTime=t + minute) == []
        # Before the listing: nothing; across it: from the first minute on.
        first = await get(
            exchange, "/fapi/v1/klines", symbol="SOLUSDT", interval="1m", startTime=0, limit=1
        )
        info = await get(exchange, "/fapi/v1/exchangeInfo")
        onboard = {entry["symbol"]: entry["onboardDate"] for entry in info["symbols"]}
        assert first[0][0] == onboard["SOLUSDT"]
        assert (
            await get(
                exchange,
                "/fapi/v1/klines",
                symbol="SOLUSDT",
                interval="1m",
                endTime=onboard["SOLUSDT"] - 1,
            )
            == []
        )

    with_exchange(ExchangeOptions(now_ms=MINUTE_START + 5_000), use)


def test_local_binance_server_serves_every_interval_and_all_months_in_one_request() -> None:
    async def use(exchange: RunningExchange) -> None:
        for name in INTERVAL_NAMES:
            interval = Interval.parse(name)
            for path in ("/fapi/v1/klines", "/api/v3/klines", "/fapi/v1/markPriceKlines"):
                status, _, body = await reply(
                    exchange, path, symbol="ETHUSDT", interval=name, limit=3
                )
                if name == "1s" and path.startswith("/fapi"):
                    assert (status, body["code"]) == (400, -1120)
                    continue
                assert status == 200
                assert [len(row) for row in body] == [12] * 3
                now = exchange.now_ms()
                assert body[-1][0] <= now <= interval.next(interval.next(body[-1][0]))
                assert all(row[6] == interval.close_ms(row[0]) for row in body)
                assert all(row[11] == "0" for row in body)
        months = await get(exchange, "/fapi/v1/klines", symbol="BTCUSDT", interval="1M", limit=1500)
        assert len(months) > 75

    with_exchange(ExchangeOptions(now_ms=MINUTE_START + 5_000), use)


def test_local_binance_server_refusals_have_binances_wording() -> None:
    cases: list[tuple[str, dict[str, object], int]] = [
        ("/fapi/v1/klines", {"interval": "1m"}, -1102),
        ("/fapi/v1/klines", {"symbol": "", "interval": "1m"}, -1102),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT"}, -1102),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": ""}, -1102),
        ("/fapi/v1/klines", {"symbol": "BTC/USDT", "interval": "1m"}, -1100),
        ("/api/v3/klines", {"symbol": "btcusdt", "interval": "1m"}, -1100),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT\n", "interval": "1m"}, -1100),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "x"}, -1100),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": -5}, -1100),
        ("/fapi/v1/klines", {"symbol": "NOPEUSDT", "interval": "1m"}, -1121),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "2m"}, -1120),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1501}, -1130),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 0}, -1130),
        (
            "/fapi/v1/klines",
            {"symbol": "BTCUSDT", "interval": "1m", "startTime": 2, "endTime": 1},
            -1023,
        ),
        ("/fapi/v1/premiumIndex", {"symbol": "NOPEUSDT"}, -1121),
        ("/api/v3/exchangeInfo", {"symbol": "NOPEUSDT"}, -1121),
        ("/api/v3/exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
    ]

    async def use(exchange: RunningExchange) -> None:
        for path, params, code in cases:
            status, _, body = await reply(exchange, path, **params)
            assert (status, body["code"]) == (400, code), (path, params, body)
            assert body["msg"]
        query: dict[str, object] = {"symbol": "BTCUSDT", "interval": "1m"}
        assert len(await get(exchange, "/api/v3/klines", **query, limit=1500)) == 1000
        assert await get(exchange, "/api/v3/klines", **query, startTime=2, endTime=1) == []
        status, _, body = await reply(exchange, "/fapi/v9/nothing")
        assert (status, list(body)) == (404, ["code", "msg"])

    with_exchange(ExchangeOptions(), use)


def test_local_binance_server_other_endpoints() -> None:
    async def use(exchange: RunningExchange) -> None:
        for base in ("/fapi/v1", "/api/v3"):
            assert await get(exchange, f"{base}/ping") == {}
            server_time = (await get(exchange, f"{base}/time"))["serverTime"]
            assert 0 <= server_time - (MINUTE_START + 7_000) < 5_000
            books = await get(exchange, f"{base}/ticker/bookTicker")
            assert len(books) == 7
            one = await get(exchange, f"{base}/ticker/bookTicker", symbol="BTCUSDT")
            assert 0 < float(one["askPrice"]) - float(one["bidPrice"]) < 0.11
        premium = await get(exchange, "/fapi/v1/premiumIndex", symbol="BTCUSDT")
        assert len(premium["markPrice"].partition(".")[2]) == 8
        assert premium["nextFundingTime"] > exchange.now_ms()
        assert len(await get(exchange, "/fapi/v1/premiumIndex")) == 7
        price = await get(exchange, "/fapi/v2/ticker/price", symbol="BTCUSDT")
        assert abs(float(price["price"]) / float(premium["markPrice"]) - 1) < 0.01
        both = await get(exchange, "/api/v3/exchangeInfo", symbols='["BTCUSDT","XRPUSDT"]')
        assert [entry["symbol"] for entry in both["symbols"]] == ["BTCUSDT", "XRPUSDT"]
        alone = await get(exchange, "/api/v3/exchangeInfo", symbol="XRPUSDT")
        assert [entry["symbol"] for entry in alone["symbols"]] == ["XRPUSDT"]

    with_exchange(ExchangeOptions(now_ms=MINUTE_START + 5_000, clock_skew_ms=2_000), use)


def test_local_binance_server_gzip_and_latency() -> None:
    async def use(exchange: RunningExchange) -> None:
        url = f"{exchange.url}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&endTime=1700000000000"
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            began = time.perf_counter()
            async with session.get(url, headers={"Accept-Encoding": "gzip"}) as response:
                assert response.headers["Content-Encoding"] == "gzip"
                packed = await response.read()
            assert time.perf_counter() - began >= 0.1
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
                assert "Content-Encoding" not in response.headers
                plain = await response.read()
        assert len(packed) < len(plain) / 2
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert await response.read() == plain

    with_exchange(ExchangeOptions(latency_ms=100), use)


def test_local_binance_server_bad_options_are_refused() -> None:
    for options in (
        ExchangeOptions(volatility_bps=-1),
        ExchangeOptions(kline_ms=0),
        ExchangeOptions(latency_ms=-1),
        ExchangeOptions(speed=0),
        ExchangeOptions(speed=1001),
        ExchangeOptions(speed=float("nan")),
    ):
        with pytest.raises(ConfigError):
            asyncio.run(start(options))


# --- weights ---


def test_local_binance_server_weights_are_binances() -> None:
    def futures(limit: int) -> int:
        return request_weight("/fapi/v1/klines", {"limit": str(limit)})

    assert [futures(n) for n in (1, 99, 100, 499, 500, 1000, 1001, 1500)] == [
        1,
        1,
        2,
        2,
        5,
        5,
        10,
        10,
    ]
    assert request_weight("/fapi/v1/klines", {}) == 5
    assert request_weight("/fapi/v1/markPriceKlines", {"limit": "499"}) == 2
    assert request_weight("/api/v3/klines", {"limit": "1000"}) == 2
    assert request_weight("/api/v3/exchangeInfo", {}) == 20
    assert request_weight("/fapi/v1/exchangeInfo", {}) == 1
    assert request_weight("/fapi/v1/ping", {}) == 1


def test_local_binance_server_budget_is_counted_then_429_then_418() -> None:
    async def use(exchange: RunningExchange) -> None:
        async def klines(limit: int) -> tuple[int, dict[str, str], Any]:
            return await reply(
                exchange, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=limit
            )

        _, headers, _ = await klines(99)
        assert headers["X-MBX-USED-WEIGHT-1M"] == "1"
        _, headers, _ = await klines(1000)
        assert headers["X-MBX-USED-WEIGHT-1M"] == "6"
        assert "X-MBX-USED-WEIGHT" not in headers
        status, headers, body = await klines(1500)
        assert (status, body["code"]) == (429, -1003)
        left_s = 60 - (exchange.now_ms() - MINUTE_START) / 1000
        assert left_s - 1 < int(headers["Retry-After"]) < left_s + 2
        # Spot has its own budget and one more header.
        status, headers, _ = await reply(exchange, "/api/v3/ping")
        assert (status, headers["X-MBX-USED-WEIGHT-1M"], headers["X-MBX-USED-WEIGHT"]) == (
            200,
            "1",
            "1",
        )
        for _ in range(PATIENCE - 1):
            assert (await reply(exchange, "/fapi/v1/ping"))[0] == 429
        status, headers, body = await reply(exchange, "/fapi/v1/ping")
        assert (status, headers["Retry-After"]) == (418, "7")
        assert "banned until" in body["msg"]
        assert (await reply(exchange, "/fapi/v1/time"))[0] == 418
        assert (await reply(exchange, "/api/v3/ping"))[0] == 200

        seen = await get(exchange, "/_sim/requests")
        assert seen["by_status"] == {"200": 4, "429": 10, "418": 2}
        async with aiohttp.ClientSession() as session:
            await (await session.post(exchange.url + "/_sim/reset")).read()
        assert (await get(exchange, "/_sim/requests"))["count"] == 0
        assert (await reply(exchange, "/fapi/v1/ping"))[0] == 200

    with_exchange(ExchangeOptions(now_ms=MINUTE_START, weight_limit=10, ban_seconds=7), use)


def test_local_binance_server_budget_resets_by_minute_and_bans_grow_per_address() -> None:
    meter = WeightMeter(minute_limit=5, ban_ms=1000)

    def status(address: str, now_ms: int, weight: int = 1) -> int:
        try:
            meter.charge("um", address, weight, now_ms)
        except Exception as refused:  # noqa: BLE001 - only its status matters here
            return int(getattr(refused, "status", -1))
        return 200

    assert [status("a", 59_999, 5), status("a", 59_999)] == [200, 429]
    assert [status("b", 59_999), status("a", 60_000)] == [200, 200]
    for _ in range(PATIENCE):
        assert status("a", 60_001, 100) == 429
    assert status("a", 60_002) == 418
    assert status("a", 61_001) == 418
    for _ in range(PATIENCE + 1):
        last = status("a", 121_000, 100)
    assert last == 418
    assert status("a", 122_500) == 418  # the second ban lasts two seconds
    assert status("a", 123_001, 0) == 429  # the budget of that minute is still spent


def test_local_binance_server_records_every_request() -> None:
    async def use(exchange: RunningExchange) -> None:
        await get(exchange, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=499)
        await reply(exchange, "/nothing")
        async with aiohttp.ClientSession() as session:
            url = f"{exchange.ws_url}/stream?streams=btcusdt@kline_1m"
            async with session.ws_connect(url):
                seen = await get(exchange, "/_sim/requests")
        assert seen["websockets"] == 1
        assert (seen["count"], seen["weight"]) == (3, 2)
        assert seen["by_path"] == {"/fapi/v1/klines": 1, "/nothing": 1, "/stream": 1}
        assert [(r["path"], r["status"], r["weight"]) for r in seen["requests"]] == [
            ("/fapi/v1/klines", 200, 2), ("/nothing", 404, 0), ("/stream", 101, 0),
        ]  # fmt: skip
        assert seen["requests"][0]["params"] == {
            "symbol": "BTCUSDT",
            "interval": "1m",
            "limit": "499",
        }

    with_exchange(ExchangeOptions(), use)


# --- websockets ---


async def collect(
    exchange: RunningExchange,
    path: str,
    enough: Callable[[list[Any]], bool],
    seconds: float = HANG_S,
) -> list[Any]:
    seen: list[Any] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(exchange.ws_url + path) as socket,
        asyncio.timeout(seconds),
    ):
        async for message in socket:
            seen.append(json.loads(message.data))
            if enough(seen):
                break
    return seen


@pytest.mark.parametrize(("prefix", "rest"), [("/market", "/fapi/v1"), ("/spot", "/api/v3")])
def test_local_binance_server_closed_kline_is_sent_once_and_equals_rest(
    prefix: str, rest: str
) -> None:
    async def use(exchange: RunningExchange) -> None:
        def enough(seen: list[Any]) -> bool:
            return seen[-1]["data"]["k"]["t"] == MINUTE_START + MINUTE_MS and len(seen) > 8

        path = f"{prefix}/stream?streams=btcusdt@kline_1m/btcusdt@kline_3m"
        seen = await collect(exchange, path, enough)
        minutes = [m["data"] for m in seen if m["stream"] == "btcusdt@kline_1m"]
        closed = [event for event in minutes if event["k"]["x"]]
        assert len(closed) == 1
        event, k = closed[0], closed[0]["k"]
        assert (event["e"], event["s"], k["s"], k["i"]) == ("kline", "BTCUSDT", "BTCUSDT", "1m")
        # Every earlier change was sent before the close.
        assert event["E"] > k["T"]
        assert all(e["E"] <= k["T"] for e in minutes[: minutes.index(event)])
        row = (
            await get(
                exchange,
                f"{rest}/klines",
                symbol="BTCUSDT",
                interval="1m",
                startTime=MINUTE_START,
                limit=1,
            )
        )[0]
        assert [k[name] for name in "tohlcvTqnVQB"] == row
        assert k["L"] - k["f"] + 1 == k["n"]
        assert [e["k"]["t"] for e in minutes] == sorted(e["k"]["t"] for e in minutes)
        before = [e for e in minutes if e["E"] < event["E"]]
        assert len(before) >= 3
        assert all(b["E"] - a["E"] >= 150 for a, b in itertools.pairwise(before))
        assert any(m["stream"] == "btcusdt@kline_3m" for m in seen)

    with_exchange(ExchangeOptions(now_ms=MINUTE_START + 55_000, kline_ms=160), use)


def test_local_binance_server_faster_clock_closes_every_minute_once() -> None:
    async def use(exchange: RunningExchange) -> None:
        def enough(seen: list[dict[str, Any]]) -> bool:
            return len([each for each in seen if each["data"]["k"]["x"]]) >= 5

        seen = await collect(exchange, "/stream?streams=btcusdt@kline_1m", enough)
        closed = [each["data"]["k"] for each in seen if each["data"]["k"]["x"]]
        rows = await get(exchange, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m",
                         startTime=closed[0]["t"], limit=5)  # fmt: skip
        assert [[k[name] for name in "tohlcvTqnVQB"] for k in closed] == rows

    with_exchange(ExchangeOptions(now_ms=MINUTE_START + 1000, speed=300), use)


def test_local_binance_server_raw_streams_and_their_payloads() -> None:
    async def use(exchange: RunningExchange) -> None:
        def some(seen: list[Any]) -> bool:
            return len(seen) >= 3

        async def raw(path: str) -> list[Any]:
            return await collect(exchange, path, some)

        async with asyncio.TaskGroup() as group:
            paths = (
                "/ws/btcusdt@bookTicker",
                "/spot/ws/btcusdt@bookTicker",
                "/public/ws/btcusdt@aggTrade",
                "/spot/ws/btcusdt@aggTrade",
                "/market/ws/btcusdt@markPrice@1s",
                "/spot/ws/btcusdt@kline_1s",
            )
            tasks = [group.create_task(raw(path)) for path in paths]
        um_book, spot_book, um_trade, spot_trade, mark, seconds = (task.result() for task in tasks)
        assert list(um_book[0]) == ["e", "u", "s", "b", "B", "a", "A", "T", "E"]
        assert list(spot_book[0]) == ["u", "s", "b", "B", "a", "A"]
        for books in (um_book, spot_book):
            assert all(a["u"] < b["u"] for a, b in itertools.pairwise(books))
            assert all(float(book["b"]) < float(book["a"]) for book in books)
        assert set(um_trade[0]) == set("eEaspqflTm")
        assert set(spot_trade[0]) == set("eEaspqflTmM")
        assert all(a["l"] < b["f"] for a, b in itertools.pairwise(um_trade))
        assert set(mark[0]) == set("eEspiPrT")
        assert all(a["E"] // 1000 < b["E"] // 1000 for a, b in itertools.pairwise(mark))
        assert {event["k"]["i"] for event in seconds} == {"1s"}

    with_exchange(ExchangeOptions(now_ms=MINUTE_START + 5_000), use)


def test_local_binance_server_subscribe_and_unsubscribe() -> None:
    async def use(exchange: RunningExchange) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{exchange.ws_url}/ws") as socket,
            asyncio.timeout(HANG_S),
        ):

            async def ask(**request: object) -> Any:
                await socket.send_json(request)
                while True:
                    message = json.loads((await socket.receive()).data)
                    if "e" not in message:
                        return message

            names = ["btcusdt@bookTicker", "nosuch@kline_1m"]
            assert await ask(method="SUBSCRIBE", params=names, id=1) == {"result": None, "id": 1}
            assert json.loads((await socket.receive()).data)["e"] == "bookTicker"
            listed = await ask(method="LIST_SUBSCRIPTIONS", id=2)
            assert listed == {"result": names, "id": 2}
            await ask(method="SUBSCRIBE", params=names, id=3)  # a second subscription has no effect
            assert (await ask(method="LIST_SUBSCRIPTIONS", id=4))["result"] == names
            assert (await ask(method="UNSUBSCRIBE", params=names, id="x"))["id"] == "x"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.6):
                    await socket.receive()
            # A new subscription must not also restart the old source: each change comes once.
            await ask(method="SUBSCRIBE", params=names, id=7)
            updates = [(await socket.receive_json())["u"] for _ in range(3)]
            assert updates == sorted(set(updates))
            await ask(method="UNSUBSCRIBE", params=names, id=8)
            assert (await ask(method="DANCE", id=5))["error"]["code"] == 2
            assert (await ask(method="SUBSCRIBE", params="btcusdt@bookTicker", id=6))["error"][
                "code"
            ] == 2
            await socket.send_str("{")
            assert json.loads((await socket.receive()).data)["error"]["code"] == 3
            await socket.ping(b"x")
            assert socket.closed is False

    with_exchange(ExchangeOptions(), use)


def test_local_binance_server_disconnects_only_the_client_that_does_not_read() -> None:
    async def use(exchange: RunningExchange) -> None:
        loop = asyncio.get_running_loop()
        lazy = sockets.socket()
        lazy.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        lazy.setblocking(False)
        await loop.sock_connect(lazy, (exchange.host, exchange.port))
        names = "/".join(
            f"{symbol}usdt@kline_{interval}"
            for symbol in ("btc", "eth", "sol", "avax", "link", "fil", "xrp")
            for interval in ("1m", "3m", "5m")
        )
        await loop.sock_sendall(
            lazy,
            f"GET /stream?streams={names} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode(),
        )
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{exchange.ws_url}/ws/btcusdt@kline_1m") as diligent,
            asyncio.timeout(HANG_S),
        ):
            while True:
                for _ in range(20):
                    await diligent.receive_json()
                log = await get(exchange, "/_sim/requests")
                if log["count"] >= 2 and log["websockets"] == 1:
                    break
            cut_ms, told_ms = exchange.now_ms(), 0
            while told_ms <= cut_ms:  # the shared stream continues for the client that reads
                told_ms = (await diligent.receive_json())["E"]
        lazy.close()

    with_exchange(ExchangeOptions(kline_ms=1), use)


def test_local_binance_server_root_streams_can_be_spot() -> None:
    async def use(exchange: RunningExchange) -> Any:
        return (await collect(exchange, "/ws/btcusdt@bookTicker", lambda _: True))[0]

    assert "e" not in with_exchange(ExchangeOptions(root_streams="spot"), use)


def test_local_binance_server_stop_closes_every_websocket() -> None:
    async def run() -> int | None:
        exchange = await start(ExchangeOptions())
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{exchange.ws_url}/ws/btcusdt@bookTicker") as socket,
        ):
            stopping = asyncio.create_task(exchange.stop())
            async for _ in socket:
                pass
            await stopping
            return socket.close_code

    assert asyncio.run(run()) == 1001


def test_local_binance_server_runs_until_sigterm() -> None:
    ports: list[int] = []

    async def run() -> None:
        def ready(exchange: RunningExchange) -> None:
            ports.append(exchange.port)
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)

        async with asyncio.timeout(HANG_S):
            await serve(ExchangeOptions(), ready)

    asyncio.run(run())
    assert ports[0] > 0
    with pytest.raises(ConnectionRefusedError):
        sockets.create_connection(("127.0.0.1", ports[0]), 1).close()


# --- ccxt and NautilusTrader ---


@pytest.mark.usefixtures("whole_ccxt")
def test_local_binance_server_works_with_ccxt() -> None:
    async def use(exchange: RunningExchange) -> None:
        import ccxt.async_support as ccxt

        client = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot", "linear"]}}})
        client.urls["api"].update(
            public=f"{exchange.url}/api/v3",
            fapiPublic=f"{exchange.url}/fapi/v1",
            fapiPublicV2=f"{exchange.url}/fapi/v2",
        )
        try:
            markets = await client.load_markets()
            assert {"BTC/USDT", "BTC/USDT:USDT", "XRP/USDT:USDT"} <= set(markets)
            assert len(markets) == 14
            swap = markets["BTC/USDT:USDT"]
            assert (swap["precision"]["price"], swap["precision"]["amount"]) == (0.1, 0.001)
            assert swap["active"] is True
            assert markets["BTC/USDT"]["precision"]["price"] == 0.01
            asked_ms = exchange.now_ms()
            assert asked_ms <= await client.fetch_time() <= exchange.now_ms()
            params = {
                "symbol": "BTCUSDT",
                "interval": "1m",
                "limit": 3,
                "endTime": MINUTE_START - 1,
            }
            for implicit, path in (
                (client.fapiPublicGetKlines, "/fapi/v1/klines"),
                (client.publicGetKlines, "/api/v3/klines"),
                (client.fapiPublicGetMarkPriceKlines, "/fapi/v1/markPriceKlines"),
            ):
                ours = await get(exchange, path, **params)
                theirs = await implicit(params)
                assert [[str(x) for x in row] for row in theirs] == [
                    [str(x) for x in row] for row in ours
                ]
            candles = await client.fetch_ohlcv("BTC/USDT:USDT", "1h", limit=5)
            assert len(candles) == 5
            with pytest.raises(ccxt.BadSymbol):
                await client.fapiPublicGetKlines({**params, "symbol": "NOPEUSDT"})
            with pytest.raises(ccxt.BadRequest):
                await client.fapiPublicGetKlines({**params, "interval": "7m"})
        finally:
            await client.close()

    with_exchange(ExchangeOptions(now_ms=MINUTE_START), use)


def test_local_binance_server_works_with_nautilus_data_clients() -> None:
    *log, result = run_as_script(__file__)
    complaints = [entry for entry in log if "[WARN]" in entry or "[ERROR]" in entry]
    # A node for data only logs that; there may be no other warning.
    ours = [c for c in complaints if "exec_clients" not in c and "No clients to connect" not in c]
    assert ours == []
    seen = json.loads(result)
    assert seen["instruments"] == 14
    assert set(seen["others"]) == {"QuoteTick", "TradeTick", "MarkPriceUpdate"}
    assert set(seen["bars"]) == {"BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE_SPOT"}
    for kind, open_, high, low, close, volume, close_ms, expected in seen["bars"].values():
        assert kind == "BinanceBar"
        assert [open_, high, low, close, volume, close_ms] == expected


def meet_nautilus() -> None:
    """Run a node with Nautilus' futures and spot data clients until each received a closed bar."""
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
    from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
    from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
    from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.identifiers import InstrumentId, TraderId, Venue
    from nautilus_trader.trading.strategy import Strategy

    symbols = ("BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE_SPOT")
    bars: dict[str, list[Any]] = {}
    others: set[str] = set()
    enough = asyncio.Event()

    class Listener(Strategy):
        def on_start(self) -> None:
            for name in symbols:
                self.subscribe_bars(BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL"))
                self.subscribe_quote_ticks(InstrumentId.from_str(name))
                self.subscribe_trade_ticks(InstrumentId.from_str(name))
            self.subscribe_mark_prices(InstrumentId.from_str(symbols[0]))

        def on_bar(self, bar: Any) -> None:
            values = [str(v) for v in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
            close_ms = round(bar.ts_event / 1e6)
            bars[str(bar.bar_type.instrument_id)] = [type(bar).__name__, *values, close_ms]
            self.check()

        def on_quote_tick(self, tick: Any) -> None:
            others.add(type(tick).__name__)
            self.check()

        def check(self) -> None:
            if len(bars) == 2 and len(others) == 3:
                enough.set()

        on_trade_tick = on_mark_price = on_quote_tick

    async def run() -> None:
        # Only now: everything is imported, and the minute ends in three seconds.
        exchange = await start(ExchangeOptions(seed=7, now_ms=MINUTE_START + MINUTE_MS - 3_000))

        def data_client(account: BinanceAccountType, venue: str, ws_url: str) -> Any:
            return BinanceDataClientConfig(
                venue=Venue(venue),
                account_type=account,
                base_url_http=exchange.url,
                base_url_ws=ws_url,
                instrument_provider=InstrumentProviderConfig(load_all=True),
                update_instruments_interval_mins=None,
            )

        futures = data_client(BinanceAccountType.USDT_FUTURES, "BINANCE", exchange.ws_url)
        spot = data_client(BinanceAccountType.SPOT, "BINANCE_SPOT", exchange.spot_ws_url)
        config = TradingNodeConfig(
            trader_id=TraderId("TESTER-001"),
            logging=LoggingConfig(log_level="INFO", log_colors=False),
            data_clients={"BINANCE": futures, "BINANCE_SPOT": spot},
        )
        node = TradingNode(config, loop=asyncio.get_running_loop())
        node.trader.add_strategy(Listener())
        for name in config.data_clients:
            node.add_data_client_factory(name, BinanceLiveDataClientFactory)
        node.build()
        running = asyncio.create_task(node.run_async())
        await asyncio.wait_for(enough.wait(), HANG_S)
        for name, path in zip(symbols, ("/fapi/v1/klines", "/api/v3/klines"), strict=True):
            close_ms = bars[name][-1]
            query = {"symbol": "BTCUSDT", "interval": "1m", "endTime": close_ms, "limit": 1}
            row = (await get(exchange, path, **query))[0]
            bars[name].append([*row[1:6], row[6]])
        instruments = len(node.cache.instruments())
        report = {"instruments": instruments, "bars": bars, "others": sorted(others)}
        print("\n" + json.dumps(report), flush=True)
        # Stopping a node takes seconds and logs warnings; neither concerns the exchange.
        running.cancel()
        os._exit(0)

    asyncio.run(run())


if __name__ == "__main__":
    meet_nautilus()
