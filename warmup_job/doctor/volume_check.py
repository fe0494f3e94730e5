"""Check the permissions and the space of the snapshot volume and of the trader's state folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import NamedTuple

from warmup_job.doctor.finding import Finding, failed, passed, warned
from warmup_job.errors import LiveRefusedError, SnapshotError, VolumeError, WarmupError
from warmup_job.handoff.state_dir import LOCK
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.process.os_errors import cause_of
from warmup_job.snapshot.durable import replace_file
from warmup_job.snapshot.layout import resolve_current
from warmup_job.snapshot.publish import prepare_volume

_MIB = 1024 * 1024
_STATE_BYTES = _MIB
_FEW_ENTRIES = 100
_REMEDY = (
    "mount it writable for this user or its group, or name another one (trade.state_dir, "
    "WARMUP_STATE_DIR)"
)


class Space(NamedTuple):
    """What is free on a file system for this user."""

    free_bytes: int
    free_entries: int | None
    """Files and folders that can still be made (inodes); None: the file system has no limit."""


def check_volume(plan: WarmupPlan) -> Finding:
    """Check that the job can publish: the volume's folders, links, locks, fsync and space.

    It makes the folders that the next run makes anyway. A read-only volume with a snapshot is
    what a trader mounts, so it is a warning only.
    """
    root = plan.root
    try:
        prepare_volume(root)
        space = space_at(root)
    except VolumeError as error:
        if not os.access(root, os.W_OK) and _has_snapshot(root):
            return warned(
                "volume",
                f"{root} has a snapshot and is read-only for this user: this is right for a "
                "trader; a job (`run`) needs to write there",
            )
        return failed("volume", error)
    except OSError as error:
        return failed(
            "volume",
            VolumeError(f"{root} cannot be read ({cause_of(error)}): choose another --root"),
        )
    needed = sum(each.disk_bytes for each in plan.streams) * (plan.keep + 1)
    return judge_space("volume", root, space, needed, VolumeError)


def check_state_dir(folder: Path, *, live: bool) -> Finding:
    """Check that the trader can keep its state; without that, paper trading starts all the same.

    It leaves nothing behind: the folder is not made, and no lock is taken.

    Args:
        folder: ``trade.state_dir``.
        live: Whether the trader sends real orders.
    """
    try:
        there = _nearest(folder)  # it fails in a folder that may not be searched
        trial = there / f".doctor.{secrets.token_hex(4)}"
        replace_file(trial, b"\n", temporary=there)
        trial.unlink()
        lock = folder / LOCK
        if lock.exists() and not os.access(lock, os.R_OK | os.W_OK):
            raise PermissionError(13, "Permission denied", str(lock))
        space = space_at(there)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        line = f"the state folder {folder} cannot be used ({where}{cause_of(error)}): {_REMEDY}"
        return failed("state_dir", LiveRefusedError(line)) if live else warned("state_dir", line)
    return judge_space("state_dir", folder, space, _STATE_BYTES, LiveRefusedError)


def judge_space(
    check: str, folder: Path, space: Space, needed_bytes: int, error: type[WarmupError]
) -> Finding:
    """Judge the free space of a folder.

    Args:
        check: The name of the check.
        folder: The folder, for the text.
        space: What is free there.
        needed_bytes: What is needed.
        error: The class whose exit code a lack of space has.
    """
    free = f"{space.free_bytes / _MIB:.0f} MiB free, {needed_bytes / _MIB:.1f} MiB needed"
    if space.free_bytes < needed_bytes:
        return failed(check, error(f"{folder} is full, {free}: free space, or enlarge it"))
    if space.free_entries is not None and space.free_entries < _FEW_ENTRIES:
        return failed(
            check,
            error(
                f"{folder} can take {space.free_entries} more files (inodes): remove files there"
            ),
        )
    return passed(check, f"{folder} is writable; {free}")


def space_at(folder: Path) -> Space:
    """Return what is free for this user on the file system of ``folder``, which exists.

    Raises:
        OSError: The file system does not say.
    """
    found = os.statvfs(folder)
    entries = found.f_favail if found.f_files else None
    return Space(found.f_bavail * found.f_frsize, entries)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the closest one above it that exists."""
    return next((each for each in (folder, *folder.absolute().parents) if each.exists()), folder)


def _has_snapshot(root: Path) -> bool:
    try:
        resolve_current(root)
    except SnapshotError:
        return False
    return True
