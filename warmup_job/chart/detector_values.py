"""What the detector says after each bar, by the detector itself."""

from __future__ import annotations

import msgspec
import numpy as np

from warmup_job.chart.bar_slots import BarSlots
from warmup_job.chart.packed_column import Floats
from warmup_job.regime.detector import DetectorBar, DetectorSettings, RegimeDetector

INDICATORS = ("ema_fast", "ema_slow", "adx", "atr")


class DetectorValues(msgspec.Struct, frozen=True):
    """The values in each slot; an absent bar has those of the bar before it."""

    indicators: dict[str, Floats]
    """By the names of `INDICATORS`; NaN until there is a value."""
    regimes: list[tuple[int, str]]
    """The first slot of each stretch of equal regimes, and the regime."""


def detector_values(slots: BarSlots, settings: DetectorSettings) -> DetectorValues:
    """Run a detector over the bars, from the first one on, as the trader does."""
    detector = RegimeDetector(settings)
    names = ("open", "high", "low", "close", "volume")
    bars = zip(*(slots.columns[name][slots.place].tolist() for name in names), strict=True)
    rows: list[tuple[float | None, ...]] = []
    regimes: list[tuple[int, str]] = []
    for slot, bar in zip(slots.place.tolist(), bars, strict=True):
        regime = detector.update(DetectorBar(*bar)).value
        if not regimes or regimes[-1][1] != regime:
            regimes.append((slot, regime))
        rows.append((detector.ema_fast, detector.ema_slow, detector.adx, detector.atr))
    bar_of = np.searchsorted(slots.place, np.arange(len(slots.opens_ms)), side="right") - 1
    values = np.array(rows, dtype=np.float64)[bar_of]  # None becomes NaN
    return DetectorValues(
        {name: values[:, column] for column, name in enumerate(INDICATORS)}, regimes
    )
