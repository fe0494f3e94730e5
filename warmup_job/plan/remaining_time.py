"""Estimate when a download is done, from the weight budget and the pages that are left. Pure."""

from __future__ import annotations

from math import ceil

_ROUND_TRIP_S, PAGES_AT_ONCE = 0.1, 16


def remaining_s(
    *, weight: float, pages: float, room: int, budget: int, minute_left_s: float
) -> float:
    """Return how long the rest of a download takes, 100 ms away from Binance, in seconds.

    The weight that fits into this minute's budget is spent at once; each further minute has the
    whole budget.

    Args:
        weight: Request weight of the pages that are left.
        pages: How many pages are left.
        room: Weight that may still be spent in this minute.
        budget: Weight that may be spent per minute.
        minute_left_s: How long this minute lasts, on the exchange's clock.
    """
    waits_s = 0.0
    if weight > room:
        waits_s = minute_left_s + 60.0 * max(0, ceil((weight - room) / budget) - 1)
    in_last_minute = pages if not waits_s else pages * min(1.0, budget / weight)
    return waits_s + _ROUND_TRIP_S * ceil(in_last_minute / PAGES_AT_ONCE)
