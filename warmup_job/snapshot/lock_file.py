"""Files that are held by flock: the kernel frees the lock when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from warmup_job.snapshot.durable import FILE_MODE


def open_lock_file(path: Path, flags: int = 0) -> int:
    """Open ``path`` for locking, made if it is missing; a symbolic link is not followed.

    Raises:
        OSError: it cannot be opened for writing.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, FILE_MODE)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) != FILE_MODE:
            with suppress(PermissionError):  # another user's, who has set it
                os.fchmod(handle, FILE_MODE)  # the mode that open takes is cut by the umask
    except OSError:
        os.close(handle)
        raise
    return handle


def try_lock(handle: int) -> bool:
    """Lock an open file for this process; False: another one holds it.

    Raises:
        OSError: the file system does not know flock.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
