"""Why the operating system refused something, in few words."""

from __future__ import annotations

import os
import socket


def cause_of(error: OSError) -> str:
    """Return the cause of an error, such as ``Address already in use``.

    asyncio's errors repeat the address in their text.
    """
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)
