"""The offset of this machine's clock, and how exactly it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.exchange import Exchange
from tests.support.waiting import until_async
from warmup_job.binance.client import BinanceClient, ClockOffset

DELAY_MS = 400


def test_a_request_beside_it_does_not_make_the_round_trip_too_short(
    start_exchange: Callable[..., Exchange],
) -> None:
    """Before, the newest request of all counted as the one that was answered."""
    running = start_exchange()
    running.fault(f"delay={DELAY_MS}ms@/fapi/v1/time")

    def is_asked() -> bool:
        return any(each["path"] == "/fapi/v1/time" for each in running.requests())

    async def measure() -> ClockOffset:
        async with BinanceClient("um", running.url) as client:
            clock = asyncio.create_task(client.sync_clock())
            await until_async(is_asked)
            await client.exchange_info(["BTCUSDT"])
            assert not clock.done()
            return await clock

    assert asyncio.run(measure()).round_trip_ms >= DELAY_MS
