"""Convert points in time and durations between UTC ms and text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

NS_PER_MS = 1_000_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def utc_text(at_ms: int) -> str:
    """Format UTC ms as ISO 8601 with seconds: 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_stamp(at_ns: int) -> str:
    """Format UTC ns as Nautilus' catalog does in file names."""
    seconds, ns = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H-%M-%S}-{ns:09d}Z"


def parse_when(text: str, now_ms: int) -> int:
    """Parse a point in time: ISO 8601, Unix ms, or an age such as -3m.

    Args:
        text: The text. ISO 8601 without a zone is UTC.
        now_ms: UTC ms from which an age counts back.

    Returns:
        UTC ms.

    Raises:
        ValueError: ``text`` has none of the three forms.
    """
    age = re.fullmatch(r"-(\d+)(ms|s|m|h|d)", text)
    if age:
        return now_ms - int(age[1]) * _UNITS_MS[age[2]]
    if re.fullmatch(r"\d{10,14}", text, re.ASCII):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time: write -3m, 2026-01-31T12:00Z, or Unix ms"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def duration_text(span_ms: int) -> str:
    """Format a duration in ms: 500 ms, 90 s, 12 min, 3.5 h, 2 d."""
    seconds = span_ms / 1000
    if seconds < 1:
        return f"{span_ms} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} d"
