"""Every metric that a trader and a job can expose."""

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


def report_families() -> list[Metric]:
    """Return every metric of a trader's report, each with samples."""
    return list(report_metrics(msgspec.structs.replace(WHOLE, clock_offset_ms=1)))


def volume_families(folder: Path) -> list[Metric]:
    """Return every metric of a volume, each with samples.

    Args:
        folder: where a snapshot is made.
    """
    status = Status(
        START, 0, 0, "", last_success_ms=START, seconds=1.0, weight_spent=1, repeat_every_ms=1
    )
    volume = VolumeFigures(str(folder), status, make(folder).manifest, {ENDPOINT: START})
    return list(volume_metrics([volume]))


def all_metrics(folder: Path) -> Exposed:
    """Return every metric of this project, and those of the process.

    Args:
        folder: where a snapshot is made.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return (
        labels_of(report_families())
        | labels_of(volume_families(folder))
        | labels_of(registry.collect())
    )
