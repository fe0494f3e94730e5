"""The watch of a traded account, over HTTP from the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import create_autospec

import pytest
from nautilus_trader.cache.cache import Cache

from tests.support.exchange import Exchange
from tests.support.waiting import until_async
from warmup_job.binance.account_reader import AccountReader
from warmup_job.binance.client import BinanceClient
from warmup_job.handoff.live_account import account_watch
from warmup_job.handoff.live_account.account_client import AccountClient
from warmup_job.handoff.live_account.account_watch import AccountWatch
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_account.other_trader_watch import OtherTraderWatch
from warmup_job.handoff.run_listener import RunListener

Start = Callable[..., Exchange]


def test_a_reading_without_an_answer_ends_and_the_account_counts_as_unread(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_exchange()
    running.fault("stall@/fapi/v3/positionRisk")
    monkeypatch.setattr(account_watch, "UNREAD_MS", 200)
    clock = create_autospec(ClockWatch)

    async def run() -> str:
        async with (
            BinanceClient("um", running.url) as client,
            AccountReader(client, running.url, "local-key", "local-secret", ["BTCUSDT"]) as reader,
        ):
            others = create_autospec(OtherTraderWatch)
            nautilus = create_autospec(AccountClient, now_ms=0, event_age_s=None)
            listener = create_autospec(RunListener)
            watch = AccountWatch(reader, nautilus, Cache(), others, bool, bool, clock, listener)
            watching = asyncio.create_task(watch.run())
            await until_async(lambda: clock.doubt.called)
            watching.cancel()
            return watch.reason

    assert "the exchange does not answer" in asyncio.run(run())
