"""Decaying sums over whole columns.

Every average of the detector steps by v ← decay·v + new. Its value is therefore the decayed sum of
the new terms of k bars, plus decay^k times its value k bars ago. The bars determine the first part;
only the second part depends on earlier history.

The functions use only elementwise +, −, × and ÷ in a fixed order, so the same input gives the same
bits on any machine. BLAS and ``np.power`` do not guarantee that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def decayed_sums(values: Floats, decay: float) -> Floats:
    """Return Σ decay^i · values[j−i] over i = 0 … j for every j; 0 ≤ decay < 1.

    It doubles the span in each of log₂(length) passes: the sum over the last 2r values is the sum
    over the last r plus decay^r times the sum over the r before them. For values ≥ 0 nothing
    cancels, so the relative error is that of decay^i (fewer than 4·i roundings) plus two roundings
    per pass.
    """
    sums = values.copy()
    reach = 1
    while reach < len(sums) and decay > 0.0:
        sums[reach:] += decay * sums[:-reach]
        decay *= decay
        reach *= 2
    return sums


def powers(decay: float, count: int) -> Floats:
    """Return decay^0 … decay^(count−1), each computed as the one before times ``decay``."""
    factors = np.full(count, decay)
    factors[:1] = 1.0
    return np.multiply.accumulate(factors)
