"""What a volume says about its last run and its snapshot, as Prometheus metrics.

The job writes them to `<root>/warmup.prom`, a file for node_exporter's textfile collector; the
trader shows the same ones at /metrics.
https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from warmup_job.errors import SnapshotError
from warmup_job.exposition.families import Metric, Rows, gauge
from warmup_job.exposition.registered import exposition_text
from warmup_job.market.interval import Interval
from warmup_job.market.rows import missing_bars
from warmup_job.snapshot.durable import replace_file
from warmup_job.snapshot.layout import STAGING, TEXTFILE, resolve_current
from warmup_job.snapshot.manifest import Manifest, StreamEntry, read_manifest
from warmup_job.snapshot.rate_limits import recorded_limits
from warmup_job.snapshot.status import Status, read_status


class VolumeFigures(msgspec.Struct, frozen=True):
    """What the files of one folder say.

    Attributes:
        root: The folder: a snapshot volume, or a trader's state folder, which has limits only.
        status: How the last run ended; None: unknown.
        manifest: The current snapshot's; None: there is none, or its manifest is unusable.
        limits: Until when each endpoint must not be asked, UTC ms.
    """

    root: str
    status: Status | None = None
    manifest: Manifest | None = None
    limits: dict[str, int] = {}


def read_volume(root: Path) -> VolumeFigures:
    """Read the figures of a folder; what is missing or unreadable is left out."""
    manifest = None
    with suppress(SnapshotError):
        manifest = read_manifest(resolve_current(root))
    return VolumeFigures(str(root), read_status(root), manifest, recorded_limits(root))


def volume_metrics(volumes: list[VolumeFigures]) -> Iterator[Metric]:
    """Yield the metrics of all volumes; docs/reference/metrics.md explains them.

    They have times and no ages, so that a file that is no longer written is seen to be old.
    """
    runs = [(each.root, each.status) for each in volumes if each.status is not None]
    for name, about, values in (
        ("run_time_seconds", "When the last run ended, Unix time.",
         {root: status.at_ms / 1000 for root, status in runs}),
        ("run_duration_seconds", "How long the last run took.",
         {root: status.seconds for root, status in runs}),
        ("run_weight", "Request weight that the last run used.",
         {root: status.weight_spent for root, status in runs}),
        ("run_code", "Code of what happened in the last run; 0: success.",
         {root: status.code for root, status in runs}),
        ("run_exit_code", "The last run's code after warmup.on_failure was applied.",
         {root: status.exit_code for root, status in runs}),
        ("failed_runs", "Runs that have failed since the last success.",
         {root: status.failed_in_a_row for root, status in runs}),
        ("last_success_time_seconds", "When a run last succeeded, Unix time.",
         {root: _seconds(status.last_success_ms) for root, status in runs}),
        ("repeat_every_seconds", "Pause between two runs (run --repeat-every).",
         {root: _seconds(status.repeat_every_ms) for root, status in runs}),
    ):  # fmt: skip
        rows = [((root,), value) for root, value in values.items() if value is not None]
        yield from _shown(f"warmup_job_{name}", about, ("root",), rows)
    made = [(each.root, each.manifest) for each in volumes if each.manifest is not None]
    created = [((root,), manifest.created_at / 1000) for root, manifest in made]
    yield from _shown(
        "warmup_snapshot_created_time_seconds", "When the current snapshot was made, Unix time.",
        ("root",), created,
    )  # fmt: skip
    degraded = [((root,), float(bool(manifest.degraded))) for root, manifest in made]
    yield from _shown(
        "warmup_snapshot_degraded", "Whether it has less than the configuration asks for.",
        ("root",), degraded,
    )  # fmt: skip
    yield from _snapshot_streams(made)
    limits = [
        ((each.root, endpoint), until_ms / 1000)
        for each in volumes
        for endpoint, until_ms in each.limits.items()
    ]
    yield from _shown(
        "warmup_exchange_limited_until_seconds",
        "Until when the exchange limits or bans this IP, Unix time.", ("root", "endpoint"), limits,
    )  # fmt: skip


def _snapshot_streams(made: list[tuple[str, Manifest]]) -> Iterator[Metric]:
    labels = ("root", "bar_type")
    streams = [
        ((root, entry.bar_type), entry) for root, manifest in made for entry in manifest.streams
    ]
    for name, about, rows in (
        ("bars", "Bars in the current snapshot.",
         [(values, entry.bar_count) for values, entry in streams]),
        ("missing_bars", "Bars in between that Binance itself lacks.",
         [(values, missing_bars(entry.gaps)) for values, entry in streams]),
        ("proven", "Whether the bars prove the detector's regime.",
         [(values, float(entry.certificate is not None and entry.certificate.proven))
          for values, entry in streams if entry.detector is not None]),
        ("last_close_seconds", "Close time of the newest bar, Unix time.",
         [(values, entry.last_close / 1000) for values, entry in streams]),
        ("next_close_seconds", "Close time of the first missing bar, Unix time.",
         [(values, _next_close_ms(entry) / 1000) for values, entry in streams]),
    ):  # fmt: skip
        yield from _shown(f"warmup_snapshot_{name}", about, labels, rows)


def write_textfile(root: Path) -> None:
    """Replace `<root>/warmup.prom` by one rename; if that fails, the old file stays."""
    text = exposition_text(lambda: volume_metrics([read_volume(root)]))
    with suppress(OSError):
        replace_file(root / TEXTFILE, text, temporary=root / STAGING)


def _next_close_ms(entry: StreamEntry) -> int:
    return Interval.parse(entry.interval).next(entry.last_close + 1)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _shown(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Iterator[Metric]:
    """Yield the gauge if it has a sample."""
    if rows:
        yield gauge(name, about, labels, rows)
