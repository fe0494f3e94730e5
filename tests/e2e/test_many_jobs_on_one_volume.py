"""Many jobs on one volume: one works, the others use its result, and none destroys another's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Result, clean_env, job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.suite import FULL, HANG_S, REPO
from tests.support.volume_trace import GO_ON, Call, Watched, WatchedJobs, at
from tests.support.volumes import (
    BARS,
    HALF_PAST_MS,
    Hourly,
    assert_in_order,
    assert_refused,
    current,
    read_whole,
    reading,
    snapshots,
)
from tests.support.waiting import until
from warmup_job.snapshot.lease import STALE_S

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Running:
    """A running job and its log so far."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def says(self, words: str) -> bool:
        return words in self.err.read_text()

    def end(self, timeout: float = HANG_S) -> Result:
        """Wait for the end of the job and return its result."""
        code = self.process.wait(timeout)
        return Result(code, self.out.read_text(), self.err.read_text())


@contextmanager
def running(folder: Path, count: int, *arguments: object) -> Iterator[list[Running]]:
    """Run these jobs at once; kill those that still run at the end."""
    jobs: list[Running] = []
    try:
        for _ in range(count):
            number = len(list(folder.glob("*.out")))
            out, err = folder / f"{number}.out", folder / f"{number}.err"
            with out.open("w") as to, err.open("w") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "warmup_job", "run", *map(str, arguments), "--json"],
                    cwd=REPO, env=clean_env(), stdout=to, stderr=log,
                )  # fmt: skip
            jobs.append(Running(process, out, err))
        yield jobs
    finally:
        for each in jobs:
            if each.process.poll() is None:
                each.process.kill()
                each.process.wait()


def options_of(exchange: Exchange, folder: Path, **warmup: Any) -> tuple[object, ...]:
    """Return the options of a job on 1h klines with a volume in ``folder``."""
    streams = [{"symbol": "BTCUSDT", "interval": "1h", "bars": BARS}]
    settings = {"streams": streams, "on_failure": "fail", "deadline": "2m"} | warmup
    config = write_config(folder, exchange.url, warmup=settings)
    return ("--config", config, "--root", folder / "volume")


def test_jobs_started_together_one_fetches_for_all(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(now_ms=HALF_PAST_MS)
    options = options_of(exchange, tmp_path)
    with (
        reading(tmp_path / "volume", 0.1) as reader,
        running(tmp_path, 100 if FULL else 12, *options) as jobs,
    ):
        ended = [each.end() for each in jobs]
    assert [each.code for each in ended] == [0] * len(jobs), {each.err for each in ended}
    (name,) = snapshots(tmp_path / "volume")
    assert {each.json["snapshot"] for each in ended} == {name}
    assert sum(each.json["published"] for each in ended) == 1
    assert len(exchange.klines()) == 1
    assert (reader.problems, reader.seen) == ([], [name])
    assert_in_order(tmp_path / "volume")


def test_jobs_take_the_place_of_a_killed_one_at_once(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(now_ms=HALF_PAST_MS)
    options = options_of(exchange, tmp_path)
    exchange.fault("stall@klines:times=1")
    with running(tmp_path, 1, *options) as (holder,), running(tmp_path, 3, *options) as others:
        until(exchange.klines, "a request for klines")
        until(lambda: sum(each.says("waiting") for each in [holder, *others]) == 3, "three wait")
        (working,) = (each for each in [holder, *others] if not each.says("waiting"))
        lease = (tmp_path / "volume" / ".lease").stat().st_ino
        working.process.kill()
        until(lambda: len(exchange.klines()) == 2, "a second request for klines")
        # A stale snapshot is replaced.
        assert (tmp_path / "volume" / ".lease").stat().st_ino == lease
        ended = [each.end() for each in [holder, *others] if each is not working]
    assert [each.code for each in ended] == [0] * 3, {each.err for each in ended}
    clock = [each for each in exchange.requests() if each["path"].endswith("/time")]
    assert (len(clock), len(exchange.klines())) == (2, 2)  # a job that waited sends no request
    assert {each.json["snapshot"] for each in ended} == set(snapshots(tmp_path / "volume"))
    assert_in_order(tmp_path / "volume")


@pytest.mark.parametrize("share", range(4 if FULL else 1))
def test_job_started_while_another_works_is_not_disturbed(
    hourly: Hourly, other_jobs: WatchedJobs, tmp_path: Path, share: int
) -> None:
    """Before each of its first calls, while it has no lock, another job runs to its end."""
    root = hourly.volume(tmp_path / "undisturbed")
    points = hourly.jobs.watch(root, *run_on(hourly, root), looks=FULL).points()
    early = points[: points.index("flock .lock #1") + 1]
    assert "mkdir .staging/probe.R #1" in early
    for number, point in enumerate(early[share :: 4 if FULL else 1]):
        root = hourly.volume(tmp_path / str(number))
        there = at(point, 1)
        others: list[Result] = []

        def decide(
            call: Call,
            there: Callable[[Call], int] = there,
            root: Path = root,
            others: list[Result] = others,
        ) -> int:
            if there(call):
                others.append(other_jobs.run(*run_on(hourly, root)))
            return GO_ON

        done = hourly.jobs.watch(root, *run_on(hourly, root), decide=decide, looks=FULL).result
        assert [other.code for other in others] == [0], point
        assert done.code == 0, f"{point}: {done.err}"
        assert_in_order(root)


# -- stopped ---------------------------------------------------------------------------------------


def test_job_frozen_while_fetching_is_taken_over(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """As on a sleeping machine: the job wakes up with its klines and must not publish them."""
    exchange = start_exchange(now_ms=HALF_PAST_MS)
    root, options = tmp_path / "volume", options_of(exchange, tmp_path)
    exchange.fault("delay=9s@klines:times=1")  # the response comes after the stop
    with running(tmp_path, 1, *options) as (sleeper,):
        until(exchange.klines, "a request for klines")
        sleeper.process.send_signal(signal.SIGSTOP)
        with running(tmp_path, 2, *options) as others:
            ended = [each.end() for each in others]
            assert [each.code for each in ended] == [0, 0], {each.err for each in ended}
            assert any("waiting" in each.err for each in ended)
        (name,) = snapshots(root)
        assert {each.json["snapshot"] for each in ended} == {name}
        sleeper.process.send_signal(signal.SIGCONT)
        woken = sleeper.end()
    assert_refused(woken, 15, "code 15", str(root), "another job took over")
    assert woken.json["snapshot"] is None
    assert snapshots(root) == [name]
    assert current(root) == name == read_whole(root)
    assert job("run", *options).code == 0
    assert_in_order(root)


def run_on(hourly: Hourly, root: Path, *options: str) -> tuple[object, ...]:
    return ("run", "--config", hourly.config, "--root", root, "--deadline", "2m", *options)


def stopped_at(
    point: str,
    hourly: Hourly,
    root: Path,
    meanwhile: Callable[[], object],
    *,
    behind: bool = False,
    looks: bool = False,
) -> Watched:
    """Stop a job before this call, run ``meanwhile``, and continue the job.

    ``behind``: stop it before the next call instead.
    """
    there = at(point, 1)
    passed = met = False

    def decide(call: Call) -> int:
        nonlocal passed, met
        if not passed and there(call):
            passed = True
            if behind:
                return GO_ON
        if passed and not met and call.by_main:
            met = True
            os.kill(call.pid, signal.SIGSTOP)
            try:
                meanwhile()
            finally:
                os.kill(call.pid, signal.SIGCONT)
        return GO_ON

    watched = hourly.jobs.watch(
        root, *run_on(hourly, root, "--full", "--json"), decide=decide, looks=looks
    )
    assert met, f"it never came by {point}"
    return watched


CLEARING = [("flock .lock #2", True), ("getdents64 .staging #1", False)]


@pytest.mark.parametrize(("point", "behind"), CLEARING if FULL else CLEARING[:1])
def test_job_that_wakes_up_removes_nothing_of_its_successor(
    hourly: Hourly, other_jobs: WatchedJobs, tmp_path: Path, point: str, behind: bool
) -> None:
    """It has just taken the lease and is about to remove leftovers; another job's stage exists."""
    root = hourly.volume(tmp_path / "volume")
    (root / ".staging" / "left").mkdir()
    staged, cleared = threading.Event(), threading.Event()
    taken_over: list[bool] = []

    def wait_when_staged(call: Call) -> int:
        if call.point == "symlink .staging/current.R":
            staged.set()
            assert cleared.wait(HANG_S)
        return GO_ON

    def work() -> Watched:
        return other_jobs.watch(root, *run_on(hourly, root, "--json"), decide=wait_when_staged)

    with ThreadPoolExecutor(1) as pool:
        running_other: list[Future[Watched]] = []

        def take_over() -> None:
            running_other.append(pool.submit(work))
            taken_over.append(staged.wait(STALE_S + 8))

        try:
            woken = stopped_at(point, hourly, root, take_over, behind=behind, looks=True).result
        finally:
            cleared.set()
        other = running_other[0].result(HANG_S).result
    assert other.code == 0, other.err
    assert current(root) == other.json["snapshot"] == read_whole(root)
    if taken_over == [True]:
        assert_refused(woken, 15, "code 15", str(root), "another job took over")
    else:  # it was stopped with a lock that kept the other job out
        assert woken.code == 0, woken.err
    assert hourly.run(root, "--full").code == 0
    assert_in_order(root)


BEFORE_THE_GUARD = [
    "openat .lock #2",
    "mkdir .staging/ID.R #1",
    "openat .staging/ID.R/manifest.json #1",
    "symlink .staging/current.R #1",
    "flock .lock #3",
]


@pytest.mark.parametrize("point", BEFORE_THE_GUARD if FULL else BEFORE_THE_GUARD[1:2])
def test_job_frozen_at_a_call_does_not_publish_over_its_successor(
    hourly: Hourly, other_jobs: WatchedJobs, tmp_path: Path, point: str
) -> None:
    root = hourly.volume(tmp_path / "volume")
    others: list[Result] = []

    def take_over() -> None:
        others.append(other_jobs.run(*run_on(hourly, root, "--json")))

    with reading(root, 0.05) as reader:
        woken = stopped_at(point, hourly, root, take_over).result
    (other,) = others
    assert other.code == 0, other.err
    name = other.json["snapshot"]
    assert_refused(woken, 15, "code 15", str(root), "another job took over")
    assert current(root) == name == reader.seen[-1]
    assert reader.problems == []
    assert len(reader.seen) == 2
    assert hourly.run(root, "--full").code == 0
    assert_in_order(root)


@pytest.mark.parametrize(
    "point",
    ["rename .staging/ID.R #1", "fsync snapshots #1", "rename .staging/current.R #1"]
    if FULL
    else ["rename .staging/current.R #1"],
)
def test_job_frozen_in_the_swap_is_waited_for(
    hourly: Hourly, other_jobs: WatchedJobs, tmp_path: Path, point: str
) -> None:
    """Its next step is unknown at that time; the other job waits and reports that in time."""
    root = hourly.volume(tmp_path / "volume")
    before = current(root)
    others: list[Result] = []

    def wait() -> None:
        for _ in range(2):
            others.append(other_jobs.run(*run_on(hourly, root, "--deadline", "6s")))
            assert read_whole(root) == before

    woken = stopped_at(point, hourly, root, wait)
    for other in others:
        assert_refused(other, 15, "code 15", str(root), f":{woken.calls[0].pid})")
    assert woken.result.code == 0, woken.result.err
    assert woken.result.json["snapshot"] == current(root) != before
    assert_in_order(root)


# -- waiting ---------------------------------------------------------------------------------------


def test_job_whose_wait_fails_exits_in_time_and_names_the_holder(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(now_ms=HALF_PAST_MS)
    root, options = tmp_path / "volume", options_of(exchange, tmp_path)
    exchange.fault("stall@klines")  # and again, until the waiting job is visible
    with running(tmp_path, 1, *options, "--deadline", "1h") as (holder,):
        until(exchange.klines, "a request for klines")
        waiter = job("run", *options, "--deadline", "6s")
        assert holder.process.poll() is None  # the job did not wait for its end
        assert_refused(waiter, 15, "code 15", str(root), f":{holder.process.pid})")
        count = len(exchange.klines())
        exchange.clear_faults()
        assert holder.end().code == 0
    assert len(exchange.klines()) <= count + 1  # all requests are the holder's
    assert_in_order(root)


def test_jobs_with_different_streams_each_publish_their_own(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(now_ms=HALF_PAST_MS)
    root, options = tmp_path / "volume", options_of(exchange, tmp_path)
    exchange.fault("delay=1s@klines")
    wanted = ["BTCUSDT:1h:30", "ETHUSDT:1h:20"]
    with (
        running(tmp_path, 1, *options, "--streams", wanted[0]) as (one,),
        running(tmp_path, 1, *options, "--streams", wanted[1]) as (two,),
    ):
        ended = [one.end(), two.end()]
    assert [each.code for each in ended] == [0, 0], {each.err for each in ended}
    got = [
        [f"{stream['symbol']}:{stream['interval']}:{stream['bar_count']}" for stream in streams]
        for streams in (each.json["manifest"]["streams"] for each in ended)
    ]
    assert got == [[wanted[0]], [wanted[1]]]
    assert set(snapshots(root)) == {each.json["snapshot"] for each in ended}
    first, second = exchange.klines()
    assert second["arrived"] - first["arrived"] > 1000  # one after the other
    assert_in_order(root)
    held = json.loads((root / "current" / "manifest.json").read_text())
    assert held["streams"][0]["symbol"] == second["params"]["symbol"]
