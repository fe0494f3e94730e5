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
    what: object = "",
    most_s: float = HANG_S,
    process: Running | None = None,
) -> None:
    """Wait until ``condition()`` is true; fail after ``most_s`` s, or when ``process`` ends."""
    give_up_at = time.monotonic() + most_s
    while not condition():
        assert process is None or process.poll() is None, f"the process ended before: {what}"
        assert time.monotonic() < give_up_at, f"still not: {what}"
        time.sleep(0.02)


async def until_async(condition: Callable[[], object], most_s: float = HANG_S) -> None:
    """Wait until ``condition()`` is true while the event loop runs."""
    async with asyncio.timeout(most_s):
        while not condition():
            await asyncio.sleep(0.01)
