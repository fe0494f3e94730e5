"""How the last run ended: <root>/status.json, and Kubernetes' termination message."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from warmup_job.snapshot.durable import replace_file
from warmup_job.snapshot.layout import STAGING, STATUS

TERMINATION_LOG = Path("/dev/termination-log")
_MOST_BYTES = 4096  # Kubernetes cuts longer ones


class Status(msgspec.Struct, frozen=True):
    """One run's end. ``code`` is what happened, ``exit_code`` what the policy made of it."""

    at_ms: int
    code: int
    exit_code: int
    message: str
    snapshot: str | None = None


def write_status(root: Path, status: Status) -> None:
    """Replace ``<root>/status.json`` whole; where that cannot be, nothing happens."""
    with suppress(OSError):
        replace_file(root / STATUS, msgspec.json.encode(status) + b"\n", aside=root / STAGING)


def write_termination_message(message: str, path: Path = TERMINATION_LOG) -> None:
    """Leave the last word where Kubernetes shows it, if it gave us the file."""
    with suppress(OSError):
        if path.is_file() and os.access(path, os.W_OK):
            path.write_bytes(message.encode()[:_MOST_BYTES])
