"""How the last run ended: <root>/status.json, and Kubernetes' termination message."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from warmup_job.snapshot.durable import read_whole, replace_file
from warmup_job.snapshot.layout import STAGING, STATUS

TERMINATION_LOG = Path("/dev/termination-log")
_MOST_BYTES = 4096  # Kubernetes cuts longer ones
_MOST_STATUS_BYTES = 1 << 20


class Status(msgspec.Struct, frozen=True):
    """How a run ended. ``code`` is what happened, ``exit_code`` what the policy made of it."""

    at_ms: int
    code: int
    exit_code: int
    message: str
    snapshot: str | None = None
    failed_in_a_row: int = 0
    """Runs on this volume that ended with a code other than 0 since the last one with 0."""
    last_success_ms: int | None = None
    """When a run last ended with code 0, by this machine's clock, UTC ms; None: never yet."""

    def after(self, previous: Status | None) -> Status:
        """Return this status with the runs before it counted in."""
        if self.code == 0:
            return msgspec.structs.replace(self, failed_in_a_row=0, last_success_ms=self.at_ms)
        return msgspec.structs.replace(
            self,
            failed_in_a_row=1 + (previous.failed_in_a_row if previous else 0),
            last_success_ms=previous.last_success_ms if previous else None,
        )


def read_status(root: Path) -> Status | None:
    """Read ``<root>/status.json``; None if there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(read_whole(root / STATUS, _MOST_STATUS_BYTES), type=Status)
    except (OSError, msgspec.DecodeError):
        return None


def write_status(root: Path, status: Status) -> None:
    """Replace ``<root>/status.json`` whole; where that cannot be, nothing happens."""
    with suppress(OSError):
        replace_file(root / STATUS, msgspec.json.encode(status) + b"\n", aside=root / STAGING)


def write_termination_message(message: str, path: Path = TERMINATION_LOG) -> None:
    """Leave the last word where Kubernetes shows it, if it gave us the file."""
    with suppress(OSError):
        if path.is_file() and os.access(path, os.W_OK):
            path.write_bytes(message.encode()[:_MOST_BYTES])
