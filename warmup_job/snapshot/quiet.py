"""A rate limit or a ban, remembered on the volume: who restarts before its end asks for nothing."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

import msgspec

from warmup_job.snapshot.layout import LIMITS


def quiet_until_ms(root: Path, endpoint: str) -> int:
    """Until when nothing may be sent to ``endpoint`` (this machine's clock, UTC ms); 0: now.

    A file that is missing or unreadable says nothing: it is a courtesy, not a lock.
    """
    return _read(root).get(endpoint, 0)


def remember_quiet(root: Path, endpoint: str, until_ms: int) -> None:
    """Note that ``endpoint`` wants no request before ``until_ms``; where that cannot be, go on."""
    limits = _read(root)
    limits[endpoint] = max(until_ms, limits.get(endpoint, 0))
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
        fresh = root / f".{LIMITS}.{secrets.token_hex(4)}"
        fresh.write_bytes(msgspec.json.encode(limits) + b"\n")
        fresh.chmod(0o664)
        fresh.replace(root / LIMITS)


def _read(root: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode((root / LIMITS).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return {}
