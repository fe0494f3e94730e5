"""The comparison of this machine's clock with the exchange's while the trader runs."""

from __future__ import annotations

import pytest

from warmup_job.handoff.clock_watch import AHEAD_MS, BEHIND_MS, clock_problem


@pytest.mark.parametrize("offset_ms", [0, AHEAD_MS, -BEHIND_MS])
def test_a_clock_within_binances_window_is_no_problem(offset_ms: int) -> None:
    assert clock_problem(offset_ms) == ""


@pytest.mark.parametrize(
    ("offset_ms", "words"),
    [(AHEAD_MS + 500, "1.5 s ahead of"), (-BEHIND_MS - 1_000, "6.0 s behind")],
)
def test_a_clock_outside_the_window_is_named_with_its_offset(offset_ms: int, words: str) -> None:
    assert words in clock_problem(offset_ms)
    assert "NTP" in clock_problem(offset_ms)
