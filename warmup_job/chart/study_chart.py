"""The chart of a study: wrong and proven starts over the number of bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from warmup_job.chart.html_file import html_file
from warmup_job.regime.detector import DetectorSettings


class StudySeries(msgspec.Struct, frozen=True):
    """The rows of one series, as `warmup-job study --json` prints them."""

    name: str
    rows: Sequence[object]


class StudyChart(msgspec.Struct, frozen=True):
    """What the page shows."""

    detector: DetectorSettings
    series: list[StudySeries]


def study_file(detector: DetectorSettings, tables: Mapping[str, Sequence[object]]) -> str:
    """Return a study as one HTML file.

    Args:
        detector: the detector that was studied.
        tables: `StudyRow`s by the name of their series; the last one is shown first.
    """
    series = [StudySeries(name, rows) for name, rows in tables.items()]
    chart = StudyChart(detector, series)
    return html_file("How many bars are enough? · warmup-job", "study", chart, with_library=False)
