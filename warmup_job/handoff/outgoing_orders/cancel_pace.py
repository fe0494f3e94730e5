"""When the cancel of an order may leave after the exchange has refused one. Pure.

Several parts of the trader repeat cancels without knowing of each other: the policy for open
orders, the strategy, the operator's flatten and the end of the run. The exchange counts every
request, and too many of them get the whole IP limited, so that no stop loss leaves either. So there
is one book of what was refused, and whoever cancels an order keeps its pace.
"""

from __future__ import annotations

import msgspec

from warmup_job.binance.order_rejections import rejection_code, rejection_error
from warmup_job.binance.retry import wait_ms
from warmup_job.binance.unknown_outcome import NO_SUCH_ORDER, NOT_CANCELLED
from warmup_job.errors import ExchangeUnreachableError, RateLimitedError

_UNKNOWN_ORDER = frozenset({NO_SUCH_ORDER, NOT_CANCELLED})
_FOREVER_MS = 10**12  # cancels are repeated without a deadline


def cancel_wait_ms(reason: str, refusals: int, unix_ms: int, jitter: float) -> int:
    """Return the wait before an order's next cancel, in ms: those of requests for klines.

    A limit or ban of this IP is waited for. An order that the exchange does not know is about to
    be accepted or has just been filled, so its next cancel leaves after the first wait.

    Args:
        reason: Of the refusal.
        refusals: How many cancels of the order in a row were refused, at least 1.
        unix_ms: This machine's clock, Unix ms.
        jitter: A random number in [0, 1).
    """
    error = rejection_error(reason, unix_ms)
    if not isinstance(error, RateLimitedError):
        error = ExchangeUnreachableError(reason)
    attempt = 1 if rejection_code(reason) in _UNKNOWN_ORDER else refusals
    return wait_ms(error, attempt, unix_ms, unix_ms + _FOREVER_MS, jitter) or 0


class _Refused[T](msgspec.Struct):
    reason: str
    refusals: int = 0
    from_ms: int = 0
    kept: T | None = None


class CancelPace[T]:
    """The orders whose cancel was refused, and the cancels that wait for their time.

    All times but those of `refused` are ms of one monotonic clock.
    """

    def __init__(self) -> None:
        self._orders: dict[str, _Refused[T]] = {}

    def __len__(self) -> int:
        """Return how many orders are open although their cancel was refused."""
        return len(self._orders)

    def __contains__(self, order_id: str) -> bool:
        """Return whether an order's cancel was refused, and it has not closed since."""
        return order_id in self._orders

    @property
    def reason(self) -> str:
        """Why the newest of these cancels was refused; empty: there is none."""
        return next((each.reason for each in reversed(self._orders.values())), "")

    def keeps(self, order_id: str) -> bool:
        """Return whether a cancel of this order waits for its time."""
        order = self._orders.get(order_id)
        return order is not None and order.kept is not None

    def may_leave(self, order_id: str, cancel: T, now_ms: int) -> bool:
        """Return whether a cancel may leave now; one that may not is kept, one for each order."""
        order = self._orders.get(order_id)
        if order is None:
            return True
        is_due = now_ms >= order.from_ms
        order.kept = None if is_due else order.kept or cancel
        return is_due

    def refused(
        self, order_id: str, reason: str, now_ms: int, *, unix_ms: int, jitter: float
    ) -> None:
        """Note that the exchange has refused the cancel of an order.

        Args:
            order_id: The order's.
            reason: Of the refusal.
            now_ms: The time.
            unix_ms: This machine's clock, Unix ms.
            jitter: A random number in [0, 1).
        """
        order = self._orders.pop(order_id, None) or _Refused(reason)
        self._orders[order_id] = order  # the newest is the last
        order.reason = reason
        order.refusals += 1
        order.from_ms = now_ms + cancel_wait_ms(reason, order.refusals, unix_ms, jitter)

    def take(self, now_ms: int) -> list[T]:
        """Remove and return the kept cancels whose time has come."""
        taken = []
        for order in self._orders.values():
            if order.kept is not None and now_ms >= order.from_ms:
                taken.append(order.kept)
                order.kept = None
        return taken

    def next_ms(self) -> int | None:
        """Return when the next kept cancel may leave; None: none is kept."""
        waiting = [each.from_ms for each in self._orders.values() if each.kept is not None]
        return min(waiting, default=None)

    def forget(self, order_id: str) -> None:
        """Forget an order that is closed, and its cancel."""
        self._orders.pop(order_id, None)
