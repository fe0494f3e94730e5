"""Convert points in time and durations between UTC ms and text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
YEAR_2100_MS = 4_102_444_800_000
"""UTC ms; data with a later time is invalid."""
DURATION_UNITS_MS: Final[Mapping[str, int]] = {
    "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1,
}  # fmt: skip
_SPAN = re.compile(
    "".join(rf"(?:([0-9]{{1,12}}(?:\.[0-9]{{1,9}})?){u})?" for u in DURATION_UNITS_MS)
)


def utc_text(at_ms: int) -> str:
    """Format UTC ms as ISO 8601 with seconds: 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_stamp(at_ns: int) -> str:
    """Format UTC ns as Nautilus' catalog does in file names."""
    seconds, ns = divmod(at_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H-%M-%S}-{ns:09d}Z"


def span_ms(text: str) -> Decimal | None:
    """Return the milliseconds that ``text`` writes, such as 1h30m or 1.5s; None: not a span."""
    match = re.fullmatch(_SPAN, text)
    if not text or match is None:
        return None
    parts = zip(match.groups(), DURATION_UNITS_MS.values(), strict=True)
    return sum((Decimal(amount) * unit for amount, unit in parts if amount), Decimal(0))


def parse_when(text: str, now_ms: int) -> int:
    """Parse a point in time: ISO 8601, Unix ms, or an age such as -3m or -1h30m.

    Args:
        text: The text. ISO 8601 without a zone is UTC.
        now_ms: UTC ms from which an age counts back.

    Returns:
        UTC ms.

    Raises:
        ValueError: ``text`` has none of the three forms.
    """
    age_ms = span_ms(text[1:]) if text.startswith("-") else None
    if age_ms is not None:
        return now_ms - int(age_ms)
    if re.fullmatch(r"\d{10,14}", text, re.ASCII):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time: write -3m, -1h30m, 2026-01-31T12:00Z, or Unix ms"
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
