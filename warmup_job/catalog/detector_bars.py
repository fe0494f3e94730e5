"""Nautilus' bars as the detector and the certificate take them."""

from __future__ import annotations

from nautilus_trader.model.data import Bar
from nautilus_trader.model.objects import FIXED_SCALAR

from warmup_job.market.times import NS_PER_MS
from warmup_job.regime.detector import DetectorBar

_RAW_UNITS = int(FIXED_SCALAR)  # of a price's raw integer; two integers divide to the nearest float


def detector_bar(bar: Bar) -> DetectorBar:
    """The floats that are nearest to its prices.

    as_double() is another one in a quarter of all cases, which `certify` would not know of.
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
