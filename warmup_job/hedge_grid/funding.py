"""The expected funding cost, and how much it shrinks the orders of the paying side. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from warmup_job.hedge_grid.ladder import BOOKS, BPS, Book
from warmup_job.market.times import NS_PER_S

# Binance's intervals; 8 h is the usual one, and Binance changes a contract's:
# https://www.binance.com/en/support/faq/introduction-to-binance-futures-funding-rates-360033525031
USUAL_HOURS = 8
_HOURS = (USUAL_HOURS, 4, 2, 1)
_HOUR_NS = 3600 * NS_PER_S
_MINUTE_NS = 60 * NS_PER_S
_AT_ONCE_NS = 5 * _MINUTE_NS


class FundingInterval(msgspec.Struct):
    """The time between two funding payments of one contract.

    Binance states it in ``/fapi/v1/fundingInfo``. When it changes, the mark price stream shows it:
    right after a payment, the next one is due in one interval. Without both, it is the longest
    interval whose payments, counted from midnight UTC, include the next one.
    """

    _hours: int | None = None
    _next_ns: int = 0

    def learn(self, hours: int) -> None:
        """Take the interval that Binance states."""
        self._hours = hours

    def observe(self, next_ns: int, now_ns: int) -> None:
        """Take the due time of the next payment from a mark price update.

        Args:
            next_ns: When the next payment is due, Unix ns.
            now_ns: The time of the update, Unix ns.
        """
        before, self._next_ns = self._next_ns, next_ns
        # If updates were missing, the difference may be several intervals.
        if before and before < next_ns and now_ns - before < _AT_ONCE_NS:
            hours, rest = divmod(next_ns - before, _HOUR_NS)
            if hours in _HOURS and not rest:
                self._hours = hours

    @property
    def hours(self) -> int:
        """The interval in hours."""
        if self._hours is not None:
            return self._hours
        return next(
            (hours for hours in _HOURS if self._next_ns % (hours * _HOUR_NS) == 0), _HOURS[-1]
        )


def funding_cost_bps(
    rate: Decimal, next_ns: int, now_ns: int, window_minutes: int, interval_hours: int
) -> Decimal:
    """Return what a long position pays within the window, in bps of its notional.

    Args:
        rate: The funding rate of the next payment, as a fraction.
        next_ns: When that payment is due, Unix ns.
        now_ns: The time now, Unix ns.
        window_minutes: How far ahead payments count.
        interval_hours: The time between two payments. The rate counts for each of them.

    Returns:
        A negative number if longs receive funding and shorts pay it.
    """
    ahead_ns = window_minutes * _MINUTE_NS - max(next_ns - now_ns, 0)
    payments = 0 if ahead_ns < 0 else 1 + ahead_ns // (interval_hours * _HOUR_NS)
    return rate * BPS * payments


def size_factors(long_cost_bps: Decimal, max_cost_bps: Decimal) -> dict[Book, Decimal]:
    """Return the factor, 0 to 1, for the order quantities of each book.

    The receiving side keeps its full size. The paying side keeps it up to half of
    ``max_cost_bps``, shrinks linearly beyond that, and gets no entries from ``max_cost_bps`` on.
    """
    paying: Book = "LONG" if long_cost_bps > 0 else "SHORT"
    cost = abs(long_cost_bps)
    if cost == 0:
        factor = Decimal(1)
    elif cost >= max_cost_bps:
        factor = Decimal(0)
    else:
        factor = min(Decimal(1), 2 * (1 - cost / max_cost_bps))
    return {book: factor if book == paying else Decimal(1) for book in BOOKS}


class FundingOutlook:
    """The newest funding rate of one contract, and what it means for the order sizes.

    Args:
        window_minutes: How far ahead payments count.
        max_cost_bps: The cost from which on the paying side gets no entries.
    """

    def __init__(self, window_minutes: int, max_cost_bps: Decimal) -> None:
        self.interval = FundingInterval()
        self._window_minutes = window_minutes
        self._max_cost_bps = max_cost_bps
        self._next: tuple[Decimal, int] | None = None

    def take(self, rate: Decimal, next_ns: int, at_ns: int) -> None:
        """Take a mark price update.

        Args:
            rate: The funding rate of the next payment, as a fraction.
            next_ns: When that payment is due, Unix ns.
            at_ns: The time of the update, Unix ns.
        """
        self._next = rate, next_ns
        self.interval.observe(next_ns, at_ns)

    def size_factors(self, now_ns: int) -> dict[Book, Decimal]:
        """Return the factor for the order quantities of each book; empty if nothing is known."""
        if self._next is None:
            return {}
        cost = funding_cost_bps(*self._next, now_ns, self._window_minutes, self.interval.hours)
        return size_factors(cost, self._max_cost_bps)
