"""What a reader of the volume concludes about the job beside it, and what it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from loguru import logger

from tests.support.config_files import write_config
from warmup_job.config import load
from warmup_job.errors import SnapshotError
from warmup_job.plan.resolve import resolve
from warmup_job.snapshot.lease import LeaseRecord
from warmup_job.snapshot.status import Status
from warmup_job.trader.job_beside import JobBeside, process_ending
from warmup_job.trader.snapshot_wait import SnapshotWait, awaited_snapshot

START_MS = 1_777_593_600_000
END_MS = START_MS + 60_000
HELD = LeaseRecord(3, "pod-0:12", 5)
"""The record of a job that works, or of one that died."""


def failed(at_ms: int, repeat_every_ms: int | None = None) -> Status:
    return Status(at_ms, 12, 12, "no such symbol", repeat_every_ms=repeat_every_ms)


def test_record_that_does_not_change_is_no_sign_of_life() -> None:
    beside = JobBeside(HELD, None, START_MS)
    for now_s in (0.0, 5.0):
        beside.look(HELD, None, now_s)
        assert beside.activity(now_s) == "no job has been seen at work yet"


def test_heartbeat_is_a_sign_of_life_until_it_stops() -> None:
    beside = JobBeside(HELD, None, START_MS)
    next_beat = LeaseRecord(3, "pod-0:12", 6)
    beside.look(next_beat, None, 1.0)
    assert beside.activity(1.5) == "the job pod-0:12 is at work"
    beside.look(next_beat, None, 13.0)
    assert beside.activity(13.0) == "the job pod-0:12 was last seen at work 12 s ago"


def test_first_record_of_an_empty_volume_is_a_sign_of_life() -> None:
    beside = JobBeside(None, None, START_MS)
    beside.look(None, None, 1.0)
    assert beside.activity(1.0) == "no job has been seen at work yet"
    beside.look(HELD, None, 2.0)
    assert beside.activity(2.0) == "the job pod-0:12 is at work"


@pytest.mark.parametrize(
    ("first", "now", "ends"),
    [
        (None, None, False),
        (failed(START_MS - 1), failed(START_MS - 1), False),  # an earlier job's
        (failed(START_MS), failed(START_MS), True),  # written before the first look
        (None, failed(START_MS + 9), True),
        (failed(START_MS - 9), failed(START_MS - 8), True),  # by a clock that is behind ours
        (failed(START_MS - 9, 60_008), failed(START_MS - 9, 60_008), False),  # it tries again
        (failed(START_MS - 9, 60_009), failed(START_MS - 9, 60_009), True),  # too late for us
    ],
)
def test_status_ends_the_wait_if_nothing_can_come_any_more(
    first: Status | None, now: Status | None, ends: bool
) -> None:
    beside = JobBeside(None, first, START_MS)
    beside.look(None, now, 1.0)
    ending = "the job has ended with code 12 (no such symbol)"
    assert beside.ending(END_MS) == (ending if ends else None)


def test_end_of_a_process_is_named() -> None:
    assert process_ending(-9) == "the job's process has been killed by signal 9"
    assert process_ending(15) == "the job's process has exited with code 15"


def test_a_wait_is_logged_again_and_again(tmp_path: Path) -> None:
    plan = resolve(load(write_config(tmp_path, "http://127.0.0.1:9"), environ={}))
    lines: list[str] = []
    told: list[str] = []

    def code() -> int | None:
        return 15 if len(lines) >= 3 else None

    wait = SnapshotWait(3_600_000, job=code, on_wait=told.append, log_every_s=0.01)
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}", level="INFO")
    try:
        with pytest.raises(SnapshotError, match="exited with code 15") as error:
            asyncio.run(awaited_snapshot(plan, lambda: START_MS, wait))
    finally:
        logger.remove(sink)
    assert lines[0].startswith("waiting for a snapshot on ")
    assert lines[0].strip().endswith("for 0 s of 60 min: no job has been seen at work yet")
    assert all(line.startswith("waiting for a snapshot on ") for line in lines[:3])
    assert told[0].startswith("waiting for a snapshot on ")
    assert len(error.value.problems) == 2


def test_a_job_that_ends_by_the_traders_own_signal_is_no_reason_to_go_on(tmp_path: Path) -> None:
    """The trader may see its signal only after the job's end; then the job no longer counts."""
    plan = resolve(load(write_config(tmp_path, "http://127.0.0.1:9"), environ={}))
    codes = iter([143])
    wait = SnapshotWait(300, job=lambda: next(codes, None))
    with pytest.raises(SnapshotError, match="the wait of 300 ms is over") as error:
        asyncio.run(awaited_snapshot(plan, lambda: START_MS, wait))
    assert "exited" not in str(error.value)
