"""The figures that strategies report, and for how long a position has been without a stop."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.reporting.report import GridReport
from warmup_job.handoff.strategy_features import ReportsFigures


def grid_reports(strategies: Iterable[Strategy]) -> tuple[GridReport, ...]:
    """Return the present figures of the strategies that report some."""
    figures = (each.figures() for each in strategies if isinstance(each, ReportsFigures))
    return tuple(
        msgspec.convert(each, GridReport, from_attributes=True)
        for each in figures
        if each is not None
    )


class UnprotectedTime:
    """Measures for how long some quantity has been without a stop loss."""

    def __init__(self) -> None:
        self._since_ms: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether some quantity had no stop loss at the last look."""
        return self._since_ms is not None

    def look(self, grids: Iterable[GridReport], now_ms: int) -> int:
        """Note the present figures, and return the time without a stop until now, ms.

        Args:
            grids: the figures.
            now_ms: when they were made.
        """
        if not any(grid.unprotected for grid in grids):
            self._since_ms = None
            return 0
        if self._since_ms is None:
            self._since_ms = now_ms
        return max(0, now_ms - self._since_ms)
