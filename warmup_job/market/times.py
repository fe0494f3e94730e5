"""Moments in time as people write them, to and from UTC ms."""

from __future__ import annotations

import re
from datetime import UTC, datetime

NS_PER_MS = 1_000_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def utc_text(at_ms: int) -> str:
    """``at_ms`` (UTC ms) for people, to the second: 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_stamp(at_ns: int) -> str:
    """``at_ns`` (UTC ns) as Nautilus' catalog writes it in file names."""
    seconds, ns = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H-%M-%S}-{ns:09d}Z"


def parse_when(text: str, now_ms: int) -> int:
    """UTC ms of ``text``: an ISO date or time (UTC if it names no zone), ms, or an age like -3m.

    Raises:
        ValueError: it is none of these.
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
            f"{text!r} is no moment; write -3m, 2026-01-31T12:00Z, or ms since the epoch"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def duration_text(span_ms: int) -> str:
    """A span of time for people: 500 ms, 90 s, 12 min, 3.5 h, 2 d."""
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
