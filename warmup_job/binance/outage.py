"""Log an outage of the exchange: its start, its duration every 15 s, and its end."""

from __future__ import annotations

import asyncio
import time

from loguru import logger

from warmup_job.market.times import duration_text
from warmup_job.process.long_wait import LOG_EVERY_S

_MIN_OUTAGE_S = 1.0


class Outage:
    """Count the requests that failed and are being retried; above 0 there is an outage.

    Args:
        url: The REST base URL, without credentials.
        every_s: Seconds between two lines.
    """

    def __init__(self, url: str, *, every_s: float = LOG_EVERY_S) -> None:
        self._url = url
        self._every_s = every_s
        self._attempts = 0
        self._next_s = 0.0
        self._failing = 0
        self._since_s = 0.0
        self._logged = False
        self._reminder: asyncio.Task[None] | None = None
        self.reason = ""
        """Why the last request failed; empty: the exchange has answered since."""

    def request_failed(self, reason: str) -> None:
        """Count a request that failed for the first time and will be retried."""
        self._failing += 1
        self.reason = reason
        if self._failing == 1:
            self._since_s = time.monotonic()
            self._attempts = 0
            self._reminder = asyncio.create_task(self._remind(reason), name="outage")

    def attempt_failed(self, wait_ms: int) -> None:
        """Count a failed attempt; the request's next one follows after ``wait_ms``."""
        self._attempts += 1
        self._next_s = time.monotonic() + wait_ms / 1000

    def request_ended(self, *, answered: bool) -> None:
        """Count a failed request as answered, or as given up."""
        self._failing -= 1
        if self._failing:
            return
        self.close()
        if answered:
            self.reason = ""
            if self._logged:
                logger.info(
                    "{endpoint} answers again after {duration}",
                    event="exchange.reachable",
                    endpoint=self._url,
                    duration=self._duration(),
                )
        self._logged = False

    def close(self) -> None:
        """Stop logging."""
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    async def _remind(self, reason: str) -> None:
        await asyncio.sleep(_MIN_OUTAGE_S)  # a shorter failure is not logged
        self._logged = True
        logger.warning(
            "{reason}; retrying until the deadline", event="exchange.unreachable", reason=reason
        )
        while True:
            await asyncio.sleep(self._every_s)
            left_s = max(0.0, self._next_s - time.monotonic())
            logger.warning(
                "{endpoint} unreachable for {duration} ({attempts} failed attempts, the next one "
                "in {next_s} s); still retrying",
                event="exchange.still_unreachable",
                endpoint=self._url,
                duration=self._duration(),
                attempts=self._attempts,
                next_s=round(left_s, 1),
            )

    def _duration(self) -> str:
        return duration_text(round((time.monotonic() - self._since_s) * 1000))
