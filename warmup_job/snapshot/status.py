"""Record how the last run ended: <root>/status.json and Kubernetes' termination message."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from warmup_job.snapshot.durable import read_regular_file, replace_file
from warmup_job.snapshot.layout import STAGING, STATUS

TERMINATION_LOG = Path("/dev/termination-log")
_MAX_MESSAGE_BYTES = 4096  # Kubernetes cuts longer messages
_MAX_STATUS_BYTES = 1 << 20


class Status(msgspec.Struct, frozen=True):
    """How a run ended.

    Attributes:
        at_ms: When it ended, UTC ms.
        code: The code of what happened.
        exit_code: ``code`` after ``warmup.on_failure`` was applied.
        message: The last log message.
        snapshot: The id of the published snapshot; None: the run published nothing.
        failed_in_a_row: Runs on this volume with a code other than 0 since the last one with 0.
        last_success_ms: When a run last ended with code 0, UTC ms; None: never.
        seconds: How long the run took; None: unknown.
        weight_spent: Request weight that the run used; None: unknown.
        repeat_every_ms: The pause until the next run; None: there is none.
    """

    at_ms: int
    code: int
    exit_code: int
    message: str
    snapshot: str | None = None
    failed_in_a_row: int = 0
    last_success_ms: int | None = None
    seconds: float | None = None
    weight_spent: int | None = None
    repeat_every_ms: int | None = None

    def after(self, previous: Status | None) -> Status:
        """Return this status with the counts continued from ``previous``."""
        if self.code == 0:
            return msgspec.structs.replace(self, failed_in_a_row=0, last_success_ms=self.at_ms)
        return msgspec.structs.replace(
            self,
            failed_in_a_row=1 + (previous.failed_in_a_row if previous else 0),
            last_success_ms=previous.last_success_ms if previous else None,
        )


def read_status(root: Path) -> Status | None:
    """Read ``<root>/status.json``; return None if it is missing or unreadable."""
    try:
        return msgspec.json.decode(read_regular_file(root / STATUS, _MAX_STATUS_BYTES), type=Status)
    except (OSError, ValueError):  # malformed, or text that is not UTF-8
        return None


def write_status(root: Path, status: Status) -> None:
    """Replace ``<root>/status.json`` by one rename; if that fails, the old file stays."""
    with suppress(OSError):
        replace_file(root / STATUS, msgspec.json.encode(status) + b"\n", temporary=root / STAGING)


def write_termination_message(message: str, path: Path = TERMINATION_LOG) -> None:
    """Write the run's last message to Kubernetes' termination message file, if it exists."""
    with suppress(OSError):
        if path.is_file() and os.access(path, os.W_OK):
            path.write_bytes(message.encode()[:_MAX_MESSAGE_BYTES])
