"""The exchange's own clock: it starts at any moment and ticks on, in real time or faster."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 0.1  # how often a sleeper looks whether the clock was set


class ExchangeClock:
    """UTC ms by the exchange's reckoning, independent of later changes to the machine's clock."""

    def __init__(
        self,
        start_ms: int | None = None,
        skew_ms: int = 0,
        shift_ms: Callable[[], int] = lambda: 0,
        speed: float = 1.0,
    ) -> None:
        """Start at ``start_ms`` (default: the machine's time), shifted by ``skew_ms``.

        ``shift_ms`` says by how much more the clock is ahead at the moment: it can be set.
        ``speed`` is how many of its seconds pass in one of the machine's.
        """
        self._shift_ms = shift_ms
        self._speed = speed
        origin_ms = time.time() * 1000 if start_ms is None else float(start_ms)
        self._origin_ms = origin_ms + skew_ms
        self._started_s = time.monotonic()

    def now_ms(self) -> int:
        """The exchange's time now, UTC ms."""
        return int(self._now())

    async def sleep_until(self, at_ms: int) -> None:
        """Return once :meth:`now_ms` has reached ``at_ms``, or when the clock was set meanwhile."""
        shift_ms = self._shift_ms()
        # A sleep may end a little early, or see the clock set: no event tells of either.
        while self._shift_ms() == shift_ms and (wait_ms := at_ms - self._now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(wait_ms / 1000 / self._speed, _LOOK_S))

    def _now(self) -> float:
        passed_s = time.monotonic() - self._started_s
        return self._origin_ms + passed_s * 1000 * self._speed + self._shift_ms()
