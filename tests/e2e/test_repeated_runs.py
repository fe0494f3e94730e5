"""`run --repeat-every`: what it says and leaves when runs fail, and when they succeed again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import clean_env, job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S

pytestmark = pytest.mark.e2e

HEALTHCHECK = "warmup_job.process.healthcheck"


def lines(log: Path) -> list[tuple[str, str]]:
    """Level and message of each whole line so far."""
    whole = log.read_text().splitlines(keepends=True)
    parsed = [json.loads(line) for line in whole if line[:1] == "{" and line.endswith("\n")]
    return [(each["level"], each["message"]) for each in parsed]


def until_logged(log: Path, word: str, process: Any) -> tuple[str, str]:
    """Wait for a line with that word."""
    deadline = time.monotonic() + HANG_S
    while True:
        for level, message in lines(log):
            if word in message:
                return level, message
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def probe(root: Path, most_s: int) -> subprocess.CompletedProcess[str]:
    """The readiness probe of the refresh sidecar."""
    return subprocess.run(
        [sys.executable, "-m", HEALTHCHECK, str(root / "status.json"), str(most_s)],
        env=clean_env(), capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("on_failure", ["proceed", "fail"])
def test_repeated_runs_that_fail_are_counted_and_reported(
    start_exchange: Callable[..., Exchange], tmp_path: Path, on_failure: str
) -> None:
    running = start_exchange()
    root, log = tmp_path / "snapshot", tmp_path / "log"
    config = write_config(
        tmp_path, running.url, warmup={"deadline": "1s", "on_failure": on_failure}
    )
    assert job("run", "--config", config, "--root", root, "--deadline", "60s").code == 0
    first = json.loads((root / "status.json").read_text())
    assert first["failed_in_a_row"] == 0
    assert first["last_success_ms"] == first["at_ms"]

    running.fault("503@*")
    every = ("run", "--config", config, "--root", root, "--repeat-every", "10ms")
    with job_process(*every, log=log) as process:
        level, message = until_logged(log, "3 run(s) in a row have failed", process)
        assert level == "ERROR"
        assert "the last success was" in message
        assert f"the current snapshot, {first['snapshot']}, has lacked newer bars for" in message
        assert until_logged(log, "1 run(s) in a row have failed", process)[0] == "WARNING"
        messages = " ".join(message for _, message in lines(log))
        assert "exiting 0 because" not in messages
        assert "the bot" not in messages
        status = json.loads((root / "status.json").read_text())
        assert status["failed_in_a_row"] >= 2  # the log is ahead of the file
        assert status["last_success_ms"] == first["last_success_ms"]
        ill = probe(root, -1)
        assert ill.returncode == 1
        assert "run(s) have failed since: nothing published" in ill.stdout
    assert job("verify", root).code == 0

    running.clear_faults()
    with job_process(*every, "--deadline", "60s", log=log) as process:
        assert until_logged(log, "the run succeeded after ", process)[0] == "INFO"
        until_logged(log, "next run in", process)
        assert json.loads((root / "status.json").read_text())["failed_in_a_row"] == 0
        assert probe(root, 600).returncode == 0


def test_single_runs_are_counted_on_the_volume(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """As a CronJob makes them."""
    running = start_exchange()
    root = tmp_path / "snapshot"
    config = write_config(tmp_path, running.url, warmup={"deadline": "1s"})
    running.fault("503@*")
    for failed in (1, 2):
        assert job("run", "--config", config, "--root", root).code == 0
        status = json.loads((root / "status.json").read_text())
        assert (status["failed_in_a_row"], status["last_success_ms"]) == (failed, None)
    assert "no run has succeeded yet, 2 run(s)" in probe(root, 600).stdout


def test_repeated_runs_are_counted_without_a_writable_status(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    (tmp_path / "file").write_bytes(b"")
    root, log = tmp_path / "file" / "snapshot", tmp_path / "log"
    config = write_config(tmp_path, running.url)
    every = ("run", "--config", config, "--root", root, "--repeat-every", "10ms")
    with job_process(*every, log=log) as process:
        level, message = until_logged(log, "3 run(s) in a row have failed", process)
    assert level == "ERROR"
    assert f"none has succeeded yet; {root} holds no usable snapshot" in message
