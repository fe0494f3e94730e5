"""The unix socket in `trade.state_dir` by which an operator talks to the trader.

A socket's path may have at most 107 bytes. `/proc/self/fd` makes any folder's path short.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = ".trader.sock"
_MODE = 0o600


@contextmanager
def _folder_handle(folder: Path) -> Iterator[str]:
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


@contextmanager
def listening_socket(folder: Path) -> Iterator[socket.socket]:
    """Make a listening socket in the folder, which only this user can connect to.

    The trader holds the folder's lock, so a socket that is there already is a dead trader's.

    Raises:
        OSError: the folder's file system takes no sockets, or is not writable.
    """
    with suppress(FileNotFoundError):
        (folder / SOCKET).unlink()
    # asyncio looks the socket's name up later, so it must stay valid.
    with _folder_handle(folder) as short, socket.socket(socket.AF_UNIX) as made:
        os.fchmod(made.fileno(), _MODE)  # before it has a name, so that it is never wider
        made.bind(f"{short}/{SOCKET}")
        made.listen()
        made.setblocking(False)
        try:
            yield made
        finally:
            with suppress(OSError):
                (folder / SOCKET).unlink()


def connect_socket(folder: Path) -> socket.socket:
    """Return a connection to the trader of the folder.

    Raises:
        OSError: there is no folder or socket, no trader listens, or another user owns it.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _folder_handle(folder) as short:
            made.connect(f"{short}/{SOCKET}")
    except OSError:
        made.close()
        raise
    return made


def peer_of(connection: socket.socket) -> str:
    """Return who is at the other end, for the log: its user id and process id."""
    form = "iII"  # struct ucred of unix(7)
    credentials = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(form)
    )
    pid, uid, _ = struct.unpack(form, credentials)
    return f"uid {uid}, pid {pid}"
