"""Lock files by flock: the kernel releases the lock when the holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from warmup_job.snapshot.durable import FILE_MODE


def open_lock_file(path: Path, flags: int = 0) -> int:
    """Open ``path`` for locking and create it if it is missing; symbolic links are not followed.

    Args:
        path: The lock file.
        flags: More flags for `os.open`.

    Returns:
        The file descriptor; the caller closes it.

    Raises:
        OSError: The file cannot be opened for writing.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, FILE_MODE)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) != FILE_MODE:
            with suppress(PermissionError):  # the file is another user's, who set its mode
                os.fchmod(handle, FILE_MODE)  # the umask reduces the mode given to open
    except OSError:
        os.close(handle)
        raise
    return handle


def try_lock(handle: int) -> bool:
    """Lock an open file without waiting; return False if another process holds the lock.

    Raises:
        OSError: The file system does not support flock.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
