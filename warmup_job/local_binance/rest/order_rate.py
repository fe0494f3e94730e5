"""The limits on orders per account: 300 in ten seconds and 1,200 in a minute.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info ("Order Rate
Limits"). The intervals are those of the clock, as for request weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

_ORDERS = frozenset({"/fapi/v1/order", "/fapi/v1/algoOrder"})
_BATCHES = "/fapi/v1/batchOrders"
_BATCH_COUNTS = (5, 1)


class _Limit(NamedTuple):
    """One of the two limits."""

    interval: str
    number: int
    most: int

    @property
    def span_ms(self) -> int:
        return self.number * (1000 if self.interval == "SECOND" else 60_000)

    @property
    def header(self) -> str:
        return f"X-MBX-ORDER-COUNT-{self.number}{self.interval[0]}"


_LIMITS = (_Limit("SECOND", 10, 300), _Limit("MINUTE", 1, 1200))


def order_limits() -> list[dict[str, Any]]:
    """Return the limits as exchangeInfo and rateLimit/order print them."""
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": limit.interval,
            "intervalNum": limit.number,
            "limit": limit.most,
        }
        for limit in reversed(_LIMITS)
    ]


def order_counts(method: str, path: str) -> tuple[int, int]:
    """Return what a request counts in ten seconds and in a minute; (0, 0): it is no order."""
    if method == "POST" and path in _ORDERS:
        return 1, 1
    if method == "PUT" and path == "/fapi/v1/order":
        return 1, 1
    if method in ("POST", "PUT") and path == _BATCHES:
        return _BATCH_COUNTS
    return 0, 0


class OrderRate(msgspec.Struct):
    """Counts the account's orders. Times are the exchange's UTC ms."""

    _used: list[tuple[int, int]] = msgspec.field(default_factory=lambda: [(0, 0)] * len(_LIMITS))
    """Start and count of the newest interval of each limit."""

    def charge(self, counts: tuple[int, int], now_ms: int) -> Mapping[str, str]:
        """Count a request, and return the headers that show the counts.

        A refused request is not counted.

        Args:
            counts: From `order_counts`.
            now_ms: The exchange's time.

        Raises:
            ErrorAnswer: 429 with −1015, a limit is exceeded.
        """
        used = [
            (start_ms, before + count)
            for (start_ms, before), count in zip(self._now_used(now_ms), counts, strict=True)
        ]
        for limit, (_, count) in zip(_LIMITS, used, strict=True):
            if count > limit.most:
                raise error_answers.too_many_orders(limit.most, f"{limit.number} {limit.interval}")
        self._used = used
        return {limit.header: str(n) for limit, (_, n) in zip(_LIMITS, used, strict=True)}

    def reset(self) -> None:
        """Forget all orders."""
        self._used = [(0, 0)] * len(_LIMITS)

    def _now_used(self, now_ms: int) -> list[tuple[int, int]]:
        starts = [now_ms // limit.span_ms * limit.span_ms for limit in _LIMITS]
        return [
            (start_ms, count if start_ms == last_ms else 0)
            for start_ms, (last_ms, count) in zip(starts, self._used, strict=True)
        ]
