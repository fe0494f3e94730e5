"""Files and folders that are on the disk before anything points to them."""

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
"""A group member that is not the writer can read and prune."""


class HashingFile:
    """A new file that hashes what is written to it; for writers that only ever append."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401  # any buffer
        """Append ``data``."""
        with memoryview(data) as view:
            self._digest.update(view)
            self.size += self._file.write(view)
            return view.nbytes

    def tell(self) -> int:
        """How much was written."""
        return self.size

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def sha256(self) -> str:
        """Of all that was written, in hex."""
        return self._digest.hexdigest()


@contextmanager
def new_file(path: Path) -> Iterator[HashingFile]:
    """A file that must not be there yet; on leaving, its content and mode are on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        yield HashingFile(file)
        file.flush()
        os.fchmod(handle, FILE_MODE)  # the mode that open takes is cut by the umask
        os.fsync(handle)


def read_whole(path: Path, most_bytes: int) -> bytes:
    """The content of a file that may be anything: a link, a pipe and a huge one are not read.

    Raises:
        OSError: it cannot be read, or is no plain file, or larger than ``most_bytes``.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        if found.st_size > most_bytes:
            raise OSError(errno.EFBIG, "it is too large", str(path))
        return file.read(most_bytes)


def new_folders(folder: Path, inside: Path) -> None:
    """Make ``folder`` and what lacks between it and ``inside``, each with our mode."""
    if folder != inside and not folder.is_dir():
        new_folders(folder.parent, inside)
        folder.mkdir()
        folder.chmod(FOLDER_MODE)


def settle_folder(folder: Path) -> None:
    """See the entries of one folder onto the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def settle_folders(top: Path) -> None:
    """See the entries of ``top`` and of every folder below it onto the disk."""
    for folder, _, _ in os.walk(top, topdown=False):
        settle_folder(Path(folder))


def replace_file(path: Path, data: bytes, aside: Path) -> None:
    """Make ``data`` the content of ``path`` by one rename; ``aside``: where it is made first."""
    fresh = aside / f"{path.name}.{secrets.token_hex(4)}"
    try:
        with new_file(fresh) as file:
            file.write(data)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    settle_folder(path.parent)


def volume_error(root: Path, error: OSError) -> VolumeError:
    """An error of the operating system's as the user's: who must act, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    return VolumeError(
        f"the volume {root} cannot be written ({where}{error.strerror or error}): check that it is "
        "mounted writable, has space, and belongs to this user or its group, or choose another "
        "--root",
        errno=error.errno,
    )
