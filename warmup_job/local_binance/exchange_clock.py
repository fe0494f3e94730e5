"""The exchange's clock: it starts at a given time and runs in real time or faster."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 0.1  # how often a sleeping task checks whether the clock was set


class ExchangeClock:
    """The exchange's time in UTC ms, independent of later changes to the machine's clock.

    Args:
        start_ms: The time at the start, UTC ms; None: the machine's time.
        skew_ms: Added to ``start_ms``.
        shift_ms: Returns by how many ms the clock is set ahead at the moment.
        speed: Seconds of the exchange per second of the machine.
    """

    def __init__(
        self,
        start_ms: int | None = None,
        skew_ms: int = 0,
        shift_ms: Callable[[], int] = lambda: 0,
        speed: float = 1.0,
    ) -> None:
        self._shift_ms = shift_ms
        self._speed = speed
        origin_ms = time.time() * 1000 if start_ms is None else float(start_ms)
        self._origin_ms = origin_ms + skew_ms
        self._started_s = time.monotonic()

    def now_ms(self) -> int:
        """Return the exchange's time, UTC ms."""
        return int(self._now())

    async def sleep_until(self, at_ms: int) -> None:
        """Return once :meth:`now_ms` has reached ``at_ms``, or when the clock was set meanwhile."""
        shift_ms = self._shift_ms()
        # A sleep may end early, and no event reports that the clock was set.
        while self._shift_ms() == shift_ms and (wait_ms := at_ms - self._now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(wait_ms / 1000 / self._speed, _LOOK_S))

    def _now(self) -> float:
        passed_s = time.monotonic() - self._started_s
        return self._origin_ms + passed_s * 1000 * self._speed + self._shift_ms()
