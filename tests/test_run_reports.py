"""When a run's report is due."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from tests.support.grid_reports import GRID, HELD, NOTHING
from warmup_job.handoff.reporting.report import GridReport
from warmup_job.handoff.run_reports import RunReports
from warmup_job.handoff.run_state import RunState


class Grid:
    """A strategy whose position has a stop loss, or not."""

    def __init__(self) -> None:
        self.now = GRID

    def figures(self) -> GridReport:
        return self.now


def test_report_is_due_while_something_is_unprotected_and_once_when_it_is_not() -> None:
    """Or a notice would wait for the next report, which comes every five seconds."""
    grid = Grid()
    made: Any = (grid,)
    nothing: Any = None
    streams: Any = SimpleNamespace(streams={})
    reports = RunReports("live", RunState(0, 0), made, streams, nothing)
    covered = GridReport(
        **{name: getattr(GRID, name) for name in GRID.__struct_fields__}
        | {"books": {"LONG": NOTHING}}
    )
    assert HELD.unprotected > Decimal(0)
    due = []
    for figures in (covered, GRID, GRID, covered, covered):
        grid.now = figures
        reports.make(None, "trading", None, None, trading=True)  # somebody looks at the page
        due.append(reports.look_at_stops())
    assert due == [False, True, True, True, False]
