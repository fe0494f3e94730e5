"""Wait for a condition instead of a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.support.suite import HANG_S


def until(condition: Callable[[], object], what: object = "", most_s: float = HANG_S) -> None:
    """Wait until ``condition()`` is true; fail with ``what`` after ``most_s`` seconds."""
    give_up_at = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < give_up_at, f"still not: {what}"
        time.sleep(0.02)


async def until_async(condition: Callable[[], object], most_s: float = HANG_S) -> None:
    """Wait until ``condition()`` is true while the event loop runs."""
    async with asyncio.timeout(most_s):
        while not condition():
            await asyncio.sleep(0.01)
