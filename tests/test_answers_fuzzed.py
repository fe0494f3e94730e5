"""The client turns any bytes over HTTP into valid klines or a WarmupError."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.suite import SCALE
from warmup_job.binance.client import BinanceClient
from warmup_job.errors import WarmupError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Klines
from warmup_job.market.pages import Page

MINUTE = Interval.parse("1m")
OPEN_MS = 1_700_000_040_000
PAGE = Page(OPEN_MS, OPEN_MS + 3 * 60_000, 4, 1)


def row(number: int) -> list[Any]:
    open_ms = OPEN_MS + number * 60_000
    prices = ["10.0", "11.0", "9.0", "10.5"]
    return [open_ms, *prices, "1.5", open_ms + 59_999, "15", 7, "0.5", "5", "0"]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12),
    st.sampled_from(["NaN", "Infinity", "1e999", "-1", "0x10", "1_0", "١", "10.0\n", OPEN_MS]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def spoiled_pages(draw: st.DrawFn) -> object:
    """Return a valid page with some rows or values replaced, removed, doubled or moved."""
    rows: list[Any] = [row(number) for number in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(rows) - 1))
        match draw(st.sampled_from(["cell", "row", "short", "double", "swap"])):
            case "cell" if isinstance(rows[at], list) and rows[at]:
                rows[at][draw(st.integers(0, len(rows[at]) - 1))] = draw(JSON)
            case "row":
                rows[at] = draw(JSON)
            case "short" if isinstance(rows[at], list):
                rows[at] = rows[at][: draw(st.integers(0, 12))]
            case "double":
                rows.insert(at, rows[at])
            case _:
                rows[at], rows[0] = rows[0], rows[at]
    return rows


REFUSALS = st.fixed_dictionaries(
    {"code": st.one_of(st.integers(-5000, 0), JSON), "msg": st.one_of(st.text(), JSON)}
)
BODIES = st.one_of(
    spoiled_pages().map(msgspec.json.encode),
    JSON.map(msgspec.json.encode),
    REFUSALS.map(msgspec.json.encode),
    st.binary(max_size=200),
    st.sampled_from([b"", b"null", b"[", b"[[", b"[[]]", b"[" * 100_000, b"[[" * 5_000, b"<html>"]),
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Return a whole HTTP response, whose headers may be wrong."""
    body = draw(BODIES)
    packing = draw(st.sampled_from(["", "", "", "gzip", "deflate", "lie", "cut"]))
    if packing == "gzip":
        body = gzip.compress(body)
    elif packing == "deflate":
        body = zlib.compress(body)
    elif packing == "cut":
        body = gzip.compress(body)[:-5]
    status = draw(st.one_of(st.just(200), st.just(200), st.integers(200, 599)))
    headers = {"Content-Type": draw(st.sampled_from(["application/json", "text/html", "x", ""]))}
    if packing:
        headers["Content-Encoding"] = "gzip" if packing in {"gzip", "lie", "cut"} else packing
    length = len(body) + draw(st.sampled_from([0, 0, 0, 5, -1]))
    if draw(st.booleans()) and length >= 0:
        headers["Content-Length"] = str(length)
    headers["Retry-After"] = draw(st.sampled_from(["", "0", "1" * 30, "-1", "soon"]))
    headers["Location"] = draw(st.sampled_from(["", "/x", "http://[", "https://u:p@h/"]))
    headers["X-MBX-USED-WEIGHT-1M"] = draw(st.sampled_from(["", "1", "-1", "9" * 40, "x"]))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Odd\r\n{lines}Connection: close\r\n\r\n".encode() + body


def good(rows: object) -> bytes:
    body = msgspec.json.encode(rows)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def ask(answer: bytes) -> list[Klines | None]:
    """Return the client's result for this response, or None if the client refused it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        made: list[Klines | None] = []
        for question in ("klines", "time", "info"):
            async with BinanceClient("um", url, deadline_ms=0) as client:
                try:
                    match question:
                        case "klines":
                            made.append(await client.klines("BTCUSDT", MINUTE, PAGE))
                        case "time":
                            await client.sync_clock()
                        case _:
                            await client.exchange_info(["BTCUSDT"])
                except WarmupError as error:
                    failure = error
                    made.append(None)
                else:
                    continue
            assert 10 <= failure.exit_code <= 13
            assert len(str(failure)) < 1_000
            assert len(str(failure).splitlines()) == 1
        return made


@settings(
    max_examples=60 * SCALE, deadline=None, suppress_health_check=[HealthCheck.data_too_large]
)
@given(answers())
@example(good(["two\nlines"]))
@example(good({"symbols": [{"symbol": {"a": 1}}]}))
def test_answers_of_any_bytes_become_klines_or_a_warmup_error(answer: bytes) -> None:
    klines = asyncio.run(ask(answer))[0]
    if klines is not None:
        opens_ms = list(klines.open_ms)
        assert opens_ms == sorted(set(opens_ms))
        assert all(PAGE.start_ms <= open_ms <= PAGE.end_ms for open_ms in opens_ms)  # type: ignore[operator]
        for low, high in zip(klines.low, klines.high, strict=True):
            assert 0 < float(low) <= float(high) < float("inf")


def test_answers_that_are_good_pages_become_klines() -> None:
    """Show that the client also accepts: otherwise the test above proves nothing."""
    klines = asyncio.run(ask(good([row(0), row(1)])))[0]
    assert klines is not None
    assert len(klines) == 2
