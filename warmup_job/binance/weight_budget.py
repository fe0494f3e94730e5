"""Count request weight before a request is sent, and correct it by the exchange's own count.

Binance counts per IP and per calendar minute of its own clock, and other programs behind the same
IP use the same limit. So the budget uses the larger of two counts: ours, and the exchange's last
count plus our requests in flight, which it may not have counted.
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from warmup_job.market.interval import MINUTE_MS


class WeightBudget:
    """A share of the venue's request weight per minute.

    Args:
        weight_per_minute: The share.
        clock: Returns the exchange's time, UTC ms.
    """

    def __init__(self, weight_per_minute: int, clock: Callable[[], int]) -> None:
        self.limit = weight_per_minute
        """The share, weight per minute."""
        self.waiting = 0
        """Requests that wait for the next minute."""
        self._clock = clock
        self._minute = -1
        self._used = 0
        self._in_flight = 0
        self.spent = 0
        """Weight that this process has used since it started."""

    async def spend(self, weight: int) -> int:
        """Wait until ``weight`` fits into the current minute's share, and count it.

        Returns:
            The minute; pass it to `request_ended`.
        """
        while True:
            self._roll()
            # A weight above the whole share is allowed if nothing else was used in this minute;
            # otherwise it would wait forever.
            if self._used == 0 or self._used + weight <= self.limit:
                return self.count(weight)
            self.waiting += 1
            try:
                await asyncio.sleep(self.minute_left_s + 0.05)
            finally:
                self.waiting -= 1

    @property
    def room(self) -> int:
        """Weight that may still be spent in this minute."""
        self._roll()
        return max(0, self.limit - self._used)

    @property
    def minute_left_s(self) -> float:
        """How long this minute lasts on the exchange's clock, in seconds."""
        return (MINUTE_MS - self._clock() % MINUTE_MS) / 1000

    def count(self, weight: int) -> int:
        """Count ``weight`` without waiting, for a request that must not wait for the share.

        Returns:
            The minute; pass it to `request_ended`.
        """
        self._roll()
        self._used += weight
        self._in_flight += weight
        self.spent += weight
        return self._minute

    def request_ended(self, weight: int, minute: int, used: int | None = None) -> None:
        """End a request that was counted, answered or not.

        Args:
            weight: The request's weight.
            minute: What `spend` or `count` returned.
            used: The exchange's count of that minute; None: unknown.
        """
        self._in_flight -= weight
        self._roll()
        if used is not None and minute == self._minute:
            self._used = max(self._used, used + self._in_flight)

    def clock_synced(self, used: int | None) -> None:
        """Keep the count when the clock jumps to the exchange's time.

        Without this the jump would look like a new minute, and the count would start at 0.

        Args:
            used: The exchange's count of the current minute; None: unknown.
        """
        self._minute = self._clock() // MINUTE_MS
        self._used = max(self._used, (used or 0) + self._in_flight)

    def _roll(self) -> None:
        minute = self._clock() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._used = self._in_flight  # the exchange may count them in the new minute
