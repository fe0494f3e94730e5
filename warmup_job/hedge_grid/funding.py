"""The expected funding cost, and how much it shrinks the orders of the paying side. Pure."""

from __future__ import annotations

from decimal import Decimal

from warmup_job.hedge_grid.ladder import BOOKS, BPS, Book

# Binance's default; some contracts use 4 h or 1 h:
# https://www.binance.com/en/support/faq/introduction-to-binance-futures-funding-rates-360033525031
_INTERVAL_NS = 8 * 3600 * 1_000_000_000
_MINUTE_NS = 60 * 1_000_000_000


def funding_cost_bps(rate: Decimal, next_ns: int, now_ns: int, window_minutes: int) -> Decimal:
    """Return what a long position pays within the window, in bps of its notional.

    Args:
        rate: The funding rate of the next payment, as a fraction.
        next_ns: When that payment is due, Unix ns.
        now_ns: The time now, Unix ns.
        window_minutes: How far ahead payments count.

    Returns:
        A negative number if longs receive funding and shorts pay it.
    """
    ahead_ns = window_minutes * _MINUTE_NS - max(next_ns - now_ns, 0)
    payments = 0 if ahead_ns < 0 else 1 + ahead_ns // _INTERVAL_NS
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
