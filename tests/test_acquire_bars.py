"""The acquisition of one stream's bars from a local exchange: fetch, judge, fetch more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.exchange import Exchange
from tests.support.stream_plans import stream_plan
from warmup_job.acquire.acquire_bars import AcquiredBars, acquire_bars
from warmup_job.acquire.reuse import ASKED_AGAIN, ReusableBars
from warmup_job.binance.client import BinanceClient
from warmup_job.catalog.packed_bars import content_digest
from warmup_job.errors import RateLimitedError
from warmup_job.market.interval import Interval
from warmup_job.market.stream_id import StreamId
from warmup_job.plan.stream_plan import DeclaredIndicator, StreamPlan

NOW_MS = 1_780_000_203_000  # 3 s into a minute
WEEKS = StreamId("BTCUSDT", Interval.parse("1w"))
Start = Callable[..., Exchange]


def acquire(running: Exchange, plan: StreamPlan, **options: Any) -> AcquiredBars:
    async def ask() -> AcquiredBars:
        async with BinanceClient("um", running.url) as client:
            await client.sync_clock()
            return await acquire_bars(client, plan, client.now_ms(), **options)

    return asyncio.run(ask())


def limits(running: Exchange) -> list[int]:
    return [int(request["params"]["limit"]) for request in running.klines()]


def months(running: Exchange) -> int:
    return sum(each["params"].get("interval") == "1M" for each in running.requests())


def reusable(bars: AcquiredBars, **changes: Any) -> ReusableBars:
    values: dict[str, Any] = {
        "kept": bars.bars.without_last(ASKED_AGAIN),
        "asked_again": bars.bars.last(ASKED_AGAIN),
        "from_listing": False,
        "certificate": bars.verdict.certificate,
    }
    return ReusableBars(**(values | changes))


def test_acquire_asks_once_where_the_first_bars_are_enough(start_exchange: Start) -> None:
    running = start_exchange(now_ms=NOW_MS)
    rows: list[int] = []
    plan = stream_plan(auto=False, bars=130)
    got = acquire(running, plan, progress=rows.append)
    assert (got.bars.rows, got.gaps, got.from_listing) == (130, [], False)
    assert got.bars.last_ms == NOW_MS // 60_000 * 60_000 - 60_000
    assert got.verdict.certificate is not None
    assert (limits(running), rows, months(running)) == ([130], [130], 1)


def test_acquire_fetches_older_bars_until_the_verdict_has_enough(start_exchange: Start) -> None:
    running = start_exchange(now_ms=NOW_MS)
    needs_250 = (DeclaredIndicator("custom", 30, 250),)
    plan = stream_plan(detector=None, indicators=needs_250, needs_bounds=False)
    got = acquire(running, plan)
    assert got.bars.rows == got.verdict.bars == 250
    assert limits(running) == [125, 125]
    assert months(running) == 0  # no bounds are needed
    assert list(got.bars.opens_ms) == [got.bars.first_ms + i * 60_000 for i in range(250)]


def test_acquire_returns_no_more_bars_than_the_verdict_says(start_exchange: Start) -> None:
    needs_70 = (DeclaredIndicator("custom", 30, 70),)
    plan = stream_plan(detector=None, indicators=needs_70, needs_bounds=False)
    got = acquire(start_exchange(now_ms=NOW_MS), plan)
    assert got.bars.rows == got.verdict.bars == 70


def test_acquire_continues_stored_bars_like_a_whole_fetch(start_exchange: Start) -> None:
    plan = stream_plan(auto=False, bars=300)
    stored = acquire(start_exchange(now_ms=NOW_MS), plan)
    later = start_exchange(now_ms=NOW_MS + 3 * 60_000)
    got = acquire(later, plan, reusable=reusable(stored))
    assert limits(later) == [3 + ASKED_AGAIN]
    assert months(later) == 0  # the stored certificate has the bounds
    assert content_digest(got.bars) == content_digest(acquire(later, plan).bars)


def test_acquire_fetches_everything_if_the_oldest_bar_that_is_asked_again_changed(
    start_exchange: Start,
) -> None:
    plan = stream_plan(auto=False, bars=300)
    other = acquire(start_exchange(now_ms=NOW_MS, seed=99), plan)  # every price differs
    running = start_exchange(now_ms=NOW_MS)
    got = acquire(running, plan, reusable=reusable(other))
    assert limits(running) == [ASKED_AGAIN, 300]
    assert content_digest(got.bars) == content_digest(acquire(running, plan).bars)


@pytest.mark.parametrize("lost", [0, 3])
def test_reusable_bars_that_binance_lost_have_changed(start_exchange: Start, lost: int) -> None:
    plan = stream_plan(auto=False, bars=20, detector=None, needs_bounds=False)
    bars = acquire(start_exchange(now_ms=NOW_MS), plan)
    stored = reusable(bars)
    opens_ms = stored.asked_again.opens_ms
    assert stored.changed(bars.bars) == []
    assert stored.changed(bars.bars.without_last(lost)) == list(opens_ms[ASKED_AGAIN - lost :])


def test_acquire_asks_once_more_for_bars_missing_in_an_answer(start_exchange: Start) -> None:
    running = start_exchange(now_ms=NOW_MS)
    running.fault("missing=2@klines/BTCUSDT/1m:times=1")
    plan = stream_plan(auto=False, bars=130)
    got = acquire(running, plan)
    assert limits(running) == [130, 2, 2]  # two older ones in their place, and then the missing
    assert (got.bars.rows, got.gaps) == (130, [])
    assert content_digest(got.bars) == content_digest(acquire(running, plan).bars)


def test_acquire_of_a_young_symbol_returns_its_whole_history(start_exchange: Start) -> None:
    running = start_exchange(now_ms=NOW_MS)
    plan = stream_plan(stream=WEEKS, auto=False, bars=1000)
    got = acquire(running, plan)
    assert (got.bars.rows < 499, got.from_listing) == (True, True)
    assert got.verdict.certificate is not None
    assert (got.verdict.certificate.exact, got.verdict.shortcomings) == (True, ())
    # Bars older than those that may be judged make their certificate inexact.
    longer = acquire(running, replace(plan, bar_counts=(70, 125, 250)))
    assert (longer.bars.rows, longer.from_listing) == (got.bars.rows, True)
    assert longer.verdict.certificate is not None
    assert (longer.verdict.certificate.exact, longer.verdict.certificate.bars) == (False, 250)
    # A part of the history is not from the listing.
    enough = acquire(running, replace(plan, auto=True, bars=499))
    assert (enough.bars.rows, enough.from_listing) == (enough.verdict.bars, False)


def test_acquire_without_price_bounds_has_the_bars_and_no_certificate(
    start_exchange: Start,
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    running.fault("400@klines/BTCUSDT/1M")
    got = acquire(running, stream_plan(auto=False, bars=130))
    assert (got.bars.rows, got.verdict.certificate) == (130, None)
    (shortcoming,) = got.verdict.shortcomings
    assert "lowest and highest price are unknown" in str(shortcoming)


def test_acquire_stops_if_the_price_bounds_are_rate_limited(start_exchange: Start) -> None:
    running = start_exchange(now_ms=NOW_MS)
    running.fault("429=120@klines/BTCUSDT/1M")
    with pytest.raises(RateLimitedError):
        acquire(running, stream_plan(auto=False, bars=130))
