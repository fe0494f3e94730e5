"""An exchange that is away: said once, then every 15 s with how long it has been, and its end."""

from __future__ import annotations

import asyncio
import time

from loguru import logger

from warmup_job.market.times import duration_text

_SAY_EVERY_S = 15.0
_SHORT_S = 1.0


class Outage:
    """Counts the requests that have failed and are tried again; there are some: it is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._failing = 0
        self._since_s = 0.0
        self._said = False
        self._reminder: asyncio.Task[None] | None = None
        self.reason = ""
        """Why it was last away; empty: it has answered since."""

    def begins(self, reason: str) -> None:
        """A request has failed for the first time and will be tried again."""
        self._failing += 1
        self.reason = reason
        if self._failing == 1:
            self._since_s = time.monotonic()
            self._reminder = asyncio.create_task(self._remind(reason), name="outage")

    def ends(self, *, answered: bool) -> None:
        """A request that had failed was answered, or is given up."""
        self._failing -= 1
        if self._failing:
            return
        self.close()
        if answered:
            self.reason = ""
            if self._said:
                logger.info("{} answers again after {}", self._url, self._away())
        self._said = False

    def close(self) -> None:
        """Say nothing more."""
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    async def _remind(self, reason: str) -> None:
        await asyncio.sleep(_SHORT_S)  # what passes within a second is no outage
        self._said = True
        logger.warning("{}; asking again until the deadline", reason)
        while True:
            await asyncio.sleep(_SAY_EVERY_S)
            logger.warning("{} has been away for {}; still asking", self._url, self._away())

    def _away(self) -> str:
        return duration_text(round((time.monotonic() - self._since_s) * 1000))
