"""A forked child process: whether it has ended and how, and its end."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

_LOOK_S = 0.02  # between two looks at whether it has ended


class ChildProcess:
    """A child of this process; `poll` or `end` has to collect its exit code.

    Args:
        pid: Its process id.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code (below 0: the signal that killed it); None: it still runs."""
        if self._code is None:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if ended:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self._send(signal.SIGTERM)

    def end(self, most_s: float) -> None:
        """End it by SIGTERM, and by SIGKILL if it still runs after ``most_s`` seconds."""
        self.terminate()
        give_up_at = time.monotonic() + most_s
        while self.poll() is None:
            if time.monotonic() > give_up_at:
                self._send(signal.SIGKILL)
            time.sleep(_LOOK_S)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)


def fork() -> ChildProcess | None:
    """Fork this process and return the child; return None in the child.

    The child goes on as this program and so ends through its main function, which logs errors and
    turns them into exit codes; a multiprocessing.Process would end with a traceback and 1.

    No other thread of this process may hold a lock. Idle ones, as numpy has, do no harm.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # an ignored one would lose the exit code
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or both would write what is in its buffer
    pid = os.fork()
    return ChildProcess(pid) if pid else None
