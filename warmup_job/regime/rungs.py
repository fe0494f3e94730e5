"""The ladder: the numbers of bars that `bars: auto` may come to."""

from __future__ import annotations

from warmup_job.regime.detector import DetectorSettings

FIRST_PAGE_BARS = 499
"""Fetched to begin with: no futures page is cheaper by the bar, and it mostly is enough."""
_SMALL_RUNGS = (125, 250)


def rungs(settings: DetectorSettings, max_bars: int) -> tuple[int, ...]:
    """The numbers of bars that `bars: auto` may come to, ascending: always the same ladder.

    From what people warm with (`DetectorSettings.least_bars`) to ``max_bars``; from 499 on by
    pages of 499.
    """
    pages = range(FIRST_PAGE_BARS, max_bars, FIRST_PAGE_BARS)
    between = (rung for rung in (*_SMALL_RUNGS, *pages) if settings.least_bars < rung < max_bars)
    last = (max_bars,) if max_bars > settings.least_bars else ()
    return (min(settings.least_bars, max_bars), *between, *last)
