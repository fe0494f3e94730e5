"""A thread for what waits for the disk, so that a slow volume delays no event."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future


class DiskThread:
    """Does the work that it is given, one after the other, in the order in which it comes.

    The thread starts with the first work. It is a daemon: a write that the disk never ends does
    not keep the process alive.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start[T](self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return what the work will return. Call it on the event loop.

        Args:
            work: is left out if the future is cancelled before its turn comes.
        """
        done: Future[T] = Future()

        def do() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the work
                done.set_exception(error)

        self._work.put(do)
        if not self._thread.is_alive():
            self._thread.start()
        return asyncio.wrap_future(done)

    def _run(self) -> None:
        while True:
            self._work.get()()
