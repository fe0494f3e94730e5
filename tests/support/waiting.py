"""Wait for a condition instead of a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from tests.support.suite import HANG_S


class Running(Protocol):
    """A process."""

    def poll(self) -> int | None:
        """Return its exit code; None: it still runs."""


def until(
    condition: Callable[[], object],
    what: object | Callable[[], object] = "",
    most_s: float = HANG_S,
    process: Running | None = None,
    look_s: float = 0.02,
) -> None:
    """Wait until ``condition()`` is true; fail after ``most_s`` s, or when ``process`` ends.

    Args:
        condition: what is waited for.
        what: names it in the failure; a function is called only then.
        most_s: how long nothing should take.
        process: whose end is a failure.
        look_s: between two looks.
    """
    give_up_at = time.monotonic() + most_s
    while not condition():
        assert process is None or process.poll() is None, f"the process ended before: {_told(what)}"
        assert time.monotonic() < give_up_at, f"still not: {_told(what)}"
        time.sleep(look_s)


def _told(what: object | Callable[[], object]) -> object:
    return what() if callable(what) else what


async def until_async(condition: Callable[[], object], most_s: float = HANG_S) -> None:
    """Wait until ``condition()`` is true while the event loop runs."""
    async with asyncio.timeout(most_s):
        while not condition():
            await asyncio.sleep(0.01)
