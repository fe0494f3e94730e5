"""Publish a snapshot: built aside, manifest last, everything on disk, then one rename.

A reader sees the old snapshot or the new one, whole, whatever happens to the writer.
"""

from __future__ import annotations

import errno
import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from warmup_job.errors import VolumeError
from warmup_job.snapshot.durable import (
    FOLDER_MODE,
    HashingFile,
    new_file,
    new_folders,
    settle_folder,
    settle_folders,
    volume_error,
)
from warmup_job.snapshot.layout import (
    CATALOG,
    CURRENT,
    MANIFEST,
    SNAPSHOTS,
    STAGING,
    created_ms,
    is_snapshot_id,
    snapshot_id,
)
from warmup_job.snapshot.lease import Lease
from warmup_job.snapshot.manifest import FileEntry, Manifest, seal

_UNSUPPORTED = {
    errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.ENOLCK,
}  # fmt: skip

GRACE_MS = 300_000
"""A snapshot that was replaced less long ago is not removed: somebody may just be reading it."""

Create = Callable[[str], AbstractContextManager[HashingFile]]
"""Opens a new file of the catalog by its path there; what is written to it is hashed and synced."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: its folder, its id, and the manifest as sealed."""

    folder: Path
    id: str
    manifest: Manifest


def prepare_volume(root: Path) -> None:
    """Find out before anything is fetched whether ``root`` can be written, and make its folders.

    Raises:
        VolumeError: it cannot, or something lies there that is not ours.
    """
    link = root / CURRENT
    try:
        if not root.is_dir():
            root.mkdir(parents=True, exist_ok=True)
            root.chmod(FOLDER_MODE)
        if not link.is_symlink() and link.exists():
            raise VolumeError(f"{link} is not a link; move it away, it is not ours to remove")
        for name in (STAGING, SNAPSHOTS):
            if (root / name).is_symlink():
                raise VolumeError(f"{root / name} is a link and could lead anywhere; remove it")
            with suppress(FileExistsError):
                (root / name).mkdir()
                (root / name).chmod(FOLDER_MODE)  # mkdir's mode is cut by the umask
            if not (root / name).is_dir():
                raise VolumeError(f"{root / name} is not a folder; move it away, it is not ours")
        _try_out(root)
    except OSError as error:
        raise volume_error(root, error) from None


def _try_out(root: Path) -> None:
    """Do once what publishing needs of a file system, in a folder of our own."""
    probe = root / STAGING / f"probe.{secrets.token_hex(4)}"
    probe.mkdir()
    try:
        with suppress(FileNotFoundError):  # another job has just cleared the staging folder
            with _needing(root, "symbolic links"):
                (probe / "link").symlink_to("nowhere")
            with _needing(root, "file locks (flock)"), (probe / "lock").open("wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with _needing(root, "fsync of directories"):
                settle_folder(probe)
            shutil.rmtree(probe)
    finally:
        shutil.rmtree(probe, ignore_errors=True)


@contextmanager
def _needing(root: Path, what: str) -> Iterator[None]:
    """Say which of a file system's abilities is missing, where that is what an error means.

    Raises:
        VolumeError: this file system has no such thing.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        raise VolumeError(
            f"the file system of {root} does not support {what} ({error.strerror}), which "
            "snapshots need: use a local disk, an emptyDir, NFS 4 or CephFS for --root"
        ) from None


def clear_leftovers(lease: Lease) -> None:
    """Remove what jobs that were killed, or taken over, have left in the staging folder.

    Raises:
        VolumeError: another job has taken over: what lies there may be its.
    """
    with lease.guard():
        for path in (lease.root / STAGING).iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def publish(
    lease: Lease, manifest: Manifest, write_catalog: Callable[[Create], None], keep: int
) -> Published:
    """Build, seal and publish one snapshot on the lease's volume; the newest ``keep`` stay.

    ``write_catalog`` writes the catalog's files with what it is given. ``manifest.files`` is filled
    in here.

    Raises:
        VolumeError: the volume cannot be written, or another job has taken over; the snapshot that
            was current still is.
    """
    root = lease.root
    try:
        manifest = _with_free_id(root, manifest)
        name = snapshot_id(manifest.created_at, manifest.content_digest)
        with _staged(root, name) as staging:
            manifest = msgspec.structs.replace(manifest, files=_write(staging, write_catalog))
            with new_file(staging / MANIFEST) as file:
                file.write(seal(manifest))
            settle_folders(staging)
            link = staging.with_name(f"{CURRENT}.{secrets.token_hex(4)}")
            link.symlink_to(f"{SNAPSHOTS}/{name}")  # now, while a full disk does no harm
            with lease.guard():
                folder = staging.rename(root / SNAPSHOTS / name)
                settle_folder(folder.parent)
                link.replace(root / CURRENT)
                settle_folder(root)
        _prune(root, keep, name)
    except OSError as error:
        lease.require()  # who was taken over has nowhere to write to any more
        raise volume_error(root, error) from None
    return Published(folder, name, manifest)


def to_prune(names: Iterable[str], current: str, keep: int, now_ms: int) -> list[str]:
    """The ids that may go: not among the newest ``keep``, not current, replaced some time ago."""
    ordered = sorted(names, reverse=True)
    return [
        name
        for successor, name in zip(ordered[keep - 1 :], ordered[keep:], strict=False)
        if name != current and created_ms(successor) + GRACE_MS <= now_ms
    ]


def _with_free_id(root: Path, manifest: Manifest) -> Manifest:
    """The manifest as it is, or a second later: no two snapshots share an id."""
    while (root / SNAPSHOTS / snapshot_id(manifest.created_at, manifest.content_digest)).exists():
        manifest = msgspec.structs.replace(manifest, created_at=manifest.created_at + 1000)
    return manifest


@contextmanager
def _staged(root: Path, name: str) -> Iterator[Path]:
    """A folder of our own to build in; gone afterwards, unless it was moved."""
    staging = root / STAGING / f"{name}.{secrets.token_hex(4)}"
    new_folders(staging, root / STAGING)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(staging: Path, write_catalog: Callable[[Create], None]) -> list[FileEntry]:
    entries: list[FileEntry] = []
    new_folders(staging / CATALOG, staging)

    @contextmanager
    def create(path: str) -> Iterator[HashingFile]:
        target = staging / CATALOG / path
        new_folders(target.parent, staging)
        with new_file(target) as file:
            yield file
        entries.append(FileEntry(f"{CATALOG}/{path}", file.size, file.sha256()))

    write_catalog(create)
    return sorted(entries, key=lambda entry: entry.path)


def _prune(root: Path, keep: int, current: str) -> None:
    """Remove snapshots that nobody needs; each leaves by one rename, so that none is ever half.

    What cannot be removed now is left to the next run.
    """
    with suppress(OSError):
        folders = (path for path in (root / SNAPSHOTS).iterdir() if is_snapshot_id(path.name))
        names = [path.name for path in folders if not path.is_symlink()]
        for name in to_prune(names, current, keep, created_ms(current)):
            aside = root / STAGING / f"{name}.{secrets.token_hex(4)}"
            (root / SNAPSHOTS / name).rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
