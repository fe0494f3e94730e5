"""A trader's report as text for a person."""

from __future__ import annotations

from collections.abc import Iterator

from warmup_job.handoff.report import Report
from warmup_job.market.times import duration_text, utc_text


def status_lines(report: Report) -> Iterator[str]:
    """Yield the report, one line for each fact.

    Args:
        report: as the trader has just made it.
    """
    why = f": {report.why}" if report.why else ""
    yield f"{report.state}{why}"
    since = duration_text(max(0, report.at_ms - report.since_ms))
    yield f"  since        {utc_text(report.since_ms)} ({since})"
    yield f"  mode         {report.mode}, started {utc_text(report.started_ms)}"
    yield f"  entries      {'may leave' if report.trading else 'are held back'}"
    if report.operator != "trading":
        yield f"  operator     {report.operator}"
    yield f"  open         {report.orders_open} order(s), {report.positions_open} position(s)"
    for stream in report.streams:
        problem = f"; {stream.why_not}" if stream.why_not else ""
        yield f"  {stream.bar_type}: {stream.phase} to {utc_text(stream.contiguous_to_ms)}{problem}"
