"""The watch of a traded account, over HTTP from the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import create_autospec

import pytest
from loguru import logger
from nautilus_trader.cache.cache import Cache

from tests.support.exchange import Exchange
from tests.support.waiting import until_async
from warmup_job.binance.account_reader import AccountReader
from warmup_job.binance.client import BinanceClient
from warmup_job.handoff.live_account import account_verdict, account_watch
from warmup_job.handoff.live_account.account_client import AccountClient
from warmup_job.handoff.live_account.account_watch import AccountWatch
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_account.other_trader_watch import OtherTraderWatch
from warmup_job.handoff.run_listener import RunListener

Start = Callable[..., Exchange]


@pytest.mark.parametrize(
    ("fault", "unread_ms", "why", "is_told"),
    [("stall", 200, "the exchange does not answer", True), ("503", 600_000, "HTTP 503", False)],
)
def test_first_reading_that_fails_is_an_error_once_it_has_failed_for_long(
    start_exchange: Start, monkeypatch: pytest.MonkeyPatch,
    fault: str, unread_ms: int, why: str, is_told: bool,
) -> None:  # fmt: skip
    running = start_exchange()
    running.fault(f"{fault}@/fapi/v3/positionRisk")
    for module in (account_watch, account_verdict):
        monkeypatch.setattr(module, "UNREAD_MS", unread_ms)
    clock, listener = create_autospec(ClockWatch), create_autospec(RunListener)
    lines: list[str] = []

    async def run() -> str:
        async with (
            BinanceClient("um", running.url) as client,
            AccountReader(client, running.url, "local-key", "local-secret", ["BTCUSDT"]) as reader,
        ):
            others = create_autospec(OtherTraderWatch)
            nautilus = create_autospec(AccountClient, now_ms=0, event_age_s=None)
            watch = AccountWatch(reader, nautilus, Cache(), others, bool, bool, clock, listener)
            assert watch.reason
            assert not watch.is_reason_logged
            watching = asyncio.create_task(watch.run())
            await until_async(lambda: clock.doubt.called)
            watching.cancel()
            assert watch.is_reason_logged == watch.is_overdue == is_told
            return watch.reason

    handler = logger.add(lines.append, format="{level} {message}", level="WARNING")
    try:
        reason = asyncio.run(run())
    finally:
        logger.remove(handler)
    assert why in reason
    assert lines == [f"ERROR {reason}; no entries\n"] * is_told
    assert listener.on_connection_change.called == is_told
