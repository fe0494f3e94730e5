"""The chart of a snapshot volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from warmup_job.chart.html_file import html_file
from warmup_job.chart.stream_chart import StreamChart, stream_chart
from warmup_job.chart.trader_trace import ShownState, TraderTrace
from warmup_job.errors import ConfigError, SnapshotError
from warmup_job.snapshot.manifest import StreamEntry
from warmup_job.snapshot.verify import find_problems, open_snapshot


class ShownTrader(msgspec.Struct, frozen=True):
    """The trader as a whole; the streams have its orders and fills."""

    text: str
    states: list[ShownState]


class SnapshotChart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the page shows."""

    snapshot: str
    venue: str
    market: str
    endpoint: str
    created_ms: int
    degraded: list[str]
    version: str
    streams: list[StreamChart]
    trader: ShownTrader | None = None


def snapshot_chart(
    root: Path, wanted: Sequence[str] = (), trace: TraderTrace | None = None
) -> SnapshotChart:
    """Read and verify the current snapshot, and compute what its chart shows.

    Args:
        root: the snapshot volume.
        wanted: only these streams: SYMBOL, SYMBOL:INTERVAL or a bar type; empty: all.
        trace: what a trader did.

    Raises:
        SnapshotError: there is no snapshot, or it cannot be used.
        ConfigError: the snapshot has no such stream.
    """
    snapshot = open_snapshot(root)
    problems = find_problems(snapshot)
    if problems:
        raise SnapshotError(
            f"the snapshot {snapshot.folder.name} cannot be drawn: {'; '.join(problems)}",
            problems=tuple(problems),
        )
    manifest = snapshot.manifest
    try:
        chosen = _chosen(manifest.streams, wanted)
        streams = [stream_chart(snapshot, entry, trace) for entry in chosen]
    except OSError as error:
        raise SnapshotError(
            f"the snapshot {snapshot.folder.name} was removed while it was read: start again"
            if isinstance(error, FileNotFoundError)
            else f"{error.filename or snapshot.folder} cannot be read: {error.strerror}"
        ) from None
    return SnapshotChart(
        snapshot=snapshot.folder.name,
        venue=manifest.venue,
        market=manifest.market,
        endpoint=manifest.endpoint,
        created_ms=manifest.created_at,
        degraded=manifest.degraded,
        version=manifest.versions.warmup_job,
        streams=streams,
        trader=None if trace is None else ShownTrader(trace.text, trace.states),
    )


def chart_file(chart: SnapshotChart) -> str:
    """Return the chart as one HTML file."""
    names = ", ".join(f"{each.symbol} {each.interval}" for each in chart.streams)
    return html_file(f"{names} · warmup-job", "bars", chart, with_library=True)


def _chosen(entries: Sequence[StreamEntry], wanted: Sequence[str]) -> list[StreamEntry]:
    chosen: list[StreamEntry] = []
    for name in wanted:
        found = [entry for entry in entries if name in names_of(entry)]
        if not found:
            raise ConfigError(
                f"--stream {name}: the snapshot has no such stream; it has "
                f"{', '.join(f'{each.symbol}:{each.interval}' for each in entries)}"
            )
        chosen += [entry for entry in found if entry not in chosen]
    return chosen if wanted else list(entries)


def names_of(entry: StreamEntry) -> set[str]:
    """Return the names that `--stream` accepts for a stream."""
    short = f"{entry.symbol}:{entry.interval}"
    return {entry.symbol, short, f"{short}:{entry.price}", entry.bar_type, entry.instrument_id}
