"""Wait for the end of a limit or ban, and say so once for all requests that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

from warmup_job.market.times import duration_text
from warmup_job.process.long_wait import LOG_EVERY_S, sleep_and_log

_MIN_WAIT_S = 1.0


class LimitWait:
    """Log that requests wait: at the start, every 15 s, and at the end.

    Args:
        url: The REST base URL, without credentials.
        every_s: Seconds between two lines.
    """

    def __init__(self, url: str, *, every_s: float = LOG_EVERY_S) -> None:
        self._url = url
        self._every_s = every_s
        self._waiting = 0
        self._log: asyncio.Task[None] | None = None

    async def sleep(self, wait_s: float, reason: str) -> None:
        """Sleep for ``wait_s``; the first request that waits logs the ``reason``."""
        with self._counted(wait_s, reason):
            await asyncio.sleep(wait_s)

    def close(self) -> None:
        """Stop logging."""
        if self._log is not None:
            self._log.cancel()
            self._log = None

    @contextmanager
    def _counted(self, wait_s: float, reason: str) -> Iterator[None]:
        self._waiting += 1
        if self._waiting == 1 and wait_s >= _MIN_WAIT_S:
            logger.warning(
                "{reason}; the next attempt is in {left}",
                event="exchange.limited",
                reason=reason,
                left=_seconds_text(wait_s),
            )
            self._log = asyncio.create_task(self._remind(wait_s), name="limit")
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.close()

    async def _remind(self, wait_s: float) -> None:
        def log(passed_s: float, left_s: float) -> None:
            logger.warning(
                "{endpoint} has limited this IP for {passed}, nothing is sent; the next attempt is "
                "in {left}",
                event="exchange.still_limited",
                endpoint=self._url,
                passed=_seconds_text(passed_s),
                left=_seconds_text(left_s),
            )

        await sleep_and_log(wait_s, log, every_s=self._every_s)


def _seconds_text(seconds: float) -> str:
    return duration_text(max(1, round(seconds)) * 1000)
