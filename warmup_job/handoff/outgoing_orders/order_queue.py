"""Orders that wait for the rate limits: stops first, then other exits, entries last. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import msgspec

_SECOND_MS, _MINUTE_MS = 1_000, 60_000
_BINANCE = ((300, 10_000), (1_200, _MINUTE_MS))
"""Binance's own limits for orders, which it rejects above them; the number, and in how many ms:
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info"""


class Urgency(IntEnum):
    """How urgent an order is; the smaller, the more."""

    STOP = 0
    """It closes a position at once or as its stop loss."""
    EXIT = 1
    ENTRY = 2


class OrderRates(msgspec.Struct, frozen=True):
    """How many orders may leave.

    A stop waits for neither rate, only for Binance's own of 300 in ten seconds and 1,200 in a
    minute, because a position without a stop loss risks more than some orders too many.
    Stops count in both rates, so everything else waits until there is room again.

    Args:
        per_second: in any second.
        per_minute: in any minute.
    """

    per_second: int = 5
    per_minute: int = 100


class _Waiting[T](NamedTuple):
    item: T
    orders: int


class OrderQueue[T]:
    """Holds items back until the rates allow them. A fifth of each rate is kept for exits.

    Args:
        rates: how many orders may leave.
    """

    def __init__(self, rates: OrderRates) -> None:
        self._rates = rates
        self._waiting: dict[Urgency, deque[_Waiting[T]]] = {each: deque() for each in Urgency}
        self._left_ms: deque[int] = deque()  # one for each order of the last minute

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, item: T, urgency: Urgency, orders: int = 1) -> None:
        """Add an item behind those of its urgency.

        Args:
            item: what waits.
            urgency: how urgent it is.
            orders: how many orders it is.
        """
        self._waiting[urgency].append(_Waiting(item, orders))

    def take(self, now_ms: int) -> list[T]:
        """Remove and return the items that may leave now, in the order in which they leave.

        Args:
            now_ms: the time; as all times here, ms of one monotonic clock.
        """
        taken: list[T] = []
        for urgency in Urgency:
            line = self._waiting[urgency]
            while line and self._may_leave_ms(urgency, line[0].orders, now_ms) <= now_ms:
                item, orders = line.popleft()
                self.note(now_ms, orders)
                taken.append(item)
            if line:
                break  # nothing less urgent overtakes what waits
        return taken

    def next_ms(self, now_ms: int) -> int | None:
        """Return when `take` has the next item; None: nothing waits."""
        for urgency, line in self._waiting.items():
            if line:
                return self._may_leave_ms(urgency, line[0].orders, now_ms)
        return None

    def note(self, now_ms: int, orders: int = 1) -> None:
        """Count orders that leave without waiting."""
        self._left_ms.extend([now_ms] * orders)

    def remove(self, condition: Callable[[T], bool]) -> list[T]:
        """Remove and return the items that meet a condition."""
        removed: list[T] = []
        for urgency, line in self._waiting.items():
            removed += [each.item for each in line if condition(each.item)]
            self._waiting[urgency] = deque(each for each in line if not condition(each.item))
        return removed

    def _may_leave_ms(self, urgency: Urgency, orders: int, now_ms: int) -> int:
        while self._left_ms and self._left_ms[0] <= now_ms - _MINUTE_MS:
            self._left_ms.popleft()
        windows = [*_BINANCE]
        if urgency != Urgency.STOP:
            windows += [
                (self._rates.per_second, _SECOND_MS), (self._rates.per_minute, _MINUTE_MS)
            ]  # fmt: skip
        at_ms = now_ms
        for rate, window_ms in windows:
            most = rate - rate // 5 if urgency == Urgency.ENTRY else rate
            at_ms = max(at_ms, self._free_ms(most, window_ms, orders, now_ms))
        return at_ms

    def _free_ms(self, most: int, window_ms: int, orders: int, now_ms: int) -> int:
        """Return when a window has room for so many orders, or is empty."""
        room_for = max(most - orders, 0)  # as many may have left within the window
        if len(self._left_ms) <= room_for:
            return now_ms
        return max(now_ms, self._left_ms[-1 - room_for] + window_ms)
