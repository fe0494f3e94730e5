"""Bars that Binance has changed since an earlier snapshot on the same volume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from warmup_job.catalog.packed_bars import VALUES
from warmup_job.chart.bar_slots import Times, read_bars
from warmup_job.chart.packed_column import Floats
from warmup_job.errors import SnapshotError
from warmup_job.snapshot.layout import is_snapshot_id
from warmup_job.snapshot.manifest import StreamEntry, read_manifest
from warmup_job.snapshot.verify import Snapshot


class RevisedBar(msgspec.Struct, frozen=True):
    """A bar with other values than an earlier snapshot has for it."""

    bar: int
    """Its index among the bars."""
    before: tuple[float, ...]
    """Open, high, low, close and volume in the earlier snapshot."""
    snapshot: str
    """The newest earlier snapshot with other values."""


def revised_bars(
    snapshot: Snapshot, entry: StreamEntry, opens_ms: Times, columns: dict[str, Floats]
) -> list[RevisedBar]:
    """Compare a stream's bars with those of all earlier snapshots that the volume still has.

    Args:
        snapshot: the snapshot that is shown.
        entry: one of its streams.
        opens_ms: open times of its bars, UTC ms.
        columns: values of its bars.
    """
    found: dict[int, RevisedBar] = {}
    for earlier in _earlier_snapshots(snapshot):
        for old in earlier.manifest.streams:
            if (old.bar_type, earlier.manifest.endpoint) != (
                entry.bar_type, snapshot.manifest.endpoint,
            ):  # fmt: skip
                continue
            try:
                old_opens_ms, old_columns = read_bars(earlier, old)
            except (SnapshotError, OSError):
                continue  # the job may remove it at any time
            _, new, before = np.intersect1d(
                opens_ms, old_opens_ms, assume_unique=True, return_indices=True
            )
            differs = np.zeros(len(new), dtype=np.bool_)
            for name in VALUES:
                differs |= columns[name][new] != old_columns[name][before]
            for here, there in zip(new[differs].tolist(), before[differs].tolist(), strict=True):
                values = tuple(float(old_columns[name][there]) for name in VALUES)
                found.setdefault(here, RevisedBar(here, values, earlier.folder.name))
    return [found[bar] for bar in sorted(found)]


def _earlier_snapshots(snapshot: Snapshot) -> Iterator[Snapshot]:
    """Iterate over the earlier snapshots beside this one, newest first."""
    for folder in sorted(_siblings(snapshot.folder), reverse=True):
        try:
            yield Snapshot(folder, read_manifest(folder))
        except SnapshotError:
            continue


def _siblings(folder: Path) -> list[Path]:
    return [
        each
        for each in folder.parent.iterdir()
        if is_snapshot_id(each.name) and each.name < folder.name
    ]
