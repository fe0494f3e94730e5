"""Publish a snapshot: built aside, manifest last, everything on disk, then one rename.

A reader sees the old snapshot or the new one, whole, whatever happens to the writer.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from warmup_job.errors import VolumeError
from warmup_job.snapshot.layout import (
    CATALOG,
    CURRENT,
    MANIFEST,
    SNAPSHOTS,
    STAGING,
    is_snapshot_id,
    snapshot_id,
)
from warmup_job.snapshot.manifest import FileEntry, Manifest, seal

_FOLDER_MODE, _FILE_MODE = 0o775, 0o664  # a group member that is not the writer can read and prune


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: its folder, its id, and the manifest as sealed."""

    folder: Path
    id: str
    manifest: Manifest


def publish(
    root: Path, manifest: Manifest, write_catalog: Callable[[Path], None], keep: int
) -> Published:
    """Build, seal and publish one snapshot under ``root``; the newest ``keep`` stay.

    ``write_catalog`` is given the path of the catalog folder to make. ``manifest.files`` is filled
    in here.

    Raises:
        VolumeError: the volume cannot be written; the snapshot that was current still is.
    """
    name = snapshot_id(manifest.created_at, manifest.content_digest)
    try:
        staging = _make_staging(root, name)
        try:
            write_catalog(staging / CATALOG)
            manifest = msgspec.structs.replace(manifest, files=_settle_files(staging))
            _write_settled(staging / MANIFEST, seal(manifest))
            _settle_folder(staging)
            folder = _move_into_place(staging, root / SNAPSHOTS / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _swap_current(root, name)
        _prune(root, keep, name)
    except OSError as error:
        where = error.filename or root
        raise VolumeError(
            f"the volume {root} cannot be written ({where}: {error.strerror}); "
            "check that it is mounted writable, has space, and belongs to this user's group"
        ) from None
    return Published(folder, name, manifest)


def check_writable(root: Path) -> None:
    """Find out before anything is fetched whether ``root`` can be written.

    Raises:
        VolumeError: it cannot.
    """
    _require_link(root / CURRENT)
    try:
        _make_staging(root, "probe").rmdir()
    except OSError as error:
        raise VolumeError(
            f"the volume {root} cannot be written ({error.strerror}); mount it writable for this "
            "user or its group, or choose another --root"
        ) from None


def _make_staging(root: Path, name: str) -> Path:
    for folder in (root, root / STAGING, root / SNAPSHOTS):
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(_FOLDER_MODE)  # mkdir's mode is cut by the umask
    staging = root / STAGING / f"{name}.{secrets.token_hex(4)}"
    staging.mkdir(mode=_FOLDER_MODE)
    return staging


def _settle_files(folder: Path) -> list[FileEntry]:
    """Hash every file below ``folder`` and see it and its folders onto the disk."""
    entries = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            path.chmod(_FOLDER_MODE)
            _settle_folder(path)
            continue
        path.chmod(_FILE_MODE)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        size = path.stat().st_size
        entries.append(FileEntry(path.relative_to(folder).as_posix(), size, digest))
    return entries


def _write_settled(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(_FILE_MODE)


def _settle_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move_into_place(staging: Path, folder: Path) -> Path:
    if folder.exists():  # the same bars, published in the same second
        return folder
    staging.chmod(_FOLDER_MODE)
    staging.rename(folder)
    _settle_folder(folder.parent)
    return folder


def _require_link(link: Path) -> None:
    if not link.is_symlink() and link.exists():
        raise VolumeError(f"{link} is not a link; move it away, it is not ours to remove")


def _swap_current(root: Path, name: str) -> None:
    link = root / CURRENT
    _require_link(link)
    fresh = root / STAGING / f"{CURRENT}.{secrets.token_hex(4)}"
    fresh.symlink_to(f"{SNAPSHOTS}/{name}")
    fresh.replace(link)
    _settle_folder(root)


def _prune(root: Path, keep: int, current: str) -> None:
    """Remove all but the newest ``keep`` snapshots, never the current one."""
    folders = sorted(
        (path for path in (root / SNAPSHOTS).iterdir() if is_snapshot_id(path.name)), reverse=True
    )
    for folder in folders[keep:]:
        if folder.name != current and stat.S_ISDIR(folder.lstat().st_mode):
            shutil.rmtree(folder, ignore_errors=True)
