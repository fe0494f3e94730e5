"""Request weight: counted before it is spent, corrected by what the exchange says was used.

The budget is per IP and calendar minute, and others behind the same address spend it too, so the
larger of the two counts is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MINUTE_MS = 60_000


class Budget:
    """A share of the venue's weight per minute. ``clock`` returns the exchange's time, UTC ms."""

    def __init__(self, weight_per_minute: int, clock: Callable[[], int]) -> None:
        self._limit = weight_per_minute
        self._clock = clock
        self._minute = -1
        self._used = 0
        self.spent = 0
        """Weight spent by this process since the start."""

    async def spend(self, weight: int) -> None:
        """Wait until ``weight`` fits into the current minute's share, and count it."""
        while True:
            self._roll()
            # A weight above the whole share passes when nothing else was spent: it never would.
            if self._used == 0 or self._used + weight <= self._limit:
                self._used += weight
                self.spent += weight
                return
            await asyncio.sleep((MINUTE_MS - self._clock() % MINUTE_MS + 50) / 1000)

    def observe(self, used: int) -> None:
        """Take over the exchange's own count (X-MBX-USED-WEIGHT-1M) where it is larger."""
        self._roll()
        self._used = max(self._used, used)

    def _roll(self) -> None:
        minute = self._clock() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._used = 0
