"""First-order recurrences over whole columns: the share of each bar in a decaying average.

Every average of the detector steps by v ← decay·v + new. Its value is therefore the sum of what
each bar has left in it, plus decay^k times what was there k bars ago. The first part is known from
the bars, whatever was before them; only the second part depends on the past.

Only +, −, ×, ÷ of single elements, in a fixed order: the same input gives the same bits on any
machine (a BLAS product or ``np.power`` would not promise that).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def decayed_sums(values: Floats, decay: float) -> Floats:
    """For every j: Σ decay^i · values[j−i] over i = 0 … j (0 ≤ decay < 1).

    By doubling: the sum over the last 2r values is that over the last r, plus decay^r times that
    over the r before them; log₂ of the length many passes. For values ≥ 0 nothing cancels, so the
    relative error is that of decay^i, below 4·i roundings, and two roundings for each pass.
    """
    sums = values.copy()
    reach = 1
    while reach < len(sums) and decay > 0.0:
        sums[reach:] += decay * sums[:-reach]
        decay *= decay
        reach *= 2
    return sums


def powers(decay: float, count: int) -> Floats:
    """decay^0 … decay^(count−1), each the one before times ``decay``."""
    factors = np.full(count, decay)
    factors[:1] = 1.0
    return np.multiply.accumulate(factors)
