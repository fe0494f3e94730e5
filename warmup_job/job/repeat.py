"""What `run --repeat-every` logs of a failed run: its snapshot stays and grows older."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from warmup_job.errors import SnapshotError, WarmupError
from warmup_job.market.times import duration_text
from warmup_job.snapshot.status import Status
from warmup_job.snapshot.verify import open_snapshot

ALARMING = 3
"""So many failed runs in a row are an ERROR: somebody must act. Fewer are a WARNING."""


def log_repeated(
    root: Path, status: Status, error: WarmupError | None, before: Status | None
) -> None:
    """Log how one of many runs ended, if it failed or is the first to succeed again.

    Args:
        before: how the run before it ended, if that is known.
    """
    if error is None:
        if before is not None and before.failed_in_a_row:
            logger.info("the run succeeded, after {} that failed", before.failed_in_a_row)
        return
    level = "WARNING" if status.failed_in_a_row < ALARMING else "ERROR"
    succeeded = "none has succeeded yet"
    if status.last_success_ms is not None:
        ago_ms = max(0, status.at_ms - status.last_success_ms)
        succeeded = f"the last success was {duration_text(ago_ms)} ago"
    logger.log(level, "code {}: {}", status.code, error)
    logger.log(
        level, "{} run(s) in a row have failed, {}; {}",
        status.failed_in_a_row, succeeded, _what_is_there(root, status.at_ms),
    )  # fmt: skip


def _what_is_there(root: Path, now_ms: int) -> str:
    try:
        snapshot = open_snapshot(root)
    except SnapshotError:
        return f"{root} holds no usable snapshot"
    lacks_ms = max(0, snapshot.manifest.age_ms(now_ms))
    return (
        f"the current snapshot, {snapshot.folder.name}, lacks bars since {duration_text(lacks_ms)}"
    )
