"""Every metric that a trader and a job can expose, with its labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Metric, ProcessCollector

from tests.support.reports import WHOLE
from tests.support.snapshots import ENDPOINT, START, make
from warmup_job.handoff.reporting.metrics import report_metrics
from warmup_job.snapshot.status import Status
from warmup_job.snapshot.volume_metrics import VolumeFigures, volume_metrics

type Exposed = dict[str, frozenset[str]]
"""The names of samples, and the labels of each."""


def labels_of(families: Iterable[Metric]) -> Exposed:
    """Return the labels of these metrics by the names of their samples."""
    return {
        sample.name: frozenset(sample.labels) for family in families for sample in family.samples
    }


def all_metrics(folder: Path) -> Exposed:
    """Return every metric of this project, and those of the process.

    Args:
        folder: where a snapshot is made.
    """
    status = Status(
        START, 0, 0, "", last_success_ms=START, seconds=1.0, weight_spent=1, repeat_every_ms=1
    )
    volume = VolumeFigures(str(folder), status, make(folder).manifest, {ENDPOINT: START})
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return (
        labels_of(report_metrics(msgspec.structs.replace(WHOLE, clock_offset_ms=1)))
        | labels_of(volume_metrics([volume]))
        | labels_of(registry.collect())
    )
