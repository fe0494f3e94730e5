"""How the last run ended: <root>/status.json, and Kubernetes' termination message."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import msgspec

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
    with contextlib.suppress(OSError):
        fresh = root / STAGING / f"{STATUS}.{secrets.token_hex(4)}"
        fresh.write_bytes(msgspec.json.encode(status) + b"\n")
        fresh.chmod(0o664)
        fresh.replace(root / STATUS)


def write_termination_message(message: str, path: Path = TERMINATION_LOG) -> None:
    """Leave the last word where Kubernetes shows it, if it gave us the file."""
    with contextlib.suppress(OSError):
        if path.is_file() and os.access(path, os.W_OK):
            path.write_bytes(message.encode()[:_MOST_BYTES])
