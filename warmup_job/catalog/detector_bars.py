"""Nautilus' bars, converted for the detector and the certificate."""

from __future__ import annotations

from nautilus_trader.model.data import Bar
from nautilus_trader.model.objects import FIXED_SCALAR

from warmup_job.market.times import NS_PER_MS
from warmup_job.regime.detector import DetectorBar

_RAW_UNITS = int(FIXED_SCALAR)  # of a price's raw integer; two integers divide to the nearest float


def detector_bar(bar: Bar) -> DetectorBar:
    """Convert a bar; its prices become the floats that are nearest to them.

    Nautilus' as_double() returns another float in a quarter of all cases, and the certificate would
    not hold for that one.
    """
    return DetectorBar._make(  # by position: this runs for every bar of a long history
        (
            bar.open.raw / _RAW_UNITS,
            bar.high.raw / _RAW_UNITS,
            bar.low.raw / _RAW_UNITS,
            bar.close.raw / _RAW_UNITS,
            bar.volume.as_double(),
            (bar.ts_event + NS_PER_MS // 2) // NS_PER_MS,
        )
    )
