"""Points in time and durations as a user writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from warmup_job.market.times import parse_when, span_ms

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "age_ms"),
    [("-3m", 180_000), ("-1h30m", 5_400_000), ("-1d", 86_400_000), ("-1.5s", 1_500), ("-0s", 0)],
)
def test_an_age_counts_back_from_now(text: str, age_ms: int) -> None:
    assert parse_when(text, NOW_MS) == NOW_MS - age_ms


@pytest.mark.parametrize("text", ["-", "-3", "3m", "-30m1h", "-1h 30m", "--3m", "soon", ""])
def test_a_text_that_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write -3m, -1h30m"):
        parse_when(text, NOW_MS)


def test_a_span_keeps_its_fraction() -> None:
    assert span_ms("1h30m0.5ms") == Decimal("5400000.5")
    assert span_ms("") is None
