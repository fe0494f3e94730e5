"""Declared and registered indicators: every difference between them is reported."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader import indicators
from nautilus_trader.indicators import (
    AverageTrueRange,
    ExponentialMovingAverage,
    Indicator,
    MovingAverageConvergenceDivergence,
    RelativeStrengthIndex,
    SimpleMovingAverage,
    VolumeWeightedAveragePrice,
    WilderMovingAverage,
)

from warmup_job.handoff.live_bars.declared_indicators import differences
from warmup_job.regime.indicator_names import BOUNDED_KINDS, NAUTILUS, kind_of


class MyOwn(Indicator):
    """An indicator class of the strategy."""

    def __init__(self) -> None:
        super().__init__([])
        self.period = 3


def test_declared_indicators_short_names_are_nautilus_classes() -> None:
    assert set(NAUTILUS) <= set(dir(indicators))
    assert len(set(NAUTILUS.values())) == len(NAUTILUS)
    assert all(kind_of(kind) == kind for kind in (*NAUTILUS.values(), *BOUNDED_KINDS))


def test_declared_indicators_that_match_the_registered_ones_pass() -> None:
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
        ([], [RelativeStrengthIndex(14)], ["add {kind: rsi, period: 14, bars: N} there"]),
        ([], [SimpleMovingAverage(3)], ["add {kind: sma, period: 3} there"]),
        ([("RelativeStrengthIndex", 14)], [RelativeStrengthIndex(14)], []),
        ([("rsi", 14)], [RelativeStrengthIndex(14)], []),
        ([("RSI", 14), ("rsi", 14)], [RelativeStrengthIndex(14)], []),
        ([("rsi", 7)], [RelativeStrengthIndex(14)], ["declares rsi 7", "period: 14"]),
        ([("macd", 26)], [MovingAverageConvergenceDivergence(12, 26)], []),
        ([("macd", 9)], [MovingAverageConvergenceDivergence(12, 26)], ["macd 9", "period: 26"]),
        ([("vwap", 1)], [VolumeWeightedAveragePrice()], []),
        ([("my_own", 3)], [MyOwn()], []),
        ([("ema", 20)], [SimpleMovingAverage(20)], ["declares ema 20", "sma"]),
    ],
)
def test_declared_indicators_report_every_difference(
    declared: Any, registered: Any, words: list[str]
) -> None:
    lines = differences(declared, registered)
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))
