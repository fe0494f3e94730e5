"""Log how each of several runs of the job ended (`run --repeat-every`)."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from warmup_job.errors import SnapshotError, WarmupError
from warmup_job.market.times import duration_text
from warmup_job.snapshot.status import Status
from warmup_job.snapshot.verify import open_snapshot

ALARMING = 3
"""From this many failed runs in a row on the log level is ERROR; below it is WARNING."""


def log_repeated(
    root: Path, status: Status, error: WarmupError | None, before: Status | None
) -> None:
    """Log how a run ended if it failed, or if it is the first to succeed after a failure.

    Args:
        root: the snapshot volume.
        status: how the run ended.
        error: its worst error; None: it succeeded.
        before: how the run before it ended; None: unknown.
    """
    if error is None:
        if before is not None and before.failed_in_a_row:
            logger.info(
                "the run succeeded after {runs} failed run(s)",
                event="job.recovered",
                runs=before.failed_in_a_row,
            )
        return
    level = "WARNING" if status.failed_in_a_row < ALARMING else "ERROR"
    succeeded = "none has succeeded yet"
    if status.last_success_ms is not None:
        ago_ms = max(0, status.at_ms - status.last_success_ms)
        succeeded = f"the last success was {duration_text(ago_ms)} ago"
    logger.bind(help=error.help_page).log(
        level, "code {code}: {error}", event="job.failed", code=status.code, error=error
    )
    logger.log(
        level,
        "{runs} run(s) in a row have failed, {last_success}; {snapshot}",
        event="job.failed_in_a_row",
        runs=status.failed_in_a_row,
        last_success=succeeded,
        snapshot=_snapshot_text(root, status.at_ms),
    )


def _snapshot_text(root: Path, now_ms: int) -> str:
    try:
        snapshot = open_snapshot(root)
    except SnapshotError:
        return f"{root} holds no usable snapshot"
    age_ms = max(0, snapshot.manifest.age_ms(now_ms))
    return (
        f"the current snapshot, {snapshot.folder.name}, has lacked newer bars for "
        f"{duration_text(age_ms)}"
    )
