"""A trader that starts beside its job: it waits for the job's snapshot, or for the job's end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import clean_env, job, job_process
from tests.support.config_files import LIVE_KEYS, write_config, write_live_config
from tests.support.exchange import Exchange
from tests.support.logging_process import LoggingProcess
from tests.support.seam import (
    SPOT_SECONDS,
    Seam,
    assert_whole,
    minutes_config,
    spot_config,
    start_over,
)
from tests.support.start_together import WINDOW, windows
from tests.support.suite import HANG_S, REPO
from tests.support.waiting import Running, until, until_async
from warmup_job.snapshot.lease import read_lease
from warmup_job.trader.snapshot_wait import SnapshotWait

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]
LONG, OVER = f"{round(HANG_S)}s", "3s"
"""A wait that something has to end, and one that nothing ends."""


@contextlib.contextmanager
def trading(
    config: Path, wait: str, *options: str, mode: str = "paper"
) -> Iterator[LoggingProcess]:
    """Run a trader that waits for a snapshot beside the configuration."""
    log = config.with_name("trader.log")
    root = config.with_name("snapshot")
    arguments = ("--config", config, "--root", root, "--wait-for-snapshot", wait)
    with job_process(
        "trade", *arguments, "--mode", mode, *options, env=LIVE_KEYS, log=log
    ) as process:
        yield LoggingProcess(process, log)


def run_job(config: Path, *options: str) -> int:
    """Run the job on the same volume to its end; return its exit code."""
    return job(*job_arguments(config), *options).code


def job_arguments(config: Path) -> tuple[object, ...]:
    return ("run", "--config", config, "--root", config.with_name("snapshot"))


def holds_lease(root: Path) -> bool:
    """Return whether a job has written its record."""
    return read_lease(root) is not None


def until_held(root: Path, process: Running) -> None:
    until(lambda: holds_lease(root), "the lease", process=process)


@pytest.fixture
def config(early: Exchange, tmp_path: Path) -> Path:
    """A configuration for a paper trader, with the volume beside it."""
    return write_config(tmp_path / "files", early.url, ws_url=early.ws_url)


def test_trader_that_starts_first_goes_live_from_the_jobs_snapshot(
    early: Exchange, config: Path
) -> None:
    with trading(config, LONG) as trader:
        first = trader.until("snapshot.waiting")
        assert "no job has been seen at work yet" in first["message"]
        assert run_job(config) == 0
        snapshot = trader.until("snapshot.awaited")["snapshot"]
        trader.until("state.entered", state="live")
        assert windows(early) == 1  # the job's; the trader fetched no window
        assert config.with_name("snapshot").joinpath("current").resolve().name == snapshot
        assert trader.events("snapshot.verified")[-1]["snapshot"] == snapshot
        assert not trader.events("stream.fetching_whole_window")
        assert trader.end() == 143


def test_node_is_ready_while_the_job_fetches_and_each_bar_arrives_once(
    early: Exchange, tmp_path: Path
) -> None:
    plan = minutes_config(tmp_path, early)
    path = tmp_path / "config/warmup.yaml"
    waits = asyncio.Event()
    wait = SnapshotWait(round(HANG_S * 1000), on_wait=lambda _: waits.set())

    async def during(seam: Seam) -> None:
        await waits.wait()
        await until_async(lambda: all(each.is_running for each in seam.strategies))
        assert not seam.histories
        assert not seam.grid.sent
        done = await asyncio.to_thread(job, "run", "--config", path, "--root", plan.root)
        assert done.code == 0, done.err
        await until_async(lambda: seam.grid.sent)

    seam = asyncio.run(start_over(early, plan, during, publish=False, wait=wait))
    assert_whole(seam)
    (history,) = seam.histories
    assert history.snapshot == (plan.root / "current").readlink().name
    assert len(seam.grid.opens) >= int(WINDOW)


def test_bars_that_close_during_the_wait_are_neither_lost_nor_repeated(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    plan = spot_config(tmp_path, running)
    path = tmp_path / "config/warmup.yaml"
    waits = asyncio.Event()
    wait = SnapshotWait(round(HANG_S * 1000), on_wait=lambda _: waits.set())

    async def during(seam: Seam) -> None:
        await waits.wait()
        await until_async(lambda: not seam.runner.websockets.unheard(["btcusdt@kline_1s"]))
        heard_ms = running.now_ms()
        await until_async(lambda: running.now_ms() > heard_ms + 5_000)  # five bars
        assert not seam.histories
        assert not seam.grid.opens
        done = await asyncio.to_thread(job, "run", "--config", path, "--root", plan.root)
        assert done.code == 0, done.err
        await until_async(lambda: seam.live(3))

    seam = asyncio.run(start_over(running, plan, during, publish=False, wait=wait))
    assert_whole(seam, SPOT_SECONDS)
    assert len(seam.grid.opens) >= 120 + 3


def test_live_trader_waits_before_it_touches_the_account(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path / "files", running)
    with trading(config, LONG, mode="live") as trader:
        trader.until("snapshot.waiting")
        assert all(each["method"] == "GET" for each in running.requests())
        assert run_job(config) == 0
        trader.until("state.entered", state="live")
        assert windows(running) == 1
        assert trader.end() == 143


def test_live_trader_is_refused_when_the_wait_is_over(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path / "files", running)
    with trading(config, OVER, mode="live") as trader:
        assert trader.process.wait(HANG_S) == 22
        message = trader.events("process.failed")[-1]["message"]
    assert "the wait of 3 s is over; no job has been seen at work yet" in message
    assert "holds no snapshot" in message
    assert all(each["method"] == "GET" for each in running.requests())


def test_live_trader_with_another_problem_does_not_wait(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path / "files", running, venue={"trading": {"leverage": 5}})
    with trading(config, LONG, mode="live") as trader:
        assert trader.process.wait(HANG_S) == 22
        assert not trader.events("snapshot.waiting")


def test_trader_fetches_for_itself_when_no_job_comes(early: Exchange, config: Path) -> None:
    with trading(config, OVER) as trader:
        reason = trader.until("snapshot.not_awaited")["reason"]
        assert reason == "the wait of 3 s is over; no job has been seen at work yet"
        trader.until("state.entered", state="live")
        assert windows(early) == 1
        assert trader.end() == 143


def test_trader_goes_on_at_once_when_the_job_fails(early: Exchange, config: Path) -> None:
    with trading(config, LONG) as trader:
        trader.until("snapshot.waiting")
        failed = run_job(config, "--streams", "NOPEUSDT:1m:70", "--on-failure", "fail")
        assert failed == 12
        reason = trader.until("snapshot.not_awaited")["reason"]
        assert reason.startswith("the job has ended with code 12 (nothing published: ")
        assert "NOPEUSDT" in reason
        trader.until("state.entered", state="live")
        assert trader.end() == 143


def test_trader_without_a_snapshot_ends_under_fail(early: Exchange, config: Path) -> None:
    with trading(config, LONG, "--on-failure", "fail") as trader:
        trader.until("snapshot.waiting")
        assert run_job(config, "--streams", "NOPEUSDT:1m:70", "--on-failure", "fail") == 12
        assert trader.process.wait(HANG_S) == 20
        message = trader.events("process.failed")[-1]["message"]
    assert "the job has ended with code 12" in message


def test_job_that_has_failed_and_pauses_is_not_waited_for(early: Exchange, config: Path) -> None:
    """It says itself that its next run comes too late; its failure is older than the trader."""
    root = config.with_name("snapshot")
    failing = ("--streams", "NOPEUSDT:1m:70", "--repeat-every", "10h")
    with job_process(*job_arguments(config), *failing) as beside:
        until((root / "status.json").exists, "the status", process=beside)
        with trading(config, LONG) as trader:
            assert "code 12" in trader.until("snapshot.not_awaited")["reason"]
            trader.until("state.entered", state="live")
            assert trader.end() == 143


def test_failure_of_an_earlier_job_is_not_this_jobs(early: Exchange, config: Path) -> None:
    assert run_job(config, "--streams", "NOPEUSDT:1m:70", "--on-failure", "fail") == 12
    with trading(config, LONG) as trader:
        trader.until("snapshot.waiting")
        assert run_job(config) == 0
        trader.until("state.entered", state="live")
        assert not trader.events("snapshot.not_awaited")
        assert trader.end() == 143


def test_snapshot_for_other_settings_ends_the_wait(early: Exchange, config: Path) -> None:
    with trading(config, LONG) as trader:
        trader.until("snapshot.waiting")
        assert run_job(config, "--streams", "ETHUSDT:1m:70") == 0
        assert "code 0 (published " in trader.until("snapshot.not_awaited")["reason"]
        assert "made for other streams" in trader.until("snapshot.unusable")["message"]
        trader.until("state.entered", state="live")
        assert trader.end() == 143


def test_job_killed_while_it_holds_the_lease_can_be_started_again(
    early: Exchange, config: Path
) -> None:
    root = config.with_name("snapshot")
    early.fault("stall@klines")
    with trading(config, LONG) as trader:
        trader.until("snapshot.waiting")
        with job_process(*job_arguments(config)) as killed:
            until_held(root, killed)
            killed.kill()
            killed.communicate(timeout=HANG_S)
        early.clear_faults()
        assert not trader.events("snapshot.not_awaited")
        assert run_job(config) == 0
        trader.until("state.entered", state="live")
        assert trader.end() == 143


def test_trader_goes_on_when_the_wait_for_a_killed_job_is_over(
    early: Exchange, config: Path
) -> None:
    root = config.with_name("snapshot")
    early.fault("stall@klines")
    with job_process(*job_arguments(config)) as killed:
        until_held(root, killed)
        killed.kill()
        killed.communicate(timeout=HANG_S)
    early.clear_faults()
    with trading(config, OVER) as trader:
        assert "is over" in trader.until("snapshot.not_awaited")["reason"]
        trader.until("state.entered", state="live")
        assert trader.end() == 143


@pytest.mark.parametrize("minutes", [3, 30])
def test_snapshot_that_can_be_continued_is_used_at_once(
    early: Exchange, config: Path, minutes: int
) -> None:
    """30 minutes are older than snapshot.max_age: the trader fetches them, whatever a job does."""
    assert run_job(config, "--until", f"-{minutes}m") == 0
    before = len(early.klines())
    early.fault("stall@klines:times=1")  # of the job
    with job_process(*job_arguments(config)) as beside:
        until(lambda: len(early.klines()) > before, "the job's request", process=beside)
        with trading(config, LONG) as trader:
            trader.until("state.entered", state="live")
            assert not trader.events("snapshot.waiting")
            assert windows(early) == 1
            assert trader.end() == 143


def test_snapshot_that_is_too_old_to_be_continued_is_waited_for(
    early: Exchange, config: Path
) -> None:
    assert run_job(config, "--until", "-600m") == 0
    with trading(config, LONG) as trader:
        trader.until("snapshot.waiting")
        assert windows(early) == 1
        assert run_job(config) == 0
        trader.until("snapshot.awaited")
        trader.until("state.entered", state="live")
        assert windows(early) == 2
        assert trader.end() == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", ["paper", "live"])
def test_signal_ends_the_wait(
    start_exchange: Start, tmp_path: Path, mode: str, number: int
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path / "files", running)
    with trading(config, LONG, mode=mode) as trader:
        trader.until("snapshot.waiting")
        assert trader.end(number) == 143, trader.log.read_text()
        assert not trader.events("snapshot.not_awaited")
        assert windows(running) == 0


def test_trader_sees_the_job_on_a_volume_that_it_cannot_write(
    early: Exchange, config: Path
) -> None:
    root = config.with_name("snapshot")
    root.mkdir()
    log = config.with_name("trader.log")
    read_only = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 99; '
        'touch "$0/x" 2>/dev/null && exit 98; exec "$@"'
    )
    command = [
        "unshare", "-rm", "sh", "-c", read_only, str(root), sys.executable, "-m", "warmup_job",
        "trade", "--mode", "paper", "--config", str(config), "--root", str(root),
        "--wait-for-snapshot", LONG,
    ]  # fmt: skip
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=REPO, env=clean_env(), stderr=errors, text=True) as process,
    ):
        try:
            trader = LoggingProcess(process, log)
            until(
                lambda: process.poll() is not None or trader.events("snapshot.waiting"),
                log.read_text,
            )
            if process.poll() in {1, 99} and not os.environ.get("CI"):
                pytest.skip(f"a volume cannot be mounted here: {log.read_text()}")
            assert run_job(config) == 0
            trader.until("snapshot.awaited")
            trader.until("state.entered", state="live")
            assert windows(early) == 1
            assert trader.end() == 143
        finally:
            process.kill()
