"""The tasks of a run: the failure of any of them ends the run, and the run's end cancels them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class RunTasks:
    """Starts tasks, and keeps the first error of the run.

    Args:
        on_failure: called with the error of each task that fails.
    """

    failed: asyncio.Future[None]  # from open on

    def __init__(self, on_failure: Callable[[BaseException], object]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: set[asyncio.Task[None]] = set()  # those that help to end in order

    def open(self) -> None:
        """Begin the run, on the event loop."""
        self.failed = asyncio.get_running_loop().create_future()

    def start(
        self, work: Coroutine[Any, Any, None], name: str, *, to_the_end: bool = False
    ) -> asyncio.Task[None]:
        """Run a coroutine as a task.

        Args:
            work: the coroutine.
            name: of the task.
            to_the_end: whether `cancel` leaves it running, until `cancel_last`.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        if to_the_end:
            self._last.add(task)
        task.add_done_callback(self._ended)
        return task

    def fail(self, error: BaseException) -> None:
        """End the run with an error; only the first one counts."""
        if not self.failed.done():
            self.failed.set_exception(error)

    @property
    def error(self) -> BaseException | None:
        """What has ended the run; None: no failure has."""
        ended = self.failed.done() and not self.failed.cancelled()
        return self.failed.exception() if ended else None

    def cancel(self) -> None:
        """Cancel the tasks, except those that go on to the end. A later error is ignored."""
        for task in self._tasks - self._last:
            task.cancel()
        self.failed.cancel()

    def cancel_last(self) -> None:
        """Cancel the tasks that went on to the end."""
        for task in self._last:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        self._last.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error)
