"""The exchange's own clock: it can start at any moment and then ticks on in real time."""

from __future__ import annotations

import asyncio
import time


class ExchangeClock:
    """UTC ms by the exchange's reckoning, independent of later changes to the machine's clock."""

    def __init__(self, start_ms: int | None = None, skew_ms: int = 0) -> None:
        """Start at ``start_ms`` (default: the machine's time), shifted by ``skew_ms``."""
        origin_ms = time.time() * 1000 if start_ms is None else float(start_ms)
        self._offset_ms = origin_ms + skew_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """The exchange's time now, UTC ms."""
        return int(time.monotonic() * 1000 + self._offset_ms)

    async def sleep_until(self, at_ms: int) -> None:
        """Return once :meth:`now_ms` has reached ``at_ms``."""
        # A sleep may end a little early: the loop is for that, not for polling.
        while (wait_ms := at_ms - (time.monotonic() * 1000 + self._offset_ms)) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_ms / 1000)
