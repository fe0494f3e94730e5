"""The page at the trader's HTTP port: what it serves, and that no visitor can slow the trader."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from msgspec.structs import replace

from tests.support.grid_reports import LIVE
from tests.support.suite import HANG_S
from warmup_job.charting_library import charting_notice, charting_script
from warmup_job.handoff.reporting.http_port import serving
from warmup_job.handoff.reporting.page import PAGE_PATHS
from warmup_job.handoff.reporting.page.page_routes import PageRoutes
from warmup_job.handoff.reporting.page.page_view import PageSource
from warmup_job.handoff.reporting.report import Report

SNAPSHOT = "20261128T024205Z-bfecf0ad"
BAR_TYPE = LIVE.streams[0].bar_type


class Trader:
    """Makes reports and bars, and counts how often it had to."""

    def __init__(self) -> None:
        self.reports, self.bars_made = 0, 0
        self.report_now = replace(LIVE, streams=(replace(LIVE.streams[0], snapshot=SNAPSHOT),))

    def report(self) -> Report:
        self.reports += 1
        return self.report_now

    def views(self) -> tuple[()]:
        return ()

    def bars(self, bar_type: str) -> list[Any]:
        self.bars_made += 1
        return [[60_000, 1.0, 2.0, 0.5, 1.5, 9.0]]

    def source(self, **changes: Any) -> PageSource:
        itself: Any = self
        place = {"environment": "production", "endpoint": "https://fapi.binance.com"}
        given: dict[str, Any] = place | {"version": "1.2.3"} | changes
        return PageSource(self.report, lambda: itself, lambda: (), **given)


@asynccontextmanager
async def visited(
    make_page: Callable[[], PageRoutes], report: Callable[[], Report] = lambda: LIVE
) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """Serve, and yield a client and the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with (
        serving("127.0.0.1", port, report, make_page),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        yield client, port


def test_page_is_made_for_the_first_visitor_and_probes_need_none() -> None:
    made = []

    def make_page() -> PageRoutes:
        made.append(1)
        return PageRoutes(Trader().source())

    async def visit() -> None:
        async with visited(make_page) as (client, _):
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await client.get(path)).status == 200
            assert made == []
            answers = await asyncio.gather(*(client.get("/status") for _ in range(5)))
            assert [each.status for each in answers] == [200] * 5
            assert made == [1]

    asyncio.run(visit())


def test_page_that_could_not_be_made_once_is_made_for_the_next_visitor() -> None:
    made = []

    def make_page() -> PageRoutes:
        made.append(1)
        if len(made) == 1:
            raise OSError("no file descriptor is left")
        return PageRoutes(Trader().source())

    async def visit() -> None:
        async with visited(make_page) as (client, _):
            assert [(await client.get("/status")).status for _ in range(2)] == [500, 200]

    asyncio.run(visit())


def test_page_can_only_be_read_runs_no_foreign_code_and_is_not_kept() -> None:
    async def visit() -> None:
        async with visited(lambda: PageRoutes(Trader().source())) as (client, _):
            for path in set(PAGE_PATHS) - {"/bars"}:
                answer = await client.get(path)
                assert answer.status == 200, path
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in answer.headers
                for method in ("POST", "PUT", "DELETE", "PATCH"):
                    assert (await client.request(method, path)).status == 405
            html = await (await client.get("/")).text()
            assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", html)
            assert all(
                re.search(r' src="[\w.]+"', each) for each in re.findall("<script.*?>", html)
            )
            shown = re.sub(r"<[^>]+>", "", html)
            assert " ".join(charting_notice().split()) in shown
            assert await (await client.get("/charting.js")).text() == charting_script()

    asyncio.run(visit())


def test_status_has_the_report_its_headline_and_the_snapshot() -> None:
    async def visit() -> dict[str, Any]:
        async with visited(lambda: PageRoutes(Trader().source())) as (client, _):
            return dict(await (await client.get("/status")).json())

    view = asyncio.run(visit())
    assert view["version"] == "1.2.3"
    assert (view["place"], view["is_real"]) == ("Binance production", True)
    assert view["headline"]["text"] == "Trading"
    assert view["snapshots"] == [{"id": SNAPSHOT, "created_ms": 1_795_833_725_000}]
    assert view["report"]["grids"][0]["equity"] == "9998.5"


def test_only_live_orders_that_may_cost_real_money_are_called_real() -> None:
    def is_real(mode: str, **changes: Any) -> bool:
        trader = Trader()
        trader.report_now = replace(LIVE, mode=mode)
        return trader.source(**changes).view().is_real

    testnet = {"environment": "testnet", "endpoint": "https://demo-fapi.binance.com"}
    assert is_real("live")
    assert not is_real("paper")
    assert not is_real("live", **testnet)
    other = Trader().source(environment="testnet", endpoint="https://proxy.example:8443")
    assert (other.view().place, other.view().is_real) == ("proxy.example:8443", True)


def test_bars_are_made_once_for_each_close_and_only_of_what_is_followed() -> None:
    trader, now_s = Trader(), [0.0]
    page = PageRoutes(trader.source(), clock_s=lambda: now_s[0])

    async def visit() -> None:
        async with visited(lambda: page) as (client, _):
            for _ in range(3):
                answer = await client.get("/bars", params={"type": BAR_TYPE})
                assert await answer.json() == [[60_000, 1.0, 2.0, 0.5, 1.5, 9.0]]
            assert trader.bars_made == 1
            stream = replace(trader.report_now.streams[0], contiguous_to_ms=1_800_000_119_999)
            trader.report_now = replace(trader.report_now, streams=(stream,))
            now_s[0] = 1.0
            await client.get("/bars", params={"type": BAR_TYPE})
            assert trader.bars_made == 2
            assert (await client.get("/bars", params={"type": "ETHUSDT"})).status == 404
            assert (await client.get("/bars")).status == 404

    asyncio.run(visit())


def test_many_visitors_share_one_view_and_too_many_are_sent_away() -> None:
    trader, now_s = Trader(), [0.0]
    page = PageRoutes(trader.source(), clock_s=lambda: now_s[0])

    async def visit() -> None:
        async with visited(lambda: page) as (client, _):
            codes = [(await client.get("/status")).status for _ in range(60)]
            assert codes == [200] * 40 + [503] * 20
            assert trader.reports == 1
            now_s[0] = 1.0
            assert (await client.get("/status")).status == 200
            assert trader.reports == 2

    asyncio.run(visit())


def test_visitors_that_do_not_read_are_given_up_and_delay_nothing() -> None:
    seconds = itertools.count()  # a request each second: only those that wait are too many
    page = PageRoutes(Trader().source(), send_s=4.0, clock_s=seconds.__next__)
    request = b"GET /charting.js HTTP/1.1\r\nHost: x\r\n\r\n"

    async def visit() -> None:
        async with visited(lambda: page) as (client, port), asyncio.timeout(HANG_S):
            sockets = []
            while (await client.get("/status")).status == 200:  # until no place is left
                made = socket.socket()
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                made.connect(("127.0.0.1", port))
                made.sendall(request * 40)  # more than the kernel takes for a socket
                sockets.append(made)
                assert (await client.get("/healthz")).status == 200
            assert len(sockets) >= 16
            assert (await client.get("/readyz")).status == 200
            while (await client.get("/status")).status != 200:
                await asyncio.sleep(0.05)
            for each in sockets:
                each.close()

    asyncio.run(visit())
