"""Missing, read-only and unexpected volumes: one line, and their content is unchanged."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.suite import FULL
from tests.support.volume_trace import at
from tests.support.volumes import (
    HALF_PAST_MS,
    Hourly,
    assert_in_order,
    assert_refused,
    current,
    mounted,
    read_whole,
    set_clock,
)
from warmup_job.errors import SnapshotError
from warmup_job.snapshot.verify import verify

pytestmark = pytest.mark.e2e


def asked(hourly: Hourly) -> int:
    return len(hourly.exchange.requests())


# -- volumes without write access ------------------------------------------------------------------


@pytest.mark.parametrize("holds", [True, False], ids=["with a snapshot", "empty"])
def test_volume_is_mounted_read_only(hourly: Hourly, tmp_path: Path, holds: bool) -> None:
    """A reader needs no write access; the job's error contains the remedy."""
    with mounted(tmp_path / "mount", "size=1m") as mount:
        root, inside = mount.root / "volume", mount.path / "volume"
        hourly.volume(root, holds=holds)
        before, asked_before = current(root), asked(hourly)
        mount.remount("ro")
        done = mount.job("run", "--config", hourly.config, "--root", inside)
        assert_refused(done, 15, "code 15", str(inside), "Read-only file system", "read-write")
        assert asked(hourly) == asked_before  # detected before any request
        assert current(root) == before
        if holds:
            verified = mount.job("verify", inside)
            assert verified.code == 0, verified.out
            assert read_whole(root) == before


UNSUPPORTED = [
    ("symlink .staging/probe.R/link", "EPERM", "symbolic links"),
    ("symlink .staging/probe.R/link", "EOPNOTSUPP", "symbolic links"),
    ("flock .staging/probe.R/lock", "ENOLCK", "file locks (flock)"),
    ("flock .staging/probe.R/lock", "ENOSYS", "file locks (flock)"),
    ("fsync .staging/probe.R", "EINVAL", "fsync of directories"),
]


@pytest.mark.parametrize(("call", "name", "what"), UNSUPPORTED)
@pytest.mark.parametrize("holds", [True, False], ids=["with a snapshot", "empty"])
def test_volume_lacks_what_publishing_needs(
    hourly: Hourly, tmp_path: Path, call: str, name: str, what: str, holds: bool
) -> None:
    """vfat and some FUSE and network volumes lack it: detected and named before any request."""
    root = hourly.volume(tmp_path / "volume", holds=holds)
    before, asked_before = current(root), asked(hourly)
    code = getattr(errno, name)
    watched = hourly.jobs.watch(
        root, "run", "--config", hourly.config, "--root", root, decide=at(f"{call} #1", code)
    )
    expected = (f"does not support {what} ({os.strerror(code)})", str(root), "code 15")
    assert_refused(watched.result, 15, *expected)
    assert asked(hourly) == asked_before
    assert current(root) == before
    assert list((root / ".staging").iterdir()) == []
    assert hourly.run(root).code == 0
    assert_in_order(root)


def test_volume_parent_folders_are_created(hourly: Hourly, tmp_path: Path) -> None:
    root = tmp_path / "not" / "there" / "yet"
    done = hourly.run(root)
    assert done.code == 0, done.err
    assert_in_order(root)


@pytest.mark.parametrize("where", ["volume", "volume/below"])
def test_volume_path_is_a_file(hourly: Hourly, tmp_path: Path, where: str) -> None:
    (tmp_path / "volume").write_text("mine")
    asked_before = asked(hourly)
    done = hourly.run(tmp_path / where)
    assert_refused(done, 15, "code 15", str(tmp_path / where))
    assert (tmp_path / "volume").read_text() == "mine"
    assert asked(hourly) == asked_before


@pytest.mark.parametrize("name", [".staging", "snapshots", "current", ".lease", ".lock"])
def test_volume_has_a_file_or_folder_in_the_place_of_ours(
    hourly: Hourly, tmp_path: Path, name: str
) -> None:
    """There is a folder in place of a file or link, or a file in place of a folder."""
    root = tmp_path / "volume"
    root.mkdir()
    if name in {".staging", "snapshots"}:
        (root / name).write_text("mine")
    else:
        (root / name).mkdir()
        (root / name / "mine").touch()
    asked_before = asked(hourly)
    done = hourly.run(root)
    assert_refused(done, 15, "code 15", str(root))
    assert (root / name).is_file() or (root / name / "mine").is_file()
    assert asked(hourly) == asked_before


@pytest.mark.parametrize("name", ["status.json", "limits.json"])
def test_volume_has_a_folder_in_the_place_of_an_optional_file(
    hourly: Hourly, tmp_path: Path, name: str
) -> None:
    root = hourly.volume(tmp_path / "volume")
    (root / name).unlink(missing_ok=True)
    (root / name).mkdir()
    done = hourly.run(root)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert_in_order(root)


# -- links that lead out of the volume -------------------------------------------------------------


@pytest.mark.parametrize("name", [".staging", "snapshots"])
def test_volume_linked_folder_is_not_followed(hourly: Hourly, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    root = hourly.volume(tmp_path / "volume")
    (root / name).rename(tmp_path / "was")
    (root / name).symlink_to(outside)
    done = hourly.run(root)
    assert_refused(done, 15, "code 15", str(root / name), "link")
    assert [path.name for path in outside.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["status.json", "limits.json", ".lease", ".lock"])
def test_volume_linked_file_keeps_its_target(hourly: Hourly, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    outside.chmod(0o600)
    root = hourly.volume(tmp_path / "volume")
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(outside)
    if name == "limits.json":  # the job writes it only if there is a limit
        hourly.exchange.fault("429=1@klines:times=1")
    try:
        done = hourly.run(root)
    finally:
        set_clock(hourly.exchange, None)
    assert "Traceback" not in done.err
    assert done.code == (15 if name in {".lease", ".lock"} else 0), done.err
    assert outside.read_text() == "mine"
    assert outside.stat().st_mode & 0o777 == 0o600
    if done.code == 0:
        assert not (root / name).is_symlink()
        assert_in_order(root)


def test_volume_links_among_leftovers_and_snapshots_are_not_followed(
    hourly: Hourly, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "catalog").mkdir(parents=True)
    (outside / "manifest.json").write_text("mine")
    root = hourly.volume(tmp_path / "volume")
    (root / ".staging" / "19700101T000000Z-00000000.00000000").symlink_to(outside)
    (root / ".staging" / "half").mkdir()
    (root / ".staging" / "half" / "way").symlink_to(outside)
    (root / ".staging" / "loop").symlink_to("loop")
    planted = root / "snapshots" / "19700101T000000Z-00000000"
    planted.symlink_to(outside)
    done = hourly.run(root)
    assert done.code == 0, done.err
    assert list((root / ".staging").iterdir()) == []
    assert (outside / "manifest.json").read_text() == "mine"
    assert (outside / "catalog").is_dir()
    planted.unlink(missing_ok=True)
    assert_in_order(root)


TARGETS = ["snapshots/19700101T000000Z-00000000", "current", "snapshots/..", "../outside", "/etc"]


def test_volume_bad_current_link_is_refused_and_replaced(hourly: Hourly, tmp_path: Path) -> None:
    for number, target in enumerate(TARGETS):
        root = hourly.volume(tmp_path / str(number))
        (root / "current").unlink()
        (root / "current").symlink_to(target)
        verified = hourly.jobs.run("verify", root)
        assert verified.code == 20
        assert "Traceback" not in verified.err
        if FULL or number in {0, len(TARGETS) - 1}:
            done = hourly.run(root)
            assert done.code == 0, done.err
            assert_in_order(root)


@pytest.mark.parametrize("place", ["snapshots", "{id}", "{id}/catalog", "{id}/catalog/data/bar"])
def test_volume_reader_is_not_led_outside(hourly: Hourly, tmp_path: Path, place: str) -> None:
    """A folder of the snapshot is a link to an identical folder outside."""
    root = hourly.volume(tmp_path / "volume")
    folder = root / place.format(id=(root / "current").readlink())
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    with pytest.raises(SnapshotError):
        verify(root, now_ms=HALF_PAST_MS)


# -- unexpected content ----------------------------------------------------------------------------


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def deep_and_whole(path: Path) -> None:
    nested = "[" * 100_000 + "]" * 100_000
    path.write_text(f'{{"format_version": 1, "streams": {nested}}}')


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def looping(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD: list[Callable[[Path], object]] = [
    os.mkfifo,
    sparse,
    deep,
    deep_and_whole,
    looping,
    endless,
    Path.mkdir,
    Path.touch,
]


def test_volume_odd_manifest_is_refused_and_replaced(hourly: Hourly, tmp_path: Path) -> None:
    for make in ODD:
        root = hourly.volume(tmp_path / make.__name__)
        manifest = root / (root / "current").readlink() / "manifest.json"
        manifest.unlink()
        make(manifest)
        verified = hourly.jobs.run("verify", root, "--json")
        assert verified.code == 20, verified.err
        assert verified.json["problems"]
        assert verified.json["snapshot"] is None
        assert "Traceback" not in verified.err
        if FULL or make in {os.mkfifo, deep}:
            done = hourly.run(root)
            assert done.code == 0, done.err
            assert read_whole(root) == current(root)


@pytest.mark.parametrize("make", [os.mkfifo, sparse, deep], ids=lambda make: make.__name__)
@pytest.mark.parametrize("names", ["limits.json status.json", ".lease", ".lock"])
def test_volume_odd_file_of_ours_blocks_no_job(
    hourly: Hourly, tmp_path: Path, names: str, make: Callable[[Path], object]
) -> None:
    root = hourly.volume(tmp_path / "volume")
    for name in names.split():
        (root / name).unlink(missing_ok=True)
        make(root / name)
    done = hourly.run(root, "--deadline", "1h")  # which would count as a hang
    assert "Traceback" not in done.err
    if done.code == 15:  # the job reports that it cannot lock the volume
        assert_refused(done, 15, "code 15", str(root))
        assert (names, make) == (".lease", os.mkfifo)
    else:
        assert done.code == 0, done.err
        assert_in_order(root)


def test_volume_odd_catalog_file_is_reported_at_once(hourly: Hourly, tmp_path: Path) -> None:
    root = hourly.volume(tmp_path / "volume")
    (parquet,) = (root / "current" / "catalog" / "data" / "bar").rglob("*.parquet")
    parquet.unlink()
    os.mkfifo(parquet)
    verified = hourly.jobs.run("verify", root, "--json")
    assert verified.code == 20, verified.err
    assert "bytes, not" in json.dumps(verified.json["problems"])
    done = hourly.run(root)
    assert done.code == 0, done.err
    assert read_whole(root) == current(root)
