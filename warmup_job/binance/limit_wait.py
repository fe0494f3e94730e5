"""Wait for the end of a limit or ban, and say so once for all requests that wait for it."""

from __future__ import annotations

import asyncio
import time

from loguru import logger

from warmup_job.market.times import duration_text
from warmup_job.process.long_wait import LOG_EVERY_S

_MIN_WAIT_S = 1.0


class LimitWait:
    """Log that requests wait: once at the start, and every 15 s while one of them waits.

    Args:
        url: The REST base URL, without credentials.
        every_s: Seconds between two lines.
    """

    def __init__(self, url: str, *, every_s: float = LOG_EVERY_S) -> None:
        self._url = url
        self._every_s = every_s
        self._waiting = 0
        self._end_s = 0.0
        self._reminder: asyncio.Task[None] | None = None

    async def sleep(self, wait_s: float, reason: str) -> None:
        """Sleep for ``wait_s``; the first request that waits for long logs the ``reason``."""
        self._end_s = max(self._end_s, time.monotonic() + wait_s)
        if self._reminder is None and wait_s >= _MIN_WAIT_S:
            logger.warning(
                "{reason}; the next attempt is in {left}",
                event="exchange.limited",
                reason=reason,
                left=_seconds_text(wait_s),
            )
            self._reminder = asyncio.create_task(self._remind(), name="limit")
        self._waiting += 1
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.close()

    def close(self) -> None:
        """Stop logging."""
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    async def _remind(self) -> None:
        since_s = time.monotonic()
        while True:
            await asyncio.sleep(self._every_s)
            now_s = time.monotonic()
            logger.warning(
                "{endpoint} has limited this IP for {passed}, nothing is sent; the next attempt is "
                "in {left}",
                event="exchange.still_limited",
                endpoint=self._url,
                passed=_seconds_text(now_s - since_s),
                left=_seconds_text(self._end_s - now_s),
            )


def _seconds_text(seconds: float) -> str:
    return duration_text(max(1, round(seconds)) * 1000)
