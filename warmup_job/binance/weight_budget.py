"""Request weight: counted before it is spent, corrected by what the exchange says was used.

Binance counts per IP and calendar minute of its own clock, and others behind the same address spend
the same budget. So the larger of two counts is believed: ours, and the exchange's last word plus
what we have under way that it may not have seen.
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
        self._under_way = 0
        self.spent = 0
        """Weight spent by this process since the start."""

    async def spend(self, weight: int) -> int:
        """Wait until ``weight`` fits into the current minute's share, and count it.

        Returns the minute; give it to `settle` when the answer is there, or will never be.
        """
        while True:
            self._roll()
            # A weight above the whole share passes when nothing else was spent: it never would.
            if self._used == 0 or self._used + weight <= self._limit:
                self._used += weight
                self._under_way += weight
                self.spent += weight
                return self._minute
            await asyncio.sleep((MINUTE_MS - self._clock() % MINUTE_MS + 50) / 1000)

    def settle(self, weight: int, minute: int, used: int | None = None) -> None:
        """A request of ``weight`` is over; ``used`` is the exchange's count of its minute."""
        self._under_way -= weight
        self._roll()
        if used is not None and minute == self._minute:
            self._used = max(self._used, used + self._under_way)

    def clock_was_set(self, used: int | None) -> None:
        """The clock jumped to the exchange's, whose count of this minute was just ``used``.

        What was counted by another clock's minute would be forgotten as if that were over.
        """
        self._minute = self._clock() // MINUTE_MS
        self._used = max(self._used, (used or 0) + self._under_way)

    def _roll(self) -> None:
        minute = self._clock() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._used = self._under_way  # sent in the old minute, perhaps counted in the new one
