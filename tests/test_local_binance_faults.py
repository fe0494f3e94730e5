"""Faults of the local exchange, as plain clients see them over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import re
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.suite import HANG_S
from warmup_job.errors import ConfigError
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.faults.fault_board import FaultBoard
from warmup_job.local_binance.faults.fault_spec import FAULT_KINDS, FaultTarget, parse_fault
from warmup_job.local_binance.server import RunningExchange, start
from warmup_job.market.interval import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MINUTE_START = 1_780_000_020_000
assert MINUTE_START % MINUTE_MS == 0
NOW = MINUTE_START + 5_000
FUTURES, SPOT = "/fapi/v1/klines", "/api/v3/klines"
USED = "X-MBX-USED-WEIGHT-1M"


class Client:
    """A plain client of one exchange."""

    def __init__(self, exchange: RunningExchange, session: aiohttp.ClientSession) -> None:
        self.exchange = exchange
        self.session = session

    async def get(self, path: str, **params: object) -> tuple[int, Any, bytes]:
        """Status, headers and raw body."""
        query = {name: str(value) for name, value in params.items()}
        async with self.session.get(self.exchange.url + path, params=query) as response:
            return response.status, response.headers, await response.read()

    async def status(self, path: str = "/fapi/v1/ping", **params: object) -> int:
        return (await self.get(path, **params))[0]

    async def json(self, path: str, **params: object) -> Any:
        status, _, body = await self.get(path, **params)
        assert status == 200, body
        return json.loads(body)

    async def klines(self, path: str = FUTURES, **params: object) -> list[Any]:
        query = {"symbol": "BTCUSDT", "interval": "1m", "limit": 9} | params
        rows = await self.json(path, **query)
        assert isinstance(rows, list)
        return rows

    async def log(self) -> Any:
        return await self.json("/_sim/requests")

    async def logged(self) -> list[tuple[Any, ...]]:
        """Return status, fault and weight of each request."""
        return [(r["status"], r["fault"], r["weight"]) for r in (await self.log())["requests"]]

    async def control(self, method: str, path: str = "/_sim/faults", **how: Any) -> tuple[int, Any]:
        url = self.exchange.url + path
        async with self.session.request(method, url, **how) as response:
            return response.status, await response.json()


def with_client[T](use: Callable[[Client], Awaitable[T]], *faults: str, **options: Any) -> T:
    async def run() -> T:
        settings: dict[str, Any] = {"now_ms": NOW, "faults": faults} | options
        exchange = await start(ExchangeOptions(**settings))
        try:
            async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):
                return await use(Client(exchange, session))
        finally:
            await exchange.stop()

    return asyncio.run(run())


def opens(rows: list[Any]) -> list[int]:
    """Return open times in minutes from the start of the forming kline."""
    return [(row[0] - MINUTE_START) // MINUTE_MS for row in rows]


# --- parsing ---


def test_local_binance_faults_spec_is_parsed() -> None:
    fault = parse_fault(" 429=30@klines/BTCUSDT:times=2,every=3:after=1:for=10s,p=0.25 ")
    assert (fault.spec, fault.kind, fault.number) == (
        "429=30@klines/BTCUSDT:times=2,every=3:after=1:for=10s,p=0.25",
        "429",
        30,
    )
    assert (fault.where, fault.times, fault.every, fault.after) == ("klines/BTCUSDT", 2, 3, 1)
    assert (fault.for_s, fault.share) == (10, 0.25)
    for spec, number in (
        ("429", None), ("418=2m", 120), ("503=0", 0), ("delay", 1), ("delay=250ms", 0.25),
        ("418=1h30m", 5400), ("delay=1.5s", 1.5), ("cut", 0.5),
        ("cut=0", 0), ("truncate=.25", 0.25), ("html", 200),
        ("html=524", 524), ("missing", 1), ("missing=3", 3), ("late", 2), ("late=1h", 3600),
        ("skew=+90s", 90), ("skew=-500ms", -0.5), ("skew=5", 5), ("ws-drop=1001", 1001),
    ):  # fmt: skip
        assert parse_fault(spec).number == number, spec
    assert parse_fault("shape").word == "short"
    assert parse_fault("ws-miss=3").times == 3
    assert parse_fault("ws-miss").times is None
    assert parse_fault("ws-drop:times=0").times == 0


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("", "no kind ''"),
        ("nonsense", "no kind 'nonsense'; the kinds are 400…599 delay slow stall"),
        ("399", "no kind '399'"),
        ("600", "no kind '600'"),
        ("429=", "the argument after 429= is missing"),
        ("429=soon", "'soon' is not a duration"),
        ("429=-1", "'-1' is not a duration"),
        ("delay=5x", "'5x' is not a duration"),
        ("delay=" + "9" * 400, "is not a duration"),
        ("stall=1s", "takes no argument"),
        ("cut=1", "'1' is not a share"),
        ("truncate=-0.5", "not a share"),
        ("html=302", "not an HTTP status"),
        ("shape=round", "short, types or strings"),
        ("missing=0", "is not a whole number >= 1"),
        ("ws-drop=1006", "not a websocket close code"),
        ("429@", "after @ write a path"),
        ("429@a b", "after @ write a path"),
        ("429:", "'' is not an option; the options are times, every, after, for, p, each with ="),
        ("429:sometimes=1", "'sometimes=1' is not an option"),
        ("429:times", "'times' is not an option"),
        ("429:times=1:times=2", "times is given twice"),
        ("429:times=0", "times is '0'; it must be a whole number >= 1"),
        ("429:every=0", "a whole number >= 1"),
        ("429:after=-1", "a whole number >= 0"),
        ("429:for=long", "not a duration"),
        ("429:p=1.5", "p is '1.5'; it must be 0 to 1"),
        ("skew=1s@klines", "takes no @WHERE"),
        ("skew=1s:times=1", "does not take the option times"),
        ("refuse", "needs for="),
        ("refuse:for=1s:p=0.5", "does not take the option p"),
        ("ws-miss=1:times=1", "mean the same"),
        ("unknown=maybe", "done, lost, done/503 or lost/503"),
        ("reject=4118", "not one of Binance's error codes"),
        ("history=0", "is not a whole number >= 1"),
        ("user-expire:times=1", "does not take the option times"),
    ],
)
def test_local_binance_faults_bad_spec_is_refused_in_one_line(spec: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_fault(spec)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        asyncio.run(start(ExchangeOptions(faults=("429", spec))))


@pytest.mark.parametrize(
    ("where", "meets", "spares"),
    [
        ("*", ["klines", "markPriceKlines", "time"], []),
        ("klines", ["klines"], ["markPriceKlines", "time"]),
        ("*[kK]lines", ["klines", "markPriceKlines"], ["time"]),
        ("/fapi/*", ["klines", "time"], []),
        ("fapi/v1/klines", ["klines"], ["time"]),
        ("/api/*", [], ["klines", "time"]),
        ("lines", [], ["klines"]),
        ("klines/BTCUSDT", ["klines"], ["markPriceKlines", "time"]),
        ("klines/BTC*", ["klines"], ["time"]),
        ("klines/ETHUSDT", [], ["klines"]),
        ("klines/*/1m", ["klines"], ["time"]),
        ("klines/BTCUSDT/1M", [], ["klines"]),
        ("*/BTCUSDT", ["klines", "markPriceKlines"], ["time"]),
    ],
)
def test_local_binance_faults_apply_to_the_named_paths(
    where: str, meets: list[str], spares: list[str]
) -> None:
    fault = parse_fault(f"503@{where}")

    def applies(name: str) -> bool:
        about = () if name == "time" else ("BTCUSDT", "1m")
        return fault.applies(FaultTarget(f"/fapi/v1/{name}", *about))

    assert [applies(name) for name in meets] == [True] * len(meets)
    assert [applies(name) for name in spares] == [False] * len(spares)


@pytest.mark.parametrize(
    ("spec", "meets", "spares"),
    [
        ("reject", ["POST order", "PUT order", "POST algoOrder", "POST batchOrders"],
         ["DELETE order", "GET order", "GET openOrders", "POST listenKey"]),
        ("reject-cancel",
         ["DELETE order", "DELETE algoOrder", "DELETE allOpenOrders", "DELETE batchOrders"],
         ["POST order", "GET order", "DELETE listenKey"]),
        ("unknown", ["POST order", "PUT order", "DELETE algoOrder"],
         ["GET order", "GET openAlgoOrders", "POST leverage"]),
        ("overload@algoOrder", ["POST algoOrder", "DELETE algoOrder"],
         ["GET algoOrder", "POST order"]),
        ("unknown@POST/*", ["POST order", "POST algoOrder"], ["DELETE order"]),
        ("503@DELETE/order", ["DELETE order"], ["POST order", "GET order", "DELETE algoOrder"]),
        ("503@DELETE/fapi/v1/order", ["DELETE order"], ["POST order"]),
        ("503@*/order/BTCUSDT", ["DELETE order", "GET order"], ["GET openOrders"]),
        ("503@GET/order/ETHUSDT", [], ["GET order"]),
        ("history", ["GET userTrades"], ["GET allOrders"]),
    ],
)  # fmt: skip
def test_local_binance_faults_apply_to_the_named_methods(
    spec: str, meets: list[str], spares: list[str]
) -> None:
    fault = parse_fault(spec)

    def applies(request: str) -> bool:
        method, name = request.split()
        return fault.applies(FaultTarget(f"/fapi/v1/{name}", "BTCUSDT", method=method))

    assert [name for name in meets if not applies(name)] == []
    assert [name for name in spares if applies(name)] == []


@pytest.mark.parametrize(
    ("options", "hits"),
    [
        ("", "xxxxxxxxxx"),
        (":times=2", "xx........"),
        (":after=3", "...xxxxxxx"),
        (":every=3", "..x..x..x."),
        (":every=2,times=2", ".x.x......"),
        (":after=2,every=3,times=2", "....x..x.."),
        (":p=0", ".........."),
        (":p=1", "xxxxxxxxxx"),
    ],
)
def test_local_binance_faults_hit_the_named_requests(options: str, hits: str) -> None:
    board = FaultBoard()
    armed = board.add(parse_fault(f"503{options}"))
    seen = [board.request_faults(FaultTarget("/fapi/v1/ping"), klines=False) for _ in hits]
    assert "".join("x" if hit else "." for hit in seen) == hits
    assert (armed.seen, armed.fired) == (len(hits), hits.count("x"))


def test_local_binance_faults_probability_follows_the_seed() -> None:
    def hits(seed: int, before: int = 0) -> list[bool]:
        board = FaultBoard(seed)
        for _ in range(before):
            board.add(parse_fault("delay=1s"))
        board.add(parse_fault("503:p=0.3"))
        target = FaultTarget("/fapi/v1/ping")
        struck = (board.request_faults(target, klines=False) for _ in range(1000))
        return ["503" in {fault.kind for fault in faults} for faults in struck]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert hits(1) != hits(1, before=1)
    assert 250 < sum(hits(1)) < 350


def test_local_binance_faults_last_as_long_as_stated() -> None:
    now_s = 100.0
    board = FaultBoard(monotonic_s=lambda: now_s)
    board.add(parse_fault("503:for=10s"))
    board.add(parse_fault("skew=+90s:for=5s"))
    board.add(parse_fault("skew=-10s"))
    board.add(parse_fault("refuse:for=4s"))
    board.add(parse_fault("refuse:for=3s"))

    def state() -> tuple[bool, int, float]:
        hit = board.request_faults(FaultTarget("/api/v3/ping"), klines=False)
        return bool(hit), board.skew_ms(), board.refuse_seconds_left()

    assert state() == (True, 80_000, 4)
    now_s = 104.5
    assert state() == (True, 80_000, 0)
    later = parse_fault("429:for=10s")
    board.add(later)
    assert board.seconds_left(later) == 10
    now_s = 105.0
    assert board.seconds_left(later) == 9.5
    assert state() == (True, -10_000, 0)
    now_s = 114.5
    assert board.seconds_left(later) == 0
    assert state() == (False, -10_000, 0)
    assert [entry["active"] for entry in board.listed()] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]


def test_local_binance_faults_apply_in_order() -> None:
    board = FaultBoard()
    for spec in (
        "cut", "duplicate", "503:times=1", "delay=1s", "429:times=1", "nan", "delay=2s", "truncate",
    ):  # fmt: skip
        board.add(parse_fault(spec))

    def kinds(path: str) -> list[str]:
        hit = board.request_faults(FaultTarget(path), klines=path == FUTURES)
        return [fault.kind for fault in hit]

    # One response after the other; a fault that spoils a good response is not used up yet.
    assert kinds(FUTURES) == ["delay", "delay", "503"]
    assert kinds(FUTURES) == ["delay", "delay", "429"]
    assert kinds(FUTURES) == ["delay", "delay", "duplicate", "nan", "cut"]
    assert kinds("/fapi/v1/time") == ["delay", "delay", "cut"]
    seen = {entry["spec"]: entry["seen"] for entry in board.listed()}
    assert seen["duplicate"] == 1
    assert (seen["cut"], seen["truncate"]) == (2, 0)


def test_local_binance_faults_are_all_documented_with_valid_examples() -> None:
    text = (Path(__file__).resolve().parent.parent / "docs/reference/local-exchange.md").read_text()
    section = text.partition("\n## Faults\n")[2].partition("\n## ")[0]
    kinds, examples = section.partition("| KIND |")[2], section.partition("| for instance |")[2]
    for kind in FAULT_KINDS[1:]:
        assert re.search(rf"`{kind}[`\[]", kinds), kind
    specs = re.findall(r"^\| `([^`]+)` \|", examples, re.MULTILINE)
    assert len(specs) == 9
    for spec in specs:
        assert parse_fault(spec).spec == spec


# --- responses in place of the exchange's ---


@pytest.mark.parametrize(
    ("spec", "status", "code", "retry_after", "weight"),
    [
        ("429=30", 429, -1003, "30", 1),
        ("429", 429, -1003, None, 1),
        ("429=0", 429, -1003, "0", 1),
        ("429=1500ms", 429, -1003, "2", 1),
        ("418=120", 418, -1003, "120", 1),
        ("500", 500, -1000, None, 1),
        ("503=5", 503, -1001, "5", 1),
        ("504", 504, -1007, None, 1),
        ("521", 521, -1000, None, 1),
        ("400", 400, -1000, None, 1),
        # The response is not from the exchange itself: it has no weight header.
        ("451", 451, 0, None, 0),
        ("403", 403, None, None, 0),
        ("403=60", 403, None, "60", 0),
        ("html", 200, None, None, 0),
        ("html=502", 502, None, None, 0),
        ("html=524", 524, None, None, 0),
    ],
)
def test_local_binance_faults_error_answers(
    spec: str, status: int, code: int | None, retry_after: str | None, weight: int
) -> None:
    async def use(client: Client) -> None:
        seen, headers, body = await client.get("/fapi/v1/ping")
        assert (seen, headers.get("Retry-After")) == (status, retry_after)
        assert headers.get(USED) == (str(weight) if weight else None)
        if code is None:
            assert headers["Content-Type"].startswith("text/html")
            assert body.startswith(b"<!DOCTYPE html>")
        else:
            assert headers["Content-Type"].startswith("application/json")
            assert json.loads(body)["code"] == code
        if status == 418:
            until_ms = int(json.loads(body)["msg"].rstrip(".").split()[-1])
            assert 0 <= client.exchange.now_ms() + 120_000 - until_ms < 2_000
        # Only once; then the exchange answers normally.
        _, headers, _ = await client.get("/fapi/v1/ping")
        assert headers[USED] == str(weight + 1)
        kind = spec.partition("=")[0]
        assert await client.logged() == [(status, kind, weight), (200, None, 1)]
        log = await client.log()
        assert (log["count"], log["weight"]) == (2, weight + 1)
        assert log["minutes"] == {"um": {str(MINUTE_START): weight + 1}, "spot": {}}

    with_client(use, f"{spec}:times=1")


def test_local_binance_faults_ban_counts_down() -> None:
    async def use(client: Client) -> None:
        client.exchange.add_fault("418:for=2s")
        began, waits = time.monotonic(), []
        while (answer := await client.get("/api/v3/ping"))[0] == 418:
            headers = answer[1]
            assert headers["X-MBX-USED-WEIGHT"] == headers[USED]
            waits.append(int(headers["Retry-After"]))
            await asyncio.sleep(0.05)
        assert answer[0] == 200
        assert time.monotonic() - began >= 1.99
        assert set(waits) <= {1, 2}
        assert waits == sorted(waits, reverse=True)

    with_client(use, "ws-mute:for=1h")


@pytest.mark.parametrize(
    ("spec", "body"), [("empty", b""), ("null", b"null"), ("object", b'{"status":"ok"}')]
)
def test_local_binance_faults_answers_without_content(spec: str, body: bytes) -> None:
    async def use(client: Client) -> None:
        params = {"symbol": "BTCUSDT", "interval": "1m", "limit": 499}
        status, headers, seen = await client.get(FUTURES, **params)
        assert (status, seen, headers[USED]) == (200, body, "2")
        assert headers["Content-Type"].startswith("application/json")
        # An object is a fault only where rows are expected; an empty response is one everywhere.
        _, _, seen = await client.get("/fapi/v1/ping")
        assert seen == (b"{}" if spec == "object" else body)
        assert await client.status("/nothing") == 404
        entries = await client.logged()
        ping = None if spec == "object" else spec
        assert entries == [(200, spec, 2), (200, ping, 1), (404, None, 0)]

    with_client(use, spec)


# --- late, damaged and missing responses ---


def test_local_binance_faults_late_answer_has_the_content_of_its_request_time() -> None:
    async def use(client: Client) -> None:
        began = time.perf_counter()
        server_time = (await client.json("/fapi/v1/time"))["serverTime"]
        took_s = time.perf_counter() - began
        assert took_s >= 0.5
        assert client.exchange.now_ms() - server_time >= 450
        assert await client.logged() == [(200, "delay+delay", 1)]
        assert await client.status("/api/v3/ping") == 200
        assert (await client.logged())[-1] == (200, None, 1)

    with_client(use, "delay=200ms@time", "delay=300ms@time")


def test_local_binance_faults_stall_never_answers() -> None:
    async def use(client: Client) -> None:
        stalled = asyncio.create_task(client.get("/fapi/v1/ping"))
        while not await client.logged():
            await asyncio.sleep(0.01)
        assert await client.status("/api/v3/ping") == 200  # no other request is affected
        assert not stalled.done()
        assert await client.logged() == [(None, "stall", 1), (200, None, 1)]
        assert (await client.log())["by_status"] == {"200": 1}
        stalled.cancel()
        await asyncio.gather(stalled, return_exceptions=True)
        while (await client.log())["by_status"] != {"200": 1, "none": 1}:
            await asyncio.sleep(0.01)
        assert (await client.logged())[0] == (None, "stall", 1)
        # A request that ends after the reset is not counted.
        stalled = asyncio.create_task(client.get("/fapi/v1/ping"))
        while len(await client.logged()) < 3:
            await asyncio.sleep(0.01)
        await client.control("POST", "/_sim/reset")
        stalled.cancel()
        await asyncio.gather(stalled, return_exceptions=True)
        await asyncio.sleep(0.1)
        log = await client.log()
        assert (log["count"], log["by_status"]) == (0, {})

    with_client(use, "stall@/fapi/*")


def test_local_binance_faults_stop_ends_stalled_requests() -> None:
    async def run() -> None:
        exchange = await start(ExchangeOptions(faults=("stall", "delay=1h")))
        async with aiohttp.ClientSession() as session:
            stalled = asyncio.create_task(session.get(exchange.url + "/fapi/v1/ping"))
            async with asyncio.timeout(HANG_S):
                while not await Client(exchange, session).logged():
                    await asyncio.sleep(0.01)
                await exchange.stop()
            with pytest.raises(aiohttp.ClientError):
                await stalled

    asyncio.run(run())


def test_local_binance_faults_reset_resets_the_connection() -> None:
    async def use(client: Client) -> None:
        # A plain socket: a normal end reads as b"", a reset raises.
        reader, writer = await asyncio.open_connection(client.exchange.host, client.exchange.port)
        writer.write(b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(aiohttp.ClientOSError) as caught:
            await client.get("/api/v3/ping")
        assert caught.value.errno == errno.ECONNRESET
        assert await client.status("/fapi/v1/ping") == 200
        # One by the plain socket and two by aiohttp, which silently repeats a GET once.
        assert await client.logged() == [*[(None, "reset", 1)] * 3, (200, None, 1)]
        assert (await client.log())["by_status"] == {"none": 3, "200": 1}

    with_client(use, "reset:times=3")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_local_binance_faults_cut_answer_is_shorter_than_its_content_length(encoding: str) -> None:
    async def use(client: Client) -> None:
        url = f"{client.exchange.url}{FUTURES}?symbol=BTCUSDT&interval=1m&limit=499"
        async with aiohttp.ClientSession(
            auto_decompress=False, headers={"Accept-Encoding": encoding}
        ) as session:
            for share in (0.25, 0.0):
                async with session.get(url) as response:
                    assert response.status == 200
                    assert response.headers.get("Content-Encoding", "identity") == encoding
                    length = int(response.headers["Content-Length"])
                    received = bytearray()

                    async def read(response: aiohttp.ClientResponse, into: bytearray) -> None:
                        async for part in response.content.iter_any():
                            into += part

                    with pytest.raises(aiohttp.ClientPayloadError):
                        await read(response, received)
                assert len(received) == int(length * share)
            async with session.get(url) as response:
                whole = await response.read()
            assert abs(len(whole) - length) < 50  # the forming row has changed
        assert await client.logged() == [(200, "cut", 2), (200, "cut", 2), (200, None, 2)]

    with_client(use, "cut=0.25:times=1", "cut=0:times=1")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_local_binance_faults_truncated_answer_is_valid_http_with_half_the_json(
    encoding: str,
) -> None:
    async def use(client: Client) -> None:
        params = {"symbol": "BTCUSDT", "interval": "1m", "limit": 99, "endTime": MINUTE_START - 1}
        client.session.headers["Accept-Encoding"] = encoding
        status, headers, half = await client.get(FUTURES, **params)
        assert (status, headers.get("Content-Encoding", "identity")) == (200, encoding)
        _, _, whole = await client.get(FUTURES, **params)
        assert half == whole[: int(len(whole) * 0.4)]
        with pytest.raises(json.JSONDecodeError):
            json.loads(half)
        assert await client.logged() == [(200, "truncate", 1), (200, None, 1)]

    with_client(use, "truncate=0.4:times=1")


# --- rows ---

PAGE: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "interval": "1m",
    "limit": 9,
    "endTime": MINUTE_START - 1,
}


def spoiled(spec: str, path: str = FUTURES, **params: object) -> tuple[list[Any], list[Any]]:
    """Return a page of closed klines with the fault, and the correct page."""

    async def use(client: Client) -> tuple[list[Any], list[Any]]:
        bad, good = [await client.klines(path, **(PAGE | params)) for _ in range(2)]
        assert [fault for _, fault, _ in await client.logged()] == [parse_fault(spec).kind, None]
        return bad, good

    return with_client(use, f"{spec}:times=1")


@pytest.mark.parametrize("path", [FUTURES, SPOT, "/fapi/v1/markPriceKlines"])
def test_local_binance_faults_rows_duplicated_missing_and_swapped(path: str) -> None:
    bad, good = spoiled("duplicate", path)
    assert opens(bad) == [-9, -8, -7, -6, -5, -5, -4, -3, -2, -1]
    assert [row for row, after in itertools.pairwise([*bad, None]) if row != after] == good
    bad, good = spoiled("missing=3", path)
    assert opens(bad) == [-9, -8, -7, -3, -2, -1]
    assert all(row in good for row in bad)
    bad, good = spoiled("disorder", path)
    assert opens(bad) == [-9, -8, -7, -5, -6, -4, -3, -2, -1]
    assert sorted(bad) == good


def test_local_binance_faults_missing_rows_keep_the_first_and_last() -> None:
    assert opens(spoiled("missing=99")[0]) == [-9, -1]
    assert opens(spoiled("missing", limit=3)[0]) == [-3, -1]
    for spec in ("missing", "disorder", "shape", "nan", "fine", "duplicate"):
        bad, _ = spoiled(spec, startTime=0, endTime=1)
        assert bad == []
    for spec in ("missing", "disorder"):
        bad, good = spoiled(spec, limit=1)
        assert bad == good


@pytest.mark.parametrize("path", [FUTURES, SPOT])
def test_local_binance_faults_rows_of_a_wrong_shape(path: str) -> None:
    bad, good = spoiled("shape=short", path)
    assert bad == [row[:6] for row in good]
    bad, good = spoiled("shape=strings", path)
    assert bad == [[str(value) for value in row] for row in good]
    bad, good = spoiled("shape=types", path)
    for row, proper in zip(bad, good, strict=True):
        assert [type(value) for value in row] == [
            float if isinstance(value, str) else str for value in proper
        ]
        assert [float(value) for value in row] == [float(value) for value in proper]


@pytest.mark.parametrize("path", [FUTURES, SPOT])
def test_local_binance_faults_impossible_prices(path: str) -> None:
    for spec, column in (("nan", 4), ("negative", 3), ("fine", 3)):
        bad, good = spoiled(spec, path)
        different = [
            (row, field)
            for row, (b, g) in enumerate(zip(bad, good, strict=True))
            for field, (x, y) in enumerate(zip(b, g, strict=True))
            if x != y
        ]
        assert different == [(4, column)]
        wrong, right = bad[4][column], good[4][column]
        if spec == "fine":
            assert len(wrong.partition(".")[2]) == len(right.partition(".")[2]) + 1
            assert 0 < Decimal(right) - Decimal(wrong) < Decimal("0.01")
        else:
            assert wrong == {"nan": "NaN", "negative": "-1.0"}[spec]


def test_local_binance_faults_forming_row_that_was_not_requested() -> None:
    async def use(client: Client) -> None:
        page: dict[str, Any] = {"endTime": MINUTE_START - 1, "limit": 3}
        bad = await client.klines(**page)
        assert opens(bad) == [-3, -2, -1, 0]
        assert bad[-1][6] > client.exchange.now_ms()
        assert opens(await client.klines(limit=3)) == [-2, -1, 0]  # already there: not twice
        client.exchange.clear_faults()
        assert opens(await client.klines(**page)) == [-3, -2, -1]

    with_client(use, "forming")


def test_local_binance_faults_late_close_over_rest() -> None:
    async def use(client: Client) -> None:
        # One second after the close; REST shows it after forty.
        assert opens(await client.klines(limit=3)) == [-4, -3, -2]
        assert opens(await client.klines(limit=3, endTime=MINUTE_START - 1)) == [-4, -3, -2]
        assert await client.klines(startTime=MINUTE_START - MINUTE_MS) == []
        assert opens(await client.klines(SPOT, limit=2)) == [-3, -2]
        # Hourly klines closed long ago.
        hour = 60 * MINUTE_MS
        assert (await client.klines(interval="1h", limit=1))[0][0] == MINUTE_START // hour * hour
        client.exchange.add_fault("skew=+40s")
        assert opens(await client.klines(limit=3)) == [-2, -1, 0]
        client.exchange.add_fault("late=3m")
        assert opens(await client.klines(limit=2)) == [-5, -4]

    with_client(use, "late=40s", now_ms=MINUTE_START + 1_000)


def test_local_binance_faults_of_rows_combine() -> None:
    async def use(client: Client) -> None:
        rows = await client.klines(**PAGE)
        assert opens([[int(row[0])] for row in rows]) == [-9, -8, -7, -4, -4, -3, -2, -1]
        assert {len(row) for row in rows} == {6}
        assert await client.logged() == [(200, "missing+duplicate+shape+shape", 1)]
        assert await client.status("/fapi/v1/exchangeInfo") == 200

    with_client(use, "missing=2", "duplicate", "shape=strings", "shape=short")


# --- the clock and the port ---


def test_local_binance_faults_skew_shifts_the_exchange_clock() -> None:
    async def use(client: Client) -> None:
        exchange = client.exchange
        url = f"{exchange.ws_url}/market/ws/btcusdt@kline_1m"
        async with client.session.ws_connect(url) as socket:

            async def kline() -> tuple[int, bool]:
                k = (await socket.receive_json())["k"]
                return (k["t"] - MINUTE_START) // MINUTE_MS, k["x"]

            assert await kline() == (0, False)
            began, right_ms = time.monotonic(), exchange.now_ms()
            fault_id = exchange.add_fault("skew=+90s")
            ahead_ms = exchange.now_ms() - right_ms - 90_000
            assert 0 <= ahead_ms <= (time.monotonic() - began) * 1000 + 1
            while (seen := await kline()) == (0, False):
                pass
            assert [seen, await kline()] == [(0, True), (1, False)]
            for path in ("/fapi/v1/time", "/api/v3/time", "/fapi/v1/exchangeInfo"):
                asked_ms = exchange.now_ms()
                server_time = (await client.json(path))["serverTime"]
                assert asked_ms <= server_time <= exchange.now_ms()
            assert opens(await client.klines(limit=2)) == [0, 1]
            entry = (await client.log())["requests"][-1]
            assert entry["time"] // MINUTE_MS == MINUTE_START // MINUTE_MS + 1
            # After a correction the time is right; the kline that has closed does not close again.
            await client.control("DELETE", f"/_sim/faults/{fault_id}")
            ahead_ms = exchange.now_ms() - right_ms
            assert 0 <= ahead_ms <= (time.monotonic() - began) * 1000 + 1
            while (seen := await kline()) == (1, False):
                pass
            assert seen == (0, False)
            assert opens(await client.klines(limit=1)) == [0]
            # The weight that was spent before the clock was set still counts.
            minutes = (await client.log())["minutes"]["um"]
            assert minutes == {str(MINUTE_START): 1, str(MINUTE_START + MINUTE_MS): 3}
        exchange.add_fault("skew=-1h:for=3s")
        assert exchange.now_ms() < NOW - 3_000_000
        while exchange.now_ms() < NOW:
            await asyncio.sleep(0.01)

    with_client(use, kline_ms=50)


def test_local_binance_faults_closed_port_opens_again() -> None:
    async def use(client: Client) -> None:
        exchange = client.exchange
        url = f"{exchange.ws_url}/ws/btcusdt@kline_1m"
        async with aiohttp.ClientSession() as other, other.ws_connect(url) as socket:
            assert (await other.get(exchange.url + "/fapi/v1/ping")).status == 200
            # The client that sets the fault gets a response; all others are cut and refused.
            status, added = await client.control("POST", data="refuse:for=1h")
            assert status == 201
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await other.get(exchange.url + "/fapi/v1/ping")
            assert isinstance(caught.value.os_error, ConnectionRefusedError)
            async for _ in socket:
                pass
            assert socket.close_code in (None, 1006)
            # The remaining connection can remove the fault.
            status, _ = await client.control("DELETE", f"/_sim/faults/{added['id']}")
            assert status == 200
            assert (await other.get(exchange.url + "/fapi/v1/ping")).status == 200
            # It ends by itself at its stated time, and clear_faults() ends it at once.
            exchange.add_fault("refuse:for=1h")
            exchange.clear_faults()
            assert await client.status() == 200
            began = time.perf_counter()
            exchange.add_fault("refuse:for=300ms")
            exchange.add_fault("refuse:for=100ms")
            while True:
                try:
                    assert await client.status() == 200
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.01)
            assert time.perf_counter() - began > 0.29
            # Repeatedly: close the port while it opens.
            for _ in range(5):
                exchange.add_fault("refuse:for=1h")
                exchange.clear_faults()
            exchange.add_fault("refuse:for=1h")
            await asyncio.sleep(0.01)
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get("/fapi/v1/ping")

    with_client(use, kline_ms=50)


def test_local_binance_faults_exchange_can_start_with_a_closed_port() -> None:
    async def run() -> None:
        exchange = await start(ExchangeOptions(faults=("refuse:for=1h",)))
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(exchange.url + "/fapi/v1/ping")
            exchange.clear_faults()
            assert (await session.get(exchange.url + "/fapi/v1/ping")).status == 200
            exchange.add_fault("refuse:for=1h")
            await exchange.stop()
            # The port is free again, whether it was closed or not.
            again = await start(ExchangeOptions(port=exchange.port))
            assert (await session.get(again.url + "/fapi/v1/ping")).status == 200
            await again.stop()

    asyncio.run(run())


# --- websockets ---


async def closings(
    socket: aiohttp.ClientWebSocketResponse, from_ms: int, until_ms: int
) -> list[int]:
    """Return the seconds from ``from_ms`` whose close was sent, up to that of ``until_ms``."""
    seen: list[int] = []
    while until_ms not in seen:
        event = await socket.receive_json()
        if event["k"]["x"] and event["k"]["t"] >= from_ms:
            seen.append(event["k"]["t"])
    return [(open_ms - from_ms) // 1000 for open_ms in seen]


def test_local_binance_faults_closed_klines_lost_or_sent_twice() -> None:
    async def use(client: Client) -> None:
        exchange, spot = client.exchange, f"{client.exchange.spot_ws_url}/ws"
        async with (
            client.session.ws_connect(f"{spot}/btcusdt@kline_1s") as missed,
            client.session.ws_connect(f"{spot}/btcusdt@kline_1s") as missed_too,
            client.session.ws_connect(f"{spot}/ethusdt@kline_1s") as doubled,
            client.session.ws_connect(f"{spot}/solusdt@kline_1s") as spared,
        ):
            sockets = (missed, missed_too, doubled, spared)
            # Start when all sockets have sent one second and the next has not closed.
            while True:
                second = exchange.now_ms() // 1000 * 1000
                await asyncio.gather(*(closings(socket, second, second) for socket in sockets))
                first = second + 1000
                if exchange.now_ms() < first + 1000:
                    break
            exchange.add_fault("ws-miss=2@btcusdt@kline_1s")
            exchange.add_fault("ws-double@*/ETHUSDT/1s")
            heard = await asyncio.gather(
                *(closings(socket, first, first + 2000) for socket in sockets)
            )
            again = await doubled.receive_json()
        assert heard == [[2], [2], [0, 0, 1, 1, 2], [0, 1, 2]]
        assert (again["k"]["t"], again["k"]["x"]) == (first + 2000, True)
        # REST has them all.
        rows = await client.klines(SPOT, interval="1s", startTime=first, limit=3)
        assert [row[0] for row in rows] == [first, first + 1000, first + 2000]
        _, (miss, double) = await client.control("GET")
        # A message counts once, regardless of the number of receivers.
        closed = (exchange.now_ms() - first) // 1000
        assert 3 <= miss["seen"] <= closed
        assert 3 <= double["seen"] == double["fired"] <= closed
        assert (miss["fired"], miss["active"], double["active"]) == (2, False, True)

    with_client(use, now_ms=NOW + 900)


def test_local_binance_faults_connected_but_silent_websockets() -> None:
    async def use(client: Client) -> None:
        exchange = client.exchange
        async with client.session.ws_connect(f"{exchange.ws_url}/ws") as socket:

            async def hears_for(seconds: float) -> list[Any]:
                heard = []
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        while True:
                            heard.append(await socket.receive_json())
                return heard

            async def hears_from(*symbols: str) -> set[str]:
                """Return the other symbols, once each has sent three messages."""
                counts: Counter[str] = Counter()
                while any(counts[symbol] < 3 for symbol in symbols):
                    counts[(await socket.receive_json()).get("s", "an answer")] += 1
                return set(counts) - set(symbols)

            async def subscribe(*streams: str) -> None:
                await socket.send_json({"method": "SUBSCRIBE", "params": streams, "id": 1})

            # One stream: the others and the responses continue.
            await subscribe("btcusdt@kline_1m", "ethusdt@kline_1m")
            assert await socket.receive_json() == {"result": None, "id": 1}
            assert await hears_from("ETHUSDT") == set()
            # Everything: not even a response, but the connection is open.
            fault_id = exchange.add_fault("ws-mute")
            while await hears_for(0.3):
                pass  # messages in flight
            await subscribe("solusdt@kline_1m")
            assert await hears_for(0.5) == []
            assert not socket.closed
            await client.control("DELETE", f"/_sim/faults/{fault_id}")
            assert await hears_from("ETHUSDT", "SOLUSDT") == set()
            exchange.clear_faults()
            assert await hears_from("BTCUSDT", "ETHUSDT", "SOLUSDT") == set()

    with_client(use, "ws-mute@um/btcusdt@*", kline_ms=50)


def test_local_binance_faults_websockets_dropped_and_refused() -> None:
    async def use(client: Client) -> None:
        exchange, stream = client.exchange, "/ws/btcusdt@bookTicker"

        async def connect(base: str) -> aiohttp.ClientWebSocketResponse:
            return await client.session.ws_connect(base + stream)

        async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
            async for _ in socket:
                pass
            return socket.close_code

        # Futures only, for a while: open connections are dropped, new ones refused.
        both = await connect(exchange.ws_url), await connect(exchange.ws_url)
        spot = await connect(exchange.spot_ws_url)
        exchange.add_fault("ws-drop@/ws/*:for=1h")
        assert [await close_code(socket) for socket in both] == [1006, 1006]
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await connect(exchange.ws_url)
        assert caught.value.status == 503
        assert await client.status() == 200
        await (await connect(exchange.spot_ws_url)).close()
        assert not spot.closed
        exchange.clear_faults()
        # It ends by itself at its stated time.
        began = time.perf_counter()
        exchange.add_fault("ws-drop@/ws/*:for=500ms")
        while True:
            try:
                again = await connect(exchange.ws_url)
                break
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.01)
        assert time.perf_counter() - began > 0.49
        # Once, with a close frame, and no connection is refused.
        exchange.add_fault("ws-drop=1012:times=0")
        assert [await close_code(socket) for socket in (again, spot)] == [1012, 1012]
        again = await connect(exchange.ws_url)
        assert (await again.receive_json())["e"] == "bookTicker"
        # The second attempt from now.
        exchange.add_fault("ws-drop:every=2,times=1")
        assert await close_code(again) == 1006
        await (await connect(exchange.ws_url)).close()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await connect(exchange.ws_url)
        await (await connect(exchange.ws_url)).close()
        entries = [r for r in (await client.log())["requests"] if "/ws/" in r["path"]]
        refused = [(r["status"], r["fault"]) for r in entries if r["fault"]]
        assert set(refused) == {(503, "ws-drop")}
        assert [r["status"] for r in entries][:3] == [101, 101, 101]
        assert [r["status"] for r in entries][-3:] == [101, 503, 101]

    with_client(use)


# --- control, counting ---


def test_local_binance_faults_are_set_listed_and_removed_over_http() -> None:
    async def use(client: Client) -> None:
        assert await client.control("GET") == (200, [])
        bodies: tuple[dict[str, Any], ...] = (
            {"data": "429=30@ping:times=1"},
            {"json": "503@ping:times=1"},
            {"json": {"spec": "delay=1ms@ping"}},
        )
        for number, how in enumerate(bodies, start=1):
            status, added = await client.control("POST", **how)
            assert (status, added["id"]) == (201, str(number))
        assert [await client.status() for _ in range(3)] == [429, 503, 200]
        _, shown = await client.control("GET")
        assert shown == [
            {"id": "1", "spec": "429=30@ping:times=1", "seen": 3, "fired": 1, "active": False},
            {"id": "2", "spec": "503@ping:times=1", "seen": 2, "fired": 1, "active": False},
            {"id": "3", "spec": "delay=1ms@ping", "seen": 3, "fired": 3, "active": True},
        ]
        for body in ("", "nonsense", "{", "[1]", '{"spec": 1}', "{}", '"', "429 429"):
            status, refused = await client.control("POST", data=body)
            assert status == 400, body
            assert refused["kinds"] == list(FAULT_KINDS)
            assert "\n" not in refused["error"]
        assert (await client.control("DELETE", "/_sim/faults/3"))[0] == 200
        assert (await client.control("DELETE", "/_sim/faults/3"))[0] == 404
        await client.control("POST", data="500")
        # Resetting the counters keeps the faults.
        await client.control("POST", "/_sim/reset")
        assert await client.status() == 500
        assert await client.logged() == [(500, "500", 1)]
        assert await client.control("DELETE") == (200, {})
        assert await client.control("GET") == (200, [])
        assert await client.status() == 200
        assert (await client.control("POST", data="500"))[1]["id"] == "5"

    with_client(use)


def test_local_binance_faults_can_be_set_from_another_thread() -> None:
    async def use(client: Client) -> None:
        fault_id = await asyncio.to_thread(client.exchange.add_fault, "503")
        assert fault_id == "1"
        assert await client.status() == 503
        await asyncio.to_thread(client.exchange.add_fault, "refuse:for=1h")
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.status()
        await asyncio.to_thread(client.exchange.clear_faults)
        assert await client.status() == 200
        with pytest.raises(ConfigError):
            await asyncio.to_thread(client.exchange.add_fault, "nonsense")

    with_client(use)


def test_local_binance_faults_request_log_is_in_order_of_arrival() -> None:
    async def use(client: Client) -> None:
        async def ask(path: str) -> None:
            with contextlib.suppress(aiohttp.ClientError):
                await client.get(path)

        began = time.perf_counter()
        tasks = []
        for path in ("/api/v3/time", "/fapi/v1/time", "/fapi/v1/ping", "/api/v3/ping"):
            count = len(await client.logged())
            tasks.append(asyncio.create_task(ask(path)))
            await asyncio.sleep(0.03)
            while len(await client.logged()) == count:
                await asyncio.sleep(0.01)
            if len(tasks) > 1:
                await tasks[-1]
        # The log has it before the response.
        assert await client.logged() == [
            (None, "delay", 1), (200, None, 1), (None, "reset", 1), (None, "reset", 1),
            (200, "cut", 1),
        ]  # fmt: skip
        await tasks[0]
        took_ms = (time.perf_counter() - began) * 1000
        entries = (await client.log())["requests"]
        assert entries[0]["status"] == 200
        arrived = [entry["arrived"] for entry in entries]
        assert arrived == sorted(arrived)
        assert any(at != int(at) for at in arrived)
        assert 85 <= arrived[-1] - arrived[0] <= took_ms
        assert (await client.log())["by_status"] == {"200": 3, "none": 2}

    with_client(use, "delay=3s@/api/v3/time", "reset@/fapi/v1/ping", "cut@/api/v3/ping")


def test_local_binance_faults_count_toward_the_weight_budget() -> None:
    async def use(client: Client) -> None:
        # Four requests reach the exchange, one does not, and one exceeds the budget.
        statuses = [await client.status("/fapi/v1/ping") for _ in range(7)]
        assert statuses == [503, 429, 200, 403, 200, 429, 429]
        assert (await client.log())["minutes"]["um"] == {str(MINUTE_START): 6}
        assert [fault for _, fault, _ in await client.logged()] == [
            "503", "429", None, "403", None, None, "500",
        ]  # fmt: skip
        assert [await client.status("/api/v3/ping") for _ in range(2)] == [200, 200]
        client.exchange.add_fault("skew=+1m")
        assert await client.status("/fapi/v1/ping") == 500
        assert (await client.log())["minutes"] == {
            "um": {str(MINUTE_START): 6, str(MINUTE_START + MINUTE_MS): 1},
            "spot": {str(MINUTE_START): 2},
        }
        await client.control("POST", "/_sim/reset")
        assert (await client.log())["minutes"] == {"um": {}, "spot": {}}

    with_client(
        use,
        "503@/fapi/*:times=1",
        "429=1@/fapi/*:times=1",
        "403@/fapi/*:after=1,times=1",
        "500@/fapi/*:after=3",
        weight_limit=4,
    )
