"""The job's figures as a textfile beside the snapshot, and what a broken volume leaves of them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.snapshots import BAR_TYPE, ENDPOINT, MINUTE_MS, START, make
from warmup_job.snapshot.layout import CURRENT, LIMITS, STAGING, STATUS, TEXTFILE
from warmup_job.snapshot.publish import prepare_volume
from warmup_job.snapshot.rate_limits import record_limit
from warmup_job.snapshot.status import Status, write_status
from warmup_job.snapshot.verify import verify
from warmup_job.snapshot.volume_metrics import read_volume, write_textfile

FAILED = Status(
    at_ms=START + 9_000, code=10, exit_code=0, message="no answer", failed_in_a_row=2,
    last_success_ms=START, seconds=1.5, weight_spent=7, repeat_every_ms=300_000,
)  # fmt: skip


def written(root: Path) -> dict[str, float]:
    """Write the textfile and return its samples, as node_exporter accepts them."""
    write_textfile(root)
    text = (root / TEXTFILE).read_text()
    families: list[Metric] = list(text_string_to_metric_families(text))
    assert len({each.name for each in families}) == len(families)
    assert all(each.documentation for each in families)
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.timestamp is None for sample in samples)
    assert all(sample.labels["root"] == str(root) for sample in samples)
    values = {}
    for sample in samples:
        labels = [value for name, value in sorted(sample.labels.items()) if name != "root"]
        values[" ".join((sample.name, *labels))] = sample.value
    assert len(values) == len(samples), "two samples have the same labels"
    return values


def test_textfile_has_the_run_and_each_stream(tmp_path: Path) -> None:
    until_ms = time.time_ns() // 1_000_000 + 60_000
    make(tmp_path, 10)
    write_status(tmp_path, FAILED)
    record_limit(tmp_path, ENDPOINT, until_ms)
    assert written(tmp_path) == {
        "warmup_job_run_time_seconds": START / 1000 + 9,
        "warmup_job_run_duration_seconds": 1.5,
        "warmup_job_run_weight": 7,
        "warmup_job_run_code": 10,
        "warmup_job_run_exit_code": 0,
        "warmup_job_failed_runs": 2,
        "warmup_job_last_success_time_seconds": START / 1000,
        "warmup_job_repeat_every_seconds": 300,
        "warmup_snapshot_created_time_seconds": START / 1000,
        "warmup_snapshot_degraded": 0,
        f"warmup_snapshot_bars {BAR_TYPE}": 10,
        f"warmup_snapshot_missing_bars {BAR_TYPE}": 0,
        f"warmup_snapshot_proven {BAR_TYPE}": 0,
        f"warmup_snapshot_last_close_seconds {BAR_TYPE}": (START + 10 * MINUTE_MS - 1) / 1000,
        f"warmup_snapshot_next_close_seconds {BAR_TYPE}": (START + 11 * MINUTE_MS) / 1000,
        f"warmup_exchange_limited_until_seconds {ENDPOINT}": until_ms / 1000,
    }


def test_textfile_does_not_touch_the_snapshot_and_can_be_read_by_other_users(
    tmp_path: Path,
) -> None:
    made = make(tmp_path)
    write_textfile(tmp_path)
    assert verify(tmp_path, now_ms=START + 20 * MINUTE_MS).folder.name == made.id
    assert (tmp_path / TEXTFILE).stat().st_mode & 0o004
    assert list((tmp_path / STAGING).iterdir()) == []


def test_textfile_of_a_volume_without_a_snapshot_has_the_failed_run(tmp_path: Path) -> None:
    prepare_volume(tmp_path)
    write_status(tmp_path, Status(START, 10, 0, "no answer", failed_in_a_row=1))
    assert written(tmp_path) == {
        "warmup_job_run_time_seconds": START / 1000,
        "warmup_job_run_code": 10,
        "warmup_job_run_exit_code": 0,
        "warmup_job_failed_runs": 1,
    }


def test_textfile_stays_whole_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    prepare_volume(tmp_path)
    write_status(tmp_path, FAILED)
    write_textfile(tmp_path)
    before = (tmp_path / TEXTFILE).read_bytes()
    (tmp_path / STAGING).rmdir()
    write_textfile(tmp_path)
    assert (tmp_path / TEXTFILE).read_bytes() == before


@pytest.mark.parametrize("name", [STATUS, LIMITS, CURRENT])
def test_figures_of_a_broken_volume_lack_what_is_broken(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    write_status(tmp_path, FAILED)
    (tmp_path / LIMITS).write_text(json.dumps({ENDPOINT: START}))
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    figures = read_volume(tmp_path)
    assert (figures.status is None) == (name == STATUS)
    assert (figures.manifest is None) == (name == CURRENT)
    assert (figures.limits == {}) == (name == LIMITS)
