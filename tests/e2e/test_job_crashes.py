"""The job dies at every call that touches the volume: readers and the next run are unaffected."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import WITHOUT_NAUTILUS
from tests.support.power_cut import lost_by_a_power_cut
from tests.support.suite import FULL
from tests.support.volume_trace import GO_ON, KILL, Call, Watched, at
from tests.support.volumes import (
    BARS,
    HALF_PAST_MS,
    Hourly,
    Reader,
    assert_in_order,
    assert_whole,
    bars_for_nautilus,
    current,
    read_whole,
    reading,
)

pytestmark = pytest.mark.e2e

BAR_TYPE = "BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL"


@dataclass(frozen=True, slots=True)
class Situation:
    """A killed job's start and options, and at how many points it is killed by default."""

    name: str
    holds: bool
    options: tuple[str, ...]
    spread: int
    """Number of evenly spread points besides the crucial ones."""
    crucial: bool = False

    def __str__(self) -> str:
        return self.name

    def run(self, hourly: Hourly, root: Path) -> tuple[object, ...]:
        return ("run", "--config", hourly.config, "--root", root, *self.options)


SITUATIONS = [
    Situation("fetching anew", True, ("--full",), 8, crucial=True),
    Situation("fetching what is new", True, (), 6),
    Situation("on an empty volume", False, (), 4),
]
SHARES = 12 if FULL else 2


@cache
def undisturbed(situation: Situation, hourly: Hourly, folder: Path) -> Watched:
    """Run the situation without a fault; return its calls."""
    root = hourly.volume(folder / "undisturbed", holds=situation.holds)
    watched = hourly.jobs.watch(root, *situation.run(hourly, root), looks=FULL)
    assert watched.result.code == 0, watched.result.err
    shutil.rmtree(root)
    return watched


def is_crucial(point: str) -> bool:
    """Return whether a call changes names or syncs the manifest."""
    return point.startswith(("rename", "symlink")) or (
        point.startswith("fsync") and "manifest.json" in point
    )


def chosen(situation: Situation, points: list[str]) -> list[str]:
    """Return all points, or the crucial ones and some of the others."""
    if FULL:
        return points
    crucial = [point for point in points if situation.crucial and is_crucial(point)]
    others = [point for point in points if point not in crucial]
    step = len(others) / situation.spread
    return crucial + [others[int((n + 0.5) * step)] for n in range(situation.spread)]


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_job_killed_at_any_call_leaves_a_usable_volume(
    hourly: Hourly, tmp_path: Path, situation: Situation, share: int
) -> None:
    points = undisturbed(situation, hourly, hourly.config.parent).points()
    assert len(points) > 40
    mine = chosen(situation, points)[share::SHARES]
    reads = 0
    for number, point in enumerate(mine):
        root = hourly.volume(tmp_path / str(number), holds=situation.holds)
        before = current(root)
        with reading(root) as reader:
            killed = hourly.jobs.watch(
                root,
                *situation.run(hourly, root),
                decide=at(point, KILL),
                looks=FULL,
            )
            assert killed.died_at is not None, f"never came by {point}"
            assert killed.result.code == -9
            after = hourly.run(root, "--json")
        assert reader.problems == [], point
        assert after.code == 0, f"{point}: {after.err}"
        assert_in_order(root)
        assert after.json["manifest"]["streams"][0]["bar_count"] == BARS
        assert reader.seen[-1] == current(root) != before
        assert len(reader.seen) <= 3  # the old one, that of the killed job, that of the next job
        if not WITHOUT_NAUTILUS:
            assert len(bars_for_nautilus(root, BAR_TYPE)) == BARS
        reads += reader.reads
        shutil.rmtree(root)
    assert reads >= len(mine)


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_reader_finds_a_complete_snapshot_between_any_two_calls(
    hourly: Hourly, tmp_path: Path, situation: Situation
) -> None:
    """A reader that resolved the old snapshot can still read it after the job."""
    root = hourly.volume(tmp_path / "volume", holds=situation.holds)
    before = current(root)
    reader = Reader()

    def read(call: Call) -> int:
        reader.read(root)
        return GO_ON

    watched = hourly.jobs.watch(root, *situation.run(hourly, root), decide=read)
    assert watched.result.code == 0, watched.result.err
    assert reader.problems == []
    assert reader.seen == [*([before] if before else []), current(root)]
    for name in reader.seen:
        assert_whole(root / "snapshots" / name)
    assert_in_order(root)


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_power_cut_loses_nothing_that_readers_can_see(hourly: Hourly, situation: Situation) -> None:
    watched = undisturbed(situation, hourly, hourly.config.parent)
    effects = {call.effect for call in watched.calls}
    assert effects >= {"make", "write", "settle", "move"}  # the trace has the calls to judge
    assert lost_by_a_power_cut(watched.calls) == []


def test_job_that_dies_in_a_heartbeat_is_replaced_at_once(
    hourly: Hourly, start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(now_ms=HALF_PAST_MS)
    root, config = tmp_path / "volume", write_config(tmp_path, exchange.url)
    exchange.fault("delay=9s@klines:times=1")
    run = ("run", "--config", config, "--root", root, "--streams", "BTCUSDT:1h:40")

    def kill_the_heart(call: Call) -> int:
        return GO_ON if call.by_main else KILL

    killed = hourly.jobs.watch(root, *run, decide=kill_the_heart)
    assert killed.died_at is not None
    assert killed.died_at.point == "pwrite64 .lease"
    after = hourly.jobs.run(*run)
    assert after.code == 0, after.err
    assert not any("waiting" in line for line in after.messages)
    assert_in_order(root)


@pytest.mark.parametrize("share", range(SHARES))
def test_job_stopped_by_sigterm_at_any_call_cleans_up(
    hourly: Hourly, tmp_path: Path, share: int
) -> None:
    """At any call, SIGTERM leaves the previous state or the complete new snapshot."""
    situation = SITUATIONS[0]
    points = undisturbed(situation, hourly, hourly.config.parent).points()
    for number, point in enumerate(points[:: 1 if FULL else 12][share::SHARES]):
        root = hourly.volume(tmp_path / str(number))
        before = current(root)
        there = at(point, 1)

        def ask(call: Call, there: Callable[[Call], int] = there) -> int:
            if there(call):
                os.kill(call.pid, signal.SIGTERM)
            return GO_ON

        with reading(root) as reader:
            done = hourly.jobs.watch(root, *situation.run(hourly, root), decide=ask, looks=FULL)
        assert done.result.code in {0, 143}, f"{point}: {done.result.err}"
        assert "Traceback" not in done.result.err, point
        assert reader.problems == [], point
        assert done.result.code == 143 or current(root) != before
        assert list((root / ".staging").iterdir()) == [], point
        assert_in_order(root)
        shutil.rmtree(root)


def test_slow_reader_reads_one_snapshot_to_its_end(hourly: Hourly, tmp_path: Path) -> None:
    """It resolves the link once; two more snapshots are published before it opens a file."""
    root = hourly.volume(tmp_path / "volume")
    folder = (root / "current").resolve()
    for _ in range(2):
        done = hourly.run(root, "--full")
        assert done.code == 0, done.err
    assert_whole(folder)
    assert read_whole(root) != folder.name
