"""The volume fills up, breaks or becomes read-only during a run: one line, and no data loss."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.suite import FULL
from tests.support.volume_trace import GO_ON, KILL, Call, at
from tests.support.volumes import (
    Hourly,
    assert_in_order,
    assert_refused,
    assert_whole,
    current,
    mounted,
    read_whole,
    set_clock,
    snapshots,
)

pytestmark = pytest.mark.e2e


GROWING = [("size", True), ("size", False), ("nr_inodes", True), ("nr_inodes", False)]


@pytest.mark.parametrize(("limit", "holds"), GROWING if FULL else GROWING[:3])
def test_full_volume_grows_until_a_snapshot_fits(
    hourly: Hourly, tmp_path: Path, limit: str, holds: bool
) -> None:
    with mounted(tmp_path / "mount", "size=1m") as mount:
        root, inside = mount.root / "volume", mount.path / "volume"
        hourly.volume(root, holds=holds)
        before = current(root)
        run = ("run", "--config", hourly.config, "--root", inside)
        taken = mount.used_kib() if limit == "size" else sum(1 for _ in mount.root.rglob("*")) + 1
        step = (4 if FULL else 12) if limit == "size" else (1 if FULL else 8)
        unit = "k" if limit == "size" else ""
        failed = 0
        for more in range(step // 3, 1000, step):
            mount.remount(f"{limit}={taken + more}{unit}")
            done = mount.job(*run)
            if done.code == 0 and current(root) != before:
                break
            assert_refused(done, 15, "code 15", str(inside), "No space left on device")
            assert current(root) == before
            assert snapshots(root) == (snapshots(hourly.held) if holds else [])
            if before is not None:
                assert read_whole(root) == before
            staging = root / ".staging"
            assert not staging.exists() or list(staging.iterdir()) == []
            failed += 1
        assert failed >= 2
        assert_in_order(root)
        mount.remount(f"{limit}=1m" if limit == "size" else f"{limit}=1000")
        again = mount.job(*run, "--full")
        assert again.code == 0, again.err
        assert_in_order(root)


# -- errors at any call ----------------------------------------------------------------------------

ERRORS = {
    "write": ("ENOSPC", "EIO"), "pwrite64": ("ENOSPC", "EIO"), "fsync": ("EIO", "ENOSPC"),
    "mkdir": ("ENOSPC", "EROFS"), "openat": ("EROFS", "ENOSPC"), "symlink": ("ENOSPC", "EROFS"),
    "rename": ("ENOSPC", "EROFS"), "flock": ("ENOLCK", "EIO"), "chmod": ("EROFS", "EIO"),
    "fchmod": ("EIO", "EROFS"), "rmdir": ("EIO", "EROFS"), "unlinkat": ("EIO", "EROFS"),
}  # fmt: skip
MOVE, SWAP = "rename .staging/ID.R #1", "rename .staging/current.R #1"
CERTAIN = ["fsync .staging/ID.R/manifest.json #1", MOVE, SWAP, "fsync . #1"]
SHARES = 8 if FULL else 2


@cache
def undisturbed(
    hourly: Hourly, *command: str, holds: bool = True, looks: bool = False
) -> list[str]:
    """Return the calls of such a command on a volume without errors."""
    root = hourly.volume(hourly.config.parent / "undisturbed", holds=holds)
    watched = hourly.jobs.watch(root, *on(hourly, root, *command), looks=looks)
    assert watched.result.code == 0, watched.result.err
    shutil.rmtree(root)
    return watched.points()


def on(hourly: Hourly, root: Path, command: str, *options: str) -> tuple[object, ...]:
    """Return the command's arguments for this volume."""
    if command == "verify":
        return (command, root, *options)
    return (command, "--config", hourly.config, "--root", root, *options)


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("holds", [True, False], ids=["with a snapshot", "empty"])
def test_error_at_any_call_is_one_line_and_loses_nothing(
    hourly: Hourly, tmp_path: Path, holds: bool, share: int
) -> None:
    points = undisturbed(hourly, "run", "--full", holds=holds)
    chosen = [(point, name) for point in points for name in ERRORS[point.split()[0]]]
    if not FULL:
        certain = CERTAIN if holds else []
        chosen = [(point, ERRORS[point.split()[0]][0]) for point in points if point not in certain]
        chosen = [(point, "EIO") for point in certain] + chosen[2 :: 10 if holds else 24]
    for number, (point, name) in enumerate(chosen[share::SHARES]):
        root = hourly.volume(tmp_path / str(number), holds=holds)
        before = current(root)
        code = getattr(errno, name)
        failed = hourly.jobs.watch(root, *on(hourly, root, "run", "--full"), decide=at(point, code))
        where = f"{name} at {point}"
        if points.index(point) <= points.index(SWAP):
            assert_refused(failed.result, 15, str(root), os.strerror(code))
            assert current(root) == before, where
            if points.index(point) <= points.index(MOVE):  # later the stage is complete
                assert snapshots(root) == (snapshots(hourly.held) if holds else []), where
        else:  # the calls after the swap only clean up and sync
            expected = 15 if point == "fsync . #1" else 0
            assert failed.result.code == expected, f"{where}: {failed.result.err}"
            assert "Traceback" not in failed.result.err
            assert current(root) not in {None, before}, where
        for folder in (root / "snapshots").glob("*"):
            assert_whole(folder)
        again = hourly.run(root)
        assert again.code == 0, f"{where}: {again.err}"
        assert_in_order(root)
        shutil.rmtree(root)


def test_full_volume_is_hidden_by_proceed(hourly: Hourly, tmp_path: Path) -> None:
    """A volume that is set up wrong is not hidden (test_warm_up_run)."""
    with mounted(tmp_path / "mount", "size=1m") as mount:
        (mount.root / "volume").mkdir()
        taken = sum(1 for _ in mount.root.rglob("*")) + 1
        mount.remount(f"nr_inodes={taken}")
        run = ("run", "--config", hourly.config, "--root", mount.path / "volume")
        done = mount.job(*run, "--on-failure", "proceed")
        assert done.code == 0, done.err
        assert any("code 15" in line and "No space left" in line for line in done.messages)
        assert mount.job(*run).code == 15


@pytest.mark.parametrize("verdict", [errno.ENOSPC, KILL])
def test_full_volume_while_a_long_history_is_stored_leaves_nothing_behind(
    hourly: Hourly, tmp_path: Path, verdict: int
) -> None:
    """Bars that exceed the memory are spilled to the volume; they are removed in any case."""
    root = hourly.volume(tmp_path / "volume")
    before = current(root)
    ended = hourly.jobs.watch(
        root,
        *on(hourly, root, "run", "--streams", "BTCUSDT:1h:50000"),
        decide=at("write .staging/pages.R/R #40", verdict),
    )
    if verdict == KILL:
        assert ended.died_at is not None
        assert list((root / ".staging").iterdir()) != []
    else:
        assert_refused(ended.result, 15, "code 15", str(root), "No space left on device")
        assert list((root / ".staging").iterdir()) == []
    assert current(root) == before == read_whole(root)
    assert hourly.run(root).code == 0
    assert_in_order(root)


COURTESIES = [
    ("write .staging/status.json.R", "status.json"),
    ("openat .staging/status.json.R", "status.json"),
    ("rename .staging/status.json.R", "status.json"),
    ("write .staging/limits.json.R", "limits.json"),
    ("rename .staging/limits.json.R", "limits.json"),
]


@pytest.mark.parametrize(("point", "name"), COURTESIES)
def test_full_volume_at_an_optional_file_costs_only_that_file(
    hourly: Hourly, tmp_path: Path, point: str, name: str
) -> None:
    """Without status.json and limits.json the snapshot is still published."""
    root = hourly.volume(tmp_path / "volume")
    before, said_before = current(root), (root / "status.json").read_bytes()
    met = []

    def decide(call: Call) -> int:
        if call.point != point:
            return GO_ON
        met.append(call)
        return errno.ENOSPC

    hourly.exchange.fault("429=1@klines:times=1")
    try:
        done = hourly.jobs.watch(root, *on(hourly, root, "run", "--full"), decide=decide).result
    finally:
        set_clock(hourly.exchange, None)
    assert met, "it was not written at all"
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert current(root) != before
    if name == "status.json":
        assert (root / "status.json").read_bytes() == said_before  # the last one, complete
    else:
        assert not (root / "limits.json").exists()
    assert_in_order(root)


def test_lease_is_held_although_its_heartbeat_cannot_be_written(
    hourly: Hourly, tmp_path: Path
) -> None:
    """If even rewriting the file in place fails, the lock still identifies the holder."""
    root = hourly.volume(tmp_path / "volume")
    before, beats = current(root), []

    def decide(call: Call) -> int:
        if call.path == ".lease" and call.name == "pwrite64" and not call.by_main:
            beats.append(call)
            return errno.ENOSPC
        return GO_ON

    hourly.exchange.fault("delay=3s@klines:times=1")  # longer than a few heartbeats
    try:
        done = hourly.jobs.watch(root, *on(hourly, root, "run", "--full"), decide=decide).result
    finally:
        set_clock(hourly.exchange, None)
    assert beats
    assert done.code == 0, done.err
    assert current(root) != before
    assert_in_order(root)


# -- read errors -----------------------------------------------------------------------------------

READING = {"read", "pread64", "openat", "open", "newfstatat", "stat", "lstat", "getdents64"}


def unreadable(path: str, code: int) -> Callable[[Call], int]:
    """Return the decision to fail every call that reads this path."""

    def decide(call: Call) -> int:
        return code if call.path == path and call.name in READING and call.effect == "look" else 0

    return decide


@pytest.mark.parametrize("name", ["EIO", "EACCES", "ESTALE"])
def test_unreadable_snapshot_is_reported_and_fetched_again(
    hourly: Hourly, tmp_path: Path, name: str
) -> None:
    """Examples: a worn disk, a folder of another user, a lost network volume."""
    code = getattr(errno, name)
    folder = hourly.held / (hourly.held / "current").readlink()
    inside = [path.relative_to(hourly.held).as_posix() for path in [folder, *folder.rglob("*")]]
    assert len(inside) == 10  # the folder; manifest, catalog and data; three steps to each file
    for number, path in enumerate(inside if FULL else inside[len(name) % 3 :: 3]):
        root = hourly.volume(tmp_path / str(number))
        before = current(root)
        verified = hourly.jobs.watch(
            root, "verify", root, "--json", decide=unreadable(path, code), looks=True
        ).result
        assert verified.code == 20, f"{name} at {path}: {verified.err}"
        assert "Traceback" not in verified.err
        assert verified.json["problems"], path
        done = hourly.jobs.watch(
            root, *on(hourly, root, "run"), decide=unreadable(path, code), looks=True
        ).result
        assert done.code == 0, f"{name} at {path}: {done.err}"
        assert current(root) != before
        assert_in_order(root)


@pytest.mark.parametrize("share", range(SHARES))
def test_read_error_at_any_call_is_no_bug(hourly: Hourly, tmp_path: Path, share: int) -> None:
    """The job fetches the bars again, or one line names the volume as the cause."""
    points = [
        point
        for point in undisturbed(hourly, "run", looks=True)
        if point.split()[0] in READING and not point.split()[1].startswith(".staging/ID")
    ]
    assert len(points) > 100
    for number, point in enumerate(points[:: 1 if FULL else 25][share::SHARES]):
        root = hourly.volume(tmp_path / str(number))
        before = current(root)
        done = hourly.jobs.watch(
            root, *on(hourly, root, "run"), decide=at(point, errno.EIO), looks=True
        ).result
        assert done.code in {0, 15}, f"{point}: {done.err}"
        assert "Traceback" not in done.err, point
        if done.code == 0:
            assert current(root) != before, point
            assert_in_order(root)
        else:
            assert_refused(done, 15, "code 15", str(root))
            assert current(root) == read_whole(root), point
            if point != "openat . #1":  # by then the job only syncs the swap
                assert current(root) == before, point
        shutil.rmtree(root)
