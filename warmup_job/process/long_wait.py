"""Sleep for long, and log a line every 15 s, so that nobody takes the process for dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOG_EVERY_S = 15.0
"""How often a long wait is logged."""


async def sleep_and_log(
    seconds: float, log: Callable[[float, float], object], *, every_s: float = LOG_EVERY_S
) -> None:
    """Sleep, and call ``log`` every ``every_s`` seconds.

    Args:
        seconds: How long to sleep.
        log: Called with the seconds since the start and those that are left.
        every_s: Seconds between two calls.
    """
    started_s = time.monotonic()
    while True:
        passed_s = time.monotonic() - started_s
        left_s = seconds - passed_s
        if passed_s >= every_s and left_s > 0:
            log(passed_s, left_s)
        if left_s <= every_s:
            await asyncio.sleep(max(0.0, left_s))
            return
        await asyncio.sleep(every_s)
