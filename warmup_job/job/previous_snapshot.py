"""The snapshot that the job finds on the volume: whether it is usable, enough, and up to date."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from loguru import logger

from warmup_job.catalog.installed_nautilus import nautilus_version
from warmup_job.catalog.packed_bars import CATALOG_SCHEMA
from warmup_job.errors import SnapshotError
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.manifest import Versions
from warmup_job.snapshot.verify import Snapshot, find_problems, open_snapshot


def previous_snapshot(plan: WarmupPlan) -> Snapshot | None:
    """Return the current snapshot, if the same versions wrote it from the same venue.

    Only its manifest has been read; `is_intact` verifies the files.
    """
    try:
        snapshot = open_snapshot(plan.root)
    except SnapshotError:
        return None
    manifest = snapshot.manifest
    same = (manifest.versions, manifest.endpoint) == (own_versions(), plan.venue.endpoint)
    return snapshot if same else None


def is_intact(snapshot: Snapshot) -> bool:
    """Verify every file of a snapshot, and log what is wrong."""
    problems = find_problems(snapshot)
    if problems:
        logger.warning(
            "not reusing the last snapshot {snapshot}: {problem}",
            event="snapshot.not_reused",
            snapshot=snapshot.folder.name,
            problem="; ".join(problems),
        )
    return not problems


def serves(plan: WarmupPlan, snapshot: Snapshot) -> bool:
    """Return whether a snapshot, whatever its age, holds what the plan asks for."""
    manifest = snapshot.manifest
    return not manifest.degraded and manifest.settings_digest == plan.settings_digest


def is_up_to_date(snapshot: Snapshot, streams: Iterable[StreamPlan], until_ms: int) -> bool:
    """Return whether no bar of any stream has closed since, as of ``until_ms`` (UTC ms)."""
    for plan in streams:
        entry, interval = snapshot.stream(plan.stream), plan.stream.interval
        if entry is None or interval.floor(entry.last_close) != interval.last_closed(until_ms):
            return False
    return True


def own_versions() -> Versions:
    """Return the versions that this process writes into a manifest."""
    return Versions(
        warmup_job=version("warmup-job"),
        ccxt=version("ccxt"),
        nautilus_trader=nautilus_version(),
        pyarrow=version("pyarrow"),
        catalog_schema=CATALOG_SCHEMA,
    )
