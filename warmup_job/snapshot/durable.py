"""Write files and directories that are on the disk before anything points to them."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from warmup_job.errors import VolumeError

FOLDER_MODE, FILE_MODE = 0o775, 0o664
"""Group members other than the writer can read and prune."""


class HashingFile:
    """A new file that computes its sha256 while it is written; it can only be appended to."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401  # any buffer
        """Append a buffer and return its size in bytes."""
        with memoryview(data) as view:
            self._digest.update(view)
            self.size += self._file.write(view)
            return view.nbytes

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Pass the written bytes to the operating system."""
        self._file.flush()

    def sha256(self) -> str:
        """Return the sha256 of all written bytes, in hex."""
        return self._digest.hexdigest()


@contextmanager
def new_file(path: Path) -> Iterator[HashingFile]:
    """Create a file; on leaving the block its content and mode are on the disk.

    Raises:
        OSError: The file exists already, or it cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        yield HashingFile(file)
        file.flush()
        os.fchmod(handle, FILE_MODE)  # the umask reduces the mode given to open
        os.fsync(handle)


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Read a file without following a symbolic link, and without blocking on a pipe.

    Raises:
        OSError: The file cannot be read, is not a regular file, or is larger than ``max_bytes``.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, "it is too large", str(path))
        return file.read(max_bytes)


def make_directories(folder: Path, inside: Path) -> None:
    """Make ``folder`` and its missing parents below ``inside``, each with `FOLDER_MODE`."""
    if folder != inside and not folder.is_dir():
        make_directories(folder.parent, inside)
        folder.mkdir()
        folder.chmod(FOLDER_MODE)


def fsync_directory(folder: Path) -> None:
    """Fsync a directory, so that its entries are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_tree(top: Path) -> None:
    """Fsync ``top`` and every directory below it."""
    for folder, _, _ in os.walk(top, topdown=False):
        fsync_directory(Path(folder))


def replace_file(path: Path, data: bytes, temporary: Path) -> None:
    """Replace the content of ``path`` by one rename.

    Args:
        path: The file to replace or create.
        data: The new content.
        temporary: The folder, on the same file system, where the new file is written first.

    Raises:
        OSError: The file cannot be written; ``path`` is unchanged.
    """
    fresh = temporary / f"{path.name}.{secrets.token_hex(4)}"
    try:
        with new_file(fresh) as file:
            file.write(data)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    fsync_directory(path.parent)


def volume_error(root: Path, error: OSError) -> VolumeError:
    """Return the `VolumeError` for an error of the operating system: what failed and the remedy."""
    where = f"{error.filename}: " if error.filename else ""
    return VolumeError(
        f"the volume {root} cannot be written ({where}{error.strerror or error}): check that it is "
        "mounted read-write, has free space, and belongs to this user or group, or choose another "
        "--root",
        errno=error.errno,
    )
