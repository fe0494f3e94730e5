"""The ladder: the numbers of bars that `bars: auto` may come to."""

from __future__ import annotations

FIRST_PAGE_BARS = 499
"""Fetched to begin with: no futures page is cheaper by the bar, and it mostly is enough."""
_SMALL_RUNGS = (125, 250)


def rungs(least_bars: int, max_bars: int) -> tuple[int, ...]:
    """The numbers of bars that `bars: auto` may come to, ascending: always the same ladder.

    From ``least_bars`` (of a detector: `DetectorSettings.least_bars`, what people warm with) to
    ``max_bars``; from 499 on by pages of 499.
    """
    pages = range(FIRST_PAGE_BARS, max_bars, FIRST_PAGE_BARS)
    between = (rung for rung in (*_SMALL_RUNGS, *pages) if least_bars < rung < max_bars)
    last = (max_bars,) if max_bars > least_bars else ()
    return (min(least_bars, max_bars), *between, *last)
