"""`warmup-job up`: job and trader by one command, however one of them ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import clean_env, job, job_process
from tests.support.config_files import LIVE_KEYS, write_config, write_live_config
from tests.support.exchange import Exchange
from tests.support.logging_process import LoggingProcess
from tests.support.needs_nautilus import needs_nautilus
from tests.support.start_together import WINDOW, windows
from tests.support.suite import HANG_S, REPO
from tests.support.waiting import until
from warmup_job.snapshot.lease import read_lease

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]
FAILING = ("--streams", "NOPEUSDT:1m:70")
"""A job with these options ends with 12; the trader's stream is another one."""


@dataclass(frozen=True)
class Both(LoggingProcess):
    """A running `up`: the trader's process with the job as its child."""

    root: Path

    def job_pid(self) -> int:
        """Wait until the job holds the lease, and return its process id."""
        until(lambda: read_lease(self.root), "the lease", process=self.process)
        record = read_lease(self.root)
        assert record is not None
        return int(record.owner.rpartition(":")[2])


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def arguments(config: Path, mode: str) -> list[str]:
    root = config.with_name("snapshot")
    return ["up", "--config", str(config), "--root", str(root), "--mode", mode]


@contextlib.contextmanager
def up(config: Path, *options: object, mode: str = "paper") -> Iterator[Both]:
    """Run both with the volume beside the configuration."""
    log = config.with_name("up.log")
    with job_process(*arguments(config, mode), *options, env=LIVE_KEYS, log=log) as process:
        yield Both(process, log, config.with_name("snapshot"))


@pytest.fixture
def config(early: Exchange, tmp_path: Path) -> Path:
    return write_config(tmp_path / "files", early.url, ws_url=early.ws_url)


def test_up_goes_live_from_the_snapshot_of_its_job(early: Exchange, config: Path) -> None:
    with up(config, "--json") as both:
        both.until("state.entered", state="live")
        assert windows(early) == 1  # the job's
        published = (both.root / "current").readlink().name
        assert published in both.until("job.published")["message"]
        assert both.events("snapshot.verified")[-1]["snapshot"] == published
        assert both.end() == 143
        out, _ = both.process.communicate(timeout=HANG_S)
        summary = json.loads(out)  # nothing of the job's is on stdout
    assert summary["warm_start"] is True
    assert summary["history_bars"] == int(WINDOW)
    status = json.loads((both.root / "status.json").read_text())
    assert (status["code"], status["snapshot"]) == (0, published)


def test_up_goes_live_with_real_orders(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()
    with up(write_live_config(tmp_path / "files", running), mode="live") as both:
        both.until("state.entered", state="live")
        assert windows(running) == 1
        assert both.end() == 143


def test_up_continues_a_snapshot_that_is_there(early: Exchange, config: Path) -> None:
    root = config.with_name("snapshot")
    assert job("run", "--config", config, "--root", root, "--until", "-3m").code == 0
    with up(config) as both:
        both.until("state.entered", state="live")
        assert windows(early) == 1
        assert both.end() == 143


def test_up_shows_the_jobs_failure_and_trades_on_paper(early: Exchange, config: Path) -> None:
    with up(config, *FAILING) as both:
        failed = both.until("job.failed")
        assert failed["code"] == 12
        assert "NOPEUSDT" in failed["error"]
        assert "the job has ended with code 12" in both.until("snapshot.not_awaited")["reason"]
        both.until("state.entered", state="live")
        assert both.end() == 143


def test_up_exits_with_the_traders_code_when_its_job_fails(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    with up(write_live_config(tmp_path / "files", running), *FAILING, mode="live") as both:
        assert both.process.wait(HANG_S) == 22
        assert "code 12" in both.events("process.failed")[-1]["message"]
    paper = write_config(tmp_path / "paper", running.url, ws_url=running.ws_url)
    with up(paper, *FAILING, "--on-failure", "fail") as both:
        assert both.process.wait(HANG_S) == 20
        assert "code 12" in both.events("process.failed")[-1]["message"]


def test_up_does_not_wait_for_a_job_that_was_killed(early: Exchange, config: Path) -> None:
    early.fault("stall@klines:times=1")
    with up(config) as both:
        pid = both.job_pid()
        both.until("snapshot.waiting")
        os.kill(pid, signal.SIGKILL)
        reason = both.until("snapshot.not_awaited")["reason"]
        assert reason == "the job's process has been killed by signal 9"
        both.until("state.entered", state="live")
        assert both.end() == 143


def test_up_does_not_wait_for_a_job_that_cannot_write_the_volume(
    early: Exchange, config: Path
) -> None:
    config.with_name("snapshot").write_text("a file")
    with up(config) as both:
        reason = both.until("snapshot.not_awaited")["reason"]
        assert reason == "the job's process has exited with code 15"
        both.until("state.entered", state="live")
        assert both.end() == 143


def test_up_ends_its_job_when_the_trader_cannot_start(early: Exchange, config: Path) -> None:
    early.fault("stall@klines")
    with job_process("trade", *arguments(config, "paper")[1:], "--wait-for-snapshot", "4m",
                     log=config.with_name("first.log")) as first:  # fmt: skip
        state = config.parent / "state"
        until(lambda: list(state.glob("*.json")), "the first trader", process=first)
        with up(config) as both:
            assert both.process.wait(HANG_S) == 21
            assert "is in use by" in both.events("process.failed")[-1]["message"]
            record = read_lease(both.root)
            assert record is None or not is_running(int(record.owner.rpartition(":")[2]))


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_up_sigterm_during_the_wait_ends_both(
    start_exchange: Start, tmp_path: Path, mode: str
) -> None:
    running = start_exchange()
    running.fault("stall@klines")
    with up(write_live_config(tmp_path / "files", running), mode=mode) as both:
        pid = both.job_pid()
        both.until("snapshot.waiting")
        assert both.end() == 143, both.log.read_text()
        assert not is_running(pid)
        assert not both.events("snapshot.not_awaited")
        assert not both.events("stream.fetching_whole_window")
    assert not (both.root / "current").exists()


@needs_nautilus
def test_up_ctrl_c_reaches_both_and_ends_both(early: Exchange, config: Path) -> None:
    early.fault("stall@klines")
    log = config.with_name("up.log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "warmup_job", *arguments(config, "paper")],
            cwd=REPO, env=clean_env(), stderr=errors, start_new_session=True,
        )  # fmt: skip
    both = Both(process, log, config.with_name("snapshot"))
    try:
        pid = both.job_pid()
        both.until("snapshot.waiting")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(HANG_S) == 143, log.read_text()
        assert not is_running(pid)
        assert not both.events("snapshot.not_awaited")
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()
