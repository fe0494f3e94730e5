"""The comparison of this machine's clock with the exchange's while the trader runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import create_autospec

import pytest

from tests.support.exchange import Exchange
from warmup_job.binance.client import BinanceClient
from warmup_job.errors import TraderError
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.reporting.report import now_ms
from warmup_job.handoff.run_listener import RunListener
from warmup_job.market.signing_clock import AHEAD_MS, BEHIND_MS, clock_problem

Start = Callable[..., Exchange]
STEP_MS = 20_000


@pytest.mark.parametrize("offset_ms", [0, AHEAD_MS, -BEHIND_MS])
def test_a_clock_within_binances_window_is_no_problem(offset_ms: int) -> None:
    assert clock_problem(offset_ms) == ""


@pytest.mark.parametrize(
    ("offset_ms", "words"),
    [(AHEAD_MS + 500, "1.5 s ahead of"), (-BEHIND_MS - 1_000, "6.0 s behind")],
)
def test_a_clock_outside_the_window_is_named_with_its_offset(offset_ms: int, words: str) -> None:
    assert words in clock_problem(offset_ms)
    assert "NTP" in clock_problem(offset_ms)


def look(running: Exchange, nautilus_ahead_ms: int, *, signs: bool = True) -> str:
    """Compare the clocks once; return the problem."""

    async def run() -> str:
        async with BinanceClient("um", running.url) as client:
            await client.sync_clock()
            watch = ClockWatch(client, create_autospec(RunListener), signs=signs)
            watch.look(now_ms() + nautilus_ahead_ms)
            return watch.problem

    return asyncio.run(run())


def test_a_clock_that_was_set_back_to_the_right_time_ends_the_run(start_exchange: Start) -> None:
    """Nautilus goes on with the time before, and a new process is right at once."""
    running = start_exchange()
    with pytest.raises(TraderError, match="set back"):
        look(running, STEP_MS)
    assert look(running, 0) == ""
    assert look(running, STEP_MS, signs=False) == ""


def test_a_clock_that_was_set_back_to_a_wrong_time_stops_entries(start_exchange: Start) -> None:
    """A new start would be refused; Nautilus' clock, which stands still, may be right."""
    running = start_exchange(clock_skew_ms=STEP_MS)
    assert "behind the exchange's" in look(running, STEP_MS)


def test_a_small_step_back_that_the_exchange_accepts_changes_nothing(start_exchange: Start) -> None:
    running = start_exchange(clock_skew_ms=BEHIND_MS - 1_000)
    assert look(running, BEHIND_MS - 1_000) == ""
