"""What funding will cost, and how much of the paying side is worth it: pure."""

from __future__ import annotations

from decimal import Decimal

from warmup_job.hedge_grid.ladder import BOOKS, BPS, Book

_INTERVAL_NS = 8 * 3600 * 1_000_000_000  # Binance's usual time between two payments
_MINUTE_NS = 60 * 1_000_000_000


def funding_cost_bps(rate: Decimal, next_ns: int, now_ns: int, window_minutes: int) -> Decimal:
    """What the payments within the window cost a long position, bps of its notional.

    Negative: longs are paid, and shorts pay. Times in ns since the epoch.
    """
    ahead_ns = window_minutes * _MINUTE_NS - max(next_ns - now_ns, 0)
    payments = 0 if ahead_ns < 0 else 1 + ahead_ns // _INTERVAL_NS
    return rate * BPS * payments


def size_factors(long_cost_bps: Decimal, max_cost_bps: Decimal) -> dict[Book, Decimal]:
    """What part of its quantities each book may have.

    The side that is paid has all of it; the paying side all up to half of what it may cost, none
    from there on that it costs the whole, and in between evenly less.
    """
    paying: Book = "LONG" if long_cost_bps > 0 else "SHORT"
    cost = abs(long_cost_bps)
    if cost == 0:
        share = Decimal(1)
    elif cost >= max_cost_bps:
        share = Decimal(0)
    else:
        share = min(Decimal(1), 2 * (1 - cost / max_cost_bps))
    return {book: share if book == paying else Decimal(1) for book in BOOKS}
