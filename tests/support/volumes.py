"""Volumes for fault tests: their content, readers during a run, and checks afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.commands import Result, clean_env
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S, REPO
from tests.support.volume_trace import WatchedJobs
from warmup_job.errors import SnapshotError
from warmup_job.snapshot.verify import verify

BARS = 40
HALF_PAST_MS = 1_780_003_800_000
"""2026-05-28T21:30Z: no hour ends while the tests run, so nothing new closes unless we say so."""

DOCUMENTED = {
    "current",
    "snapshots",
    ".staging",
    "status.json",
    "limits.json",
    "warmup.prom",
    ".lease",
    ".lock",
}


@dataclass(frozen=True, slots=True)
class Hourly:
    """An exchange whose clock stands at half past the hour, and a job on 1h klines."""

    exchange: Exchange
    config: Path
    held: Path
    """A volume with the snapshots of one and two hours ago; tests work on copies."""
    jobs: WatchedJobs

    def run(self, root: Path, *options: str) -> Result:
        """Run the job on this volume to its end."""
        return self.jobs.run("run", "--config", self.config, "--root", root, *options)

    def volume(self, path: Path, *, holds: bool = True) -> Path:
        """Return a volume at ``path``: a copy of `held`, or an empty one."""
        if holds:
            shutil.copytree(self.held, path, symlinks=True)
        return path


def set_clock(exchange: Exchange, ahead: str | None) -> None:
    """Set the exchange's clock ahead (``+1h``) or back (``-1h``) from its start, or reset it."""
    request = urllib.request.Request(f"{exchange.url}/_sim/faults", method="DELETE")
    urllib.request.urlopen(request).close()
    if ahead is not None:
        exchange.fault(f"skew={ahead}:for=1h")


def fill(hourly: Hourly) -> None:
    """Publish the snapshots of two hours ago and of one hour ago."""
    for behind in ("-2h", "-1h"):
        set_clock(hourly.exchange, behind)
        done = hourly.run(hourly.held)
        assert done.code == 0, done.err
    set_clock(hourly.exchange, None)


def read_whole(root: Path) -> str:
    """Read the current snapshot like a foreign reader, down to the rows; return its id.

    Raises:
        AssertionError, OSError, ValueError: the snapshot is incomplete.
    """
    folder = root / (root / "current").readlink()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        raw = (folder / entry["path"]).read_bytes()
        assert hashlib.sha256(raw).hexdigest() == entry["sha256"], entry["path"]
    for stream in manifest["streams"]:
        (parquet,) = (folder / "catalog" / "data" / "bar" / stream["bar_type"]).iterdir()
        assert pq.ParquetFile(parquet).read(use_threads=False).num_rows == stream["bar_count"]
    return folder.name


def bars_for_nautilus(root: Path, bar_type: str) -> list[Any]:
    """Read the current snapshot's bars by Nautilus' own reader, as its users do."""
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    catalog = ParquetDataCatalog(str(root / "current" / "catalog"))
    return list(catalog.bars(bar_types=[bar_type]))


@dataclass(slots=True)
class Reader:
    """Snapshots that a repeated reader saw."""

    reads: int = 0
    seen: list[str] = field(default_factory=list)
    """The ids, in the order in which they appeared."""
    problems: list[str] = field(default_factory=list)

    def read(self, root: Path) -> None:
        """Verify and read once. An empty volume is valid until the first snapshot appears."""
        if not self.seen and not (root / "current").is_symlink():
            return
        try:
            verified = verify(root, now_ms=HALF_PAST_MS).folder.name
            name = read_whole(root)
        except (SnapshotError, AssertionError, OSError, ValueError) as error:
            self.problems.append(f"after {self.seen}: {error!r}")
            return
        self.reads += 1
        for each in (verified, name):
            if [each] != self.seen[-1:]:
                self.seen.append(each)


@contextmanager
def reading(root: Path, every_s: float = 0.004) -> Iterator[Reader]:
    """Read ``root`` in a loop during the block, and once more at its end."""
    reader, done = Reader(), threading.Event()

    def read() -> None:
        while not done.wait(every_s):
            reader.read(root)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reader
    finally:
        done.set()
        thread.join()
    reader.read(root)


def assert_in_order(root: Path) -> None:
    """Assert that a volume has only complete snapshots and the documented files."""
    assert {path.name for path in root.iterdir()} <= DOCUMENTED
    assert list((root / ".staging").iterdir()) == []
    assert (root / "current").readlink().parts[0] == "snapshots"
    verify(root, now_ms=HALF_PAST_MS)
    for folder in (root / "snapshots").iterdir():
        assert_whole(folder)


def assert_whole(folder: Path) -> None:
    """Assert that a snapshot's folder has exactly the files of its manifest."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    there = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    there.pop("manifest.json")
    assert there == listed, folder.name


def snapshots(root: Path) -> list[str]:
    """Return the ids of the existing snapshots, oldest first."""
    return sorted(path.name for path in root.glob("snapshots/*"))


def current(root: Path) -> str | None:
    """Return the id of the current snapshot, or None."""
    link = root / "current"
    return link.readlink().name if link.is_symlink() else None


def assert_refused(result: Result, code: int, *words: str) -> None:
    """Assert that a command exited with this code and logged the reason in one line."""
    assert result.code == code, result.err
    assert "Traceback" not in result.err + result.out
    lines = [line for line in result.messages if all(word in line for word in words)]
    assert len(lines) == 1, result.err


@dataclass(frozen=True, slots=True)
class Mount:
    """A small file system at ``path``, visible to processes that are started in it."""

    path: Path
    keeper: int
    """The process that holds the mount."""

    @property
    def root(self) -> Path:
        """Return the file system's content, as seen from outside."""
        return Path(f"/proc/{self.keeper}/root{self.path}")

    def job(self, *arguments: object) -> Result:
        """Run ``warmup-job`` to its end inside the mount."""
        done = self._inside([sys.executable, "-m", "warmup_job", *map(str, arguments)])
        return Result(done.returncode, done.stdout, done.stderr)

    def remount(self, options: str) -> None:
        """Change the file system's size, or whether it is writable."""
        done = self._inside(["mount", "-o", f"remount,{options}", str(self.path)])
        assert done.returncode == 0, done.stderr

    def used_kib(self) -> int:
        """Return the used space, KiB."""
        found = os.statvfs(self.root)
        return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024

    def _inside(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "-t", str(self.keeper), "-U", "-m", "--preserve-credentials"]
        return subprocess.run(
            [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(REPO), *command],
            env=clean_env(), capture_output=True, text=True, timeout=HANG_S, check=False,
        )  # fmt: skip


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Mount]:
    """Mount a private tmpfs at ``path``; skip where the kernel does not allow it."""
    path.mkdir()
    mount = 'mount -t tmpfs -o "$1" none "$0" && echo done && exec cat'
    with subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", mount, str(path), options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as keeper:  # fmt: skip
        assert keeper.stdout is not None
        output = keeper.stdout.readline().strip()
        if output != "done":
            assert not os.environ.get("CI"), f"a tmpfs cannot be mounted here: {output}"
            pytest.skip(f"a tmpfs cannot be mounted here: {output}")
        yield Mount(path, keeper.pid)
        assert keeper.stdin is not None
        keeper.stdin.close()
