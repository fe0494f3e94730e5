"""Publish a snapshot: build it in the staging folder, fsync everything, then rename once.

The manifest is written last. A reader sees one complete snapshot, the old one or the new one,
whatever happens to the writer.
"""

from __future__ import annotations

import errno
import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import msgspec

from warmup_job.errors import VolumeError
from warmup_job.snapshot.durable import (
    FOLDER_MODE,
    HashingFile,
    fsync_directory,
    fsync_tree,
    make_directories,
    new_file,
    volume_error,
)
from warmup_job.snapshot.layout import (
    CATALOG,
    CURRENT,
    SNAPSHOTS,
    STAGING,
    created_ms,
    is_snapshot_id,
    snapshot_id,
)
from warmup_job.snapshot.lease import Lease
from warmup_job.snapshot.manifest import FileEntry, Manifest, write_manifest

_UNSUPPORTED = {
    errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.ENOLCK,
}  # fmt: skip

GRACE_MS = 300_000
"""A replaced snapshot is kept for this long, because a reader may still be using it."""

CreateFile = Callable[[str], AbstractContextManager[HashingFile]]
"""Creates a file of the catalog, given its path there; the content is hashed and fsynced."""


class PublishedSnapshot(msgspec.Struct, frozen=True):
    """A published snapshot: its folder, its id, and its manifest."""

    folder: Path
    id: str
    manifest: Manifest


def prepare_volume(root: Path) -> None:
    """Make the volume's folders and check, before the first request, that it can be published to.

    Raises:
        VolumeError: The volume cannot be written, or a file that is not ours is in the way.
    """
    link = root / CURRENT
    try:
        if not root.is_dir():
            root.mkdir(parents=True, exist_ok=True)
            root.chmod(FOLDER_MODE)
        if not link.is_symlink() and link.exists():
            raise VolumeError(
                f"{link} is not a symbolic link, so this job did not make it: move it away"
            )
        for name in (STAGING, SNAPSHOTS):
            if (root / name).is_symlink():
                raise VolumeError(
                    f"{root / name} is a symbolic link and could point anywhere: remove it"
                )
            with suppress(FileExistsError):
                (root / name).mkdir()
                (root / name).chmod(FOLDER_MODE)  # the umask reduces the mode given to mkdir
            if not (root / name).is_dir():
                raise VolumeError(
                    f"{root / name} is not a folder, so this job did not make it: move it away"
                )
        _probe_file_system(root)
    except OSError as error:
        raise volume_error(root, error) from None


def _probe_file_system(root: Path) -> None:
    """Try every file system feature that publishing needs, in a temporary folder."""
    probe = root / STAGING / f"probe.{secrets.token_hex(4)}"
    probe.mkdir()
    try:
        with suppress(FileNotFoundError):  # another job just cleared the staging folder
            with _requires(root, "symbolic links"):
                (probe / "link").symlink_to("nowhere")
            with _requires(root, "file locks (flock)"), (probe / "lock").open("wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with _requires(root, "fsync of directories"):
                fsync_directory(probe)
            shutil.rmtree(probe)
    finally:
        shutil.rmtree(probe, ignore_errors=True)


@contextmanager
def _requires(root: Path, feature: str) -> Iterator[None]:
    """Translate an error that means that the file system lacks ``feature``.

    Raises:
        VolumeError: The file system does not support the feature.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        raise VolumeError(
            f"the file system of {root} does not support {feature} ({error.strerror}), which "
            "snapshots need: use a local disk, an emptyDir, NFS 4 or CephFS for --root"
        ) from None


def clear_staging(lease: Lease) -> None:
    """Remove what killed jobs, and jobs that were taken over, left in the staging folder.

    Raises:
        VolumeError: Another job took the lease over, so the folder's content may be in use.
    """
    with lease.guard():
        for path in (lease.root / STAGING).iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def publish(
    lease: Lease, manifest: Manifest, write_catalog: Callable[[CreateFile], None], keep: int
) -> PublishedSnapshot:
    """Build and publish one snapshot on the lease's volume, and remove old snapshots.

    Args:
        lease: The lease of the volume.
        manifest: The manifest; ``files`` and ``digest`` are filled in here. If the id is taken,
            ``created_at`` moves ahead in whole seconds.
        write_catalog: Writes the catalog's files, each through the given `CreateFile`.
        keep: How many of the newest snapshots stay.

    Raises:
        VolumeError: The volume cannot be written, or another job took over; the current snapshot
            is unchanged.
    """
    root = lease.root
    try:
        manifest = _with_free_id(root, manifest)
        name = snapshot_id(manifest.created_at, manifest.content_digest)
        with _staged(root, name) as staging:
            manifest = msgspec.structs.replace(manifest, files=_write(staging, write_catalog))
            write_manifest(staging, manifest)
            fsync_tree(staging)
            link = staging.with_name(f"{CURRENT}.{secrets.token_hex(4)}")
            link.symlink_to(
                f"{SNAPSHOTS}/{name}"
            )  # before the rename, where a full disk does no harm
            with lease.guard():
                folder = staging.rename(root / SNAPSHOTS / name)
                fsync_directory(folder.parent)
                link.replace(root / CURRENT)
                fsync_directory(root)
        _prune(root, keep, name)
    except OSError as error:
        lease.check_held()  # the successor removed our staging folder: report the takeover
        raise volume_error(root, error) from None
    return PublishedSnapshot(folder, name, manifest)


def snapshots_to_prune(names: Iterable[str], current: str, keep: int, now_ms: int) -> list[str]:
    """Return the ids to remove: old ones that were replaced at least `GRACE_MS` ago.

    Args:
        names: The ids of all snapshots.
        current: The id of the current snapshot.
        keep: How many of the newest snapshots stay; at least 1.
        now_ms: UTC ms.
    """
    ordered = sorted(names, reverse=True)
    return [
        name
        for successor, name in zip(ordered[keep - 1 :], ordered[keep:], strict=False)
        if name != current and created_ms(successor) + GRACE_MS <= now_ms
    ]


def _with_free_id(root: Path, manifest: Manifest) -> Manifest:
    """Return the manifest with ``created_at`` moved ahead until no snapshot has its id."""
    while (root / SNAPSHOTS / snapshot_id(manifest.created_at, manifest.content_digest)).exists():
        manifest = msgspec.structs.replace(manifest, created_at=manifest.created_at + 1000)
    return manifest


@contextmanager
def _staged(root: Path, name: str) -> Iterator[Path]:
    """Make a staging folder; remove it afterwards unless it was renamed."""
    staging = root / STAGING / f"{name}.{secrets.token_hex(4)}"
    make_directories(staging, root / STAGING)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(staging: Path, write_catalog: Callable[[CreateFile], None]) -> list[FileEntry]:
    entries: list[FileEntry] = []
    make_directories(staging / CATALOG, staging)

    @contextmanager
    def create(path: str) -> Iterator[HashingFile]:
        target = staging / CATALOG / path
        make_directories(target.parent, staging)
        with new_file(target) as file:
            yield file
        entries.append(FileEntry(f"{CATALOG}/{path}", file.size, file.sha256()))

    write_catalog(create)
    return sorted(entries, key=lambda entry: entry.path)


def _prune(root: Path, keep: int, current: str) -> None:
    """Remove old snapshots, each by one rename first, so that no reader sees a partial one.

    What cannot be removed now is left to the next run.
    """
    with suppress(OSError):
        folders = (path for path in (root / SNAPSHOTS).iterdir() if is_snapshot_id(path.name))
        names = [path.name for path in folders if not path.is_symlink()]
        for name in snapshots_to_prune(names, current, keep, created_ms(current)):
            removed = root / STAGING / f"{name}.{secrets.token_hex(4)}"
            (root / SNAPSHOTS / name).rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
