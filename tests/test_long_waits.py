"""A long wait is logged again and again: since when, how often it was tried, and what is next."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from tests.support.config_files import write_config
from tests.support.waiting import until_async
from warmup_job.binance.limit_wait import LimitWait
from warmup_job.binance.outage import Outage
from warmup_job.binance.weight_budget import WeightBudget
from warmup_job.cli.shown_progress import shown_progress
from warmup_job.config import load
from warmup_job.job.run_progress import RunProgress
from warmup_job.plan.remaining_time import remaining_s
from warmup_job.plan.resolve import resolve
from warmup_job.process.long_wait import sleep_and_log
from warmup_job.snapshot.lease import Lease, acquire_lease
from warmup_job.snapshot.publish import prepare_volume

MIDNIGHT_MS = 1_777_593_600_000


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    sink = logger.add(lambda message: found.append(str(message)), format="{level} {message}")
    yield found
    logger.remove(sink)


def test_a_long_sleep_is_logged_with_what_has_passed_and_what_is_left() -> None:
    seen: list[tuple[float, float]] = []

    async def sleeping() -> None:
        sleep = asyncio.create_task(
            sleep_and_log(600, lambda *passed_and_left: seen.append(passed_and_left), every_s=0.01)
        )
        await until_async(lambda: len(seen) > 1)
        sleep.cancel()
        await asyncio.gather(sleep, return_exceptions=True)

    asyncio.run(sleeping())
    assert seen == sorted(seen)
    assert all(passed > 0 and passed + left == pytest.approx(600) for passed, left in seen)


def test_a_short_sleep_is_not_logged() -> None:
    seen: list[object] = []
    asyncio.run(sleep_and_log(0.01, lambda *passed_and_left: seen.append(passed_and_left)))
    assert not seen


def test_an_outage_is_logged_with_its_duration_attempts_and_the_next_one(lines: list[str]) -> None:
    async def outage() -> None:
        found = Outage("https://h", every_s=0.01)
        found.request_failed("cannot reach https://h")
        found.attempt_failed(250)
        found.attempt_failed(600_000)
        await until_async(lambda: len(lines) > 1)
        found.request_ended(answered=True)

    asyncio.run(outage())
    assert lines[0].strip() == "WARNING cannot reach https://h; retrying until the deadline"
    assert re.fullmatch(
        r"WARNING https://h unreachable for \d+ m?s \(2 failed attempts, the next one in "
        r"\d+\.\d s\); still retrying\n",
        lines[1],
    )
    assert "answers again after" in lines[-1]


def test_a_limit_is_logged_once_for_all_requests_that_wait_for_it(lines: list[str]) -> None:
    async def limit() -> None:
        wait = LimitWait("https://h", every_s=0.01)
        requests = [asyncio.create_task(wait.sleep(600, "https://h banned us")) for _ in range(3)]
        await until_async(lambda: len(lines) > 1)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        assert len(asyncio.all_tasks()) == 1, "it stopped logging"

    asyncio.run(limit())
    assert lines[0].strip() == "WARNING https://h banned us; the next attempt is in 10 min"
    assert sum("banned us" in line for line in lines) == 1
    assert re.search(
        r"https://h has limited this IP for \d+ s, nothing is sent; the next attempt is in 10 min",
        lines[1],
    )


def test_a_limit_is_logged_for_the_request_that_waits_longest(lines: list[str]) -> None:
    """Before, nothing was logged if the first one waited for less than a second."""

    async def limit() -> None:
        wait = LimitWait("https://h", every_s=0.01)
        short = asyncio.create_task(wait.sleep(0.05, "https://h is busy"))
        await asyncio.sleep(0)
        long = asyncio.create_task(wait.sleep(600, "https://h banned us"))
        await short
        seen = len(lines)
        await until_async(lambda: len(lines) > seen)
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)

    asyncio.run(limit())
    assert lines[0].strip() == "WARNING https://h banned us; the next attempt is in 10 min"
    assert all("the next attempt is in 10 min" in line for line in lines)


def test_a_job_that_waits_for_another_one_says_so_again(tmp_path: Path) -> None:
    waits: list[str] = []

    async def second() -> None:
        held = await acquire_lease(tmp_path, str, timeout_s=5, on_wait=waits.append)
        assert isinstance(held, Lease)
        waiting = asyncio.create_task(
            acquire_lease(
                tmp_path, lambda _: None, timeout_s=600, on_wait=waits.append, remind_every_s=0.01
            )
        )
        await until_async(lambda: len(waits) > 1)
        held.release()
        mine = await waiting
        assert isinstance(mine, Lease)
        mine.release()

    prepare_volume(tmp_path)
    asyncio.run(second())


@pytest.mark.parametrize(
    ("weight", "pages", "room", "expected"),
    [
        (20, 10, 1200, 0.1),  # fits into this minute: one round trip
        (400, 200, 1200, 1.3),
        (1300, 650, 1200, 20 + 0.1 * 38),  # waits for the next minute
        (3700, 1850, 1200, 20 + 120 + 0.1 * 38),  # and for two more
        (1200, 600, 0, 20 + 0.1 * 38),
    ],
)
def test_the_remaining_time_follows_from_the_weight_budget(
    weight: int, pages: int, room: int, expected: float
) -> None:
    left = remaining_s(weight=weight, pages=pages, room=room, budget=1200, minute_left_s=20)
    assert left == pytest.approx(expected, abs=0.4)


def test_the_progress_of_a_run_is_logged_with_what_is_left(
    tmp_path: Path, lines: list[str]
) -> None:
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 499_000}]
    config = write_config(tmp_path, "http://127.0.0.1:9", warmup={"streams": streams})
    progress = RunProgress(resolve(load(config, environ={})))

    async def fetching() -> None:
        async with shown_progress(progress, every_s=0.01):
            await until_async(lambda: lines)
            budget = WeightBudget(1200, lambda: MIDNIGHT_MS + 50_000)
            progress.begin(budget)
            budget.count(1200)
            progress.add(249_500)
            count = len(lines)
            await until_async(lambda: len(lines) > count + 1)

    asyncio.run(fetching())
    assert lines[0].strip() == "INFO fetched 0 of 499000 bars (0 %) with weight 0"
    assert re.fullmatch(
        r"INFO fetched 249500 of 499000 bars \(50 %\) with weight 1200, about 1\d s left\n",
        lines[-1],
    )
