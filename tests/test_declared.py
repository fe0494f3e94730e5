"""Declared indicators and registered ones: whoever forgets one is told."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.indicators import (
    AverageTrueRange,
    ExponentialMovingAverage,
    RelativeStrengthIndex,
    SimpleMovingAverage,
    WilderMovingAverage,
)

from warmup_job.trading.declared import differences


def test_all_are_there() -> None:
    registered = [
        ExponentialMovingAverage(20), SimpleMovingAverage(50), WilderMovingAverage(7),
        AverageTrueRange(14),
    ]  # fmt: skip
    assert differences([("ema", 20), ("sma", 50), ("wilder", 7), ("atr", 14)], registered) == []


@pytest.mark.parametrize(
    ("declared", "registered", "words"),
    [
        ([("ema", 20)], [], ["declares ema 20"]),
        ([], [ExponentialMovingAverage(20)], ["ExponentialMovingAverage(20)"]),
        ([("ema", 20)], [ExponentialMovingAverage(21)], ["declares ema 20", "Average(21)"]),
        ([], [RelativeStrengthIndex(14)], ["RelativeStrengthIndex(14"]),
        ([("RelativeStrengthIndex", 14)], [RelativeStrengthIndex(14)], []),
    ],
)
def test_what_differs(declared: Any, registered: Any, words: list[str]) -> None:
    lines = differences(declared, registered)
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))
