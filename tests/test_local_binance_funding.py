"""Funding of the local exchange: its rates and times in REST answers and mark price streams."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.suite import HANG_S
from warmup_job.errors import ConfigError
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.prices.funding_schedule import FundingSchedule, parse_funding
from warmup_job.local_binance.server import RunningExchange, start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOUR_MS = 3_600_000
NOON_MS = 1_780_012_800_000 + 12 * HOUR_MS
assert NOON_MS % (24 * HOUR_MS) == 12 * HOUR_MS
NOW_MS = NOON_MS + 60_000


def with_exchange[T](
    use: Callable[[RunningExchange, aiohttp.ClientSession], Awaitable[T]], **options: Any
) -> T:
    async def run() -> T:
        exchange = await start(ExchangeOptions(now_ms=NOW_MS, **options))
        try:
            async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):
                return await use(exchange, session)
        finally:
            await exchange.stop()

    return asyncio.run(run())


async def ask(
    exchange: RunningExchange, session: aiohttp.ClientSession, path: str, **params: object
) -> Any:
    query = {name: str(value) for name, value in params.items()}
    async with session.get(exchange.url + path, params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


def test_local_binance_funding_has_each_symbols_interval_and_rate() -> None:
    async def use(exchange: RunningExchange, session: aiohttp.ClientSession) -> None:
        infos = await ask(exchange, session, "/fapi/v1/fundingInfo")
        assert {info["symbol"]: info["fundingIntervalHours"] for info in infos} == {
            "SOLUSDT": 4,
            "XRPUSDT": 1,
        }
        expected = {
            "BTCUSDT": ("-0.00030000", NOON_MS + 4 * HOUR_MS),
            "SOLUSDT": ("0.00050000", NOON_MS + 4 * HOUR_MS),
            "XRPUSDT": ("0.00100000", NOON_MS + HOUR_MS),
            "ETHUSDT": ("0.00010000", NOON_MS + 4 * HOUR_MS),
        }
        for symbol, (rate, next_ms) in expected.items():
            premium = await ask(exchange, session, "/fapi/v1/premiumIndex", symbol=symbol)
            assert (premium["lastFundingRate"], premium["nextFundingTime"]) == (rate, next_ms)
            stream = f"{exchange.ws_url}/ws/{symbol.lower()}@markPrice@1s"
            async with session.ws_connect(stream) as socket:
                event = json.loads((await socket.receive()).data)
            assert (event["r"], event["T"]) == (rate, next_ms)

    with_exchange(use, funding=("BTCUSDT=-0.0003", "SOLUSDT=0.0005/4", "XRPUSDT=0.001/1"))


def test_local_binance_funding_history_is_a_page_of_past_payments() -> None:
    async def use(exchange: RunningExchange, session: aiohttp.ClientSession) -> None:
        async def hours(symbol: str, **params: object) -> list[float]:
            path = "/fapi/v1/fundingRate"
            rows = await ask(exchange, session, path, symbol=symbol, **params)
            assert {row["fundingRate"] for row in rows} <= {"0.00050000", "0.00010000"}
            return [(row["fundingTime"] - NOON_MS) / HOUR_MS for row in rows]

        assert await hours("SOLUSDT", limit=3) == [-8, -4, 0]
        assert await hours("BTCUSDT", limit=2) == [-12, -4]
        assert len(await hours("BTCUSDT")) == 100
        since = {"startTime": NOON_MS - 12 * HOUR_MS, "endTime": NOON_MS - 1}
        assert await hours("SOLUSDT", **since) == [-12, -8, -4]
        assert await hours("SOLUSDT", **since, limit=2) == [-12, -8]

    with_exchange(use, funding=("SOLUSDT=0.0005/4",))


def test_local_binance_funding_terms_hold_from_their_change_on() -> None:
    schedule = FundingSchedule(["BTCUSDT=0.0002"])
    schedule.change(parse_funding("BTCUSDT=-0.001/4"), NOON_MS)
    schedule.change(parse_funding("BTCUSDT=0.003"), NOON_MS + HOUR_MS)
    assert [str(schedule.terms("BTCUSDT", NOON_MS + ms).rate) for ms in (-1, 0, HOUR_MS)] == [
        "0.0002", "-0.001", "0.003",
    ]  # fmt: skip
    times = schedule.times("BTCUSDT", NOON_MS - 20 * HOUR_MS, NOON_MS + 8 * HOUR_MS)
    assert [(at_ms - NOON_MS) // HOUR_MS for at_ms in times] == [-12, -4, 0, 4, 8]


@pytest.mark.parametrize(
    "spec",
    ["BTCUSDT", "BTCUSDT=", "BTCUSDT=much", "BTCUSDT=0.03", "BTCUSDT=0.0001/2", "btcusdt=0.0001"],
)
def test_local_binance_funding_spec_that_is_wrong_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match="funding"):
        asyncio.run(start(ExchangeOptions(funding=(spec,))))
