"""The path of a generated symbol's price and activity over the minutes.

The logarithm of the price at each minute boundary is fractal value noise: hashed numbers on grids
of 1, 4, 16 … minutes, linearly interpolated, with an amplitude that grows with the square root of
the period. So the price trends, rests and turns on every scale and stays within bounds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from warmup_job.local_binance.prices.hashed_numbers import between_minus_one_and_one, stream_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmup_job.local_binance.prices.symbols import ListedSymbol

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_LOWEST_TICKS = 10  # bounded noise does not reach it; it keeps the price above 0 with any options


class _Octave(NamedTuple):
    """Noise on a grid of 4**level minutes."""

    level: int
    amplitude: float
    key: np.uint64


def _noise(octaves: tuple[_Octave, ...], first: int, last: int, level: int = 0) -> Floats:
    """Return the sum of ``octaves`` at the multiples of 4**level numbered ``first`` to ``last``.

    Each grid has every fourth point of the next finer one, so the sum is refined from coarse to
    fine and costs little more than its finest octave. A point's value depends only on its own
    ancestors, so random access gives the same bits as sequential access.
    """
    here = [octave for octave in octaves if octave.level == level]
    if max((octave.level for octave in octaves), default=-1) > level:
        parent_first = first >> 2
        parent = _noise(octaves, parent_first, (last >> 2) + 1, level + 1)
        rise = parent[1:] - parent[:-1]
        quarters = np.array([0.0, 0.25, 0.5, 0.75])
        joined = (parent[:-1, None] + rise[:, None] * quarters[None, :]).ravel()
        values: Floats = joined[first - 4 * parent_first :][: last - first + 1]
    else:
        values = np.zeros(last - first + 1)
    for octave in here:
        values = values + octave.amplitude * between_minus_one_and_one(octave.key, first, last)
    return values


class PricePath:
    """The price and the activity at the open of each minute (numbered from the epoch)."""

    def __init__(self, seed: int, symbol: ListedSymbol, volatility: float) -> None:
        def octaves(
            purpose: str, levels: range, amplitude: Callable[[int], float]
        ) -> tuple[_Octave, ...]:
            return tuple(
                _Octave(level, amplitude(level), stream_key(seed, symbol.name, purpose, level))
                for level in levels
            )

        # Spot and futures of a symbol share these, because they have the same base asset.
        self._fast = octaves("fast", range(4), lambda level: volatility * 2.0**level)
        # The longest octaves are capped, so that prices stay within about a factor of 10.
        self._slow = octaves("slow", range(4, 12), lambda level: min(volatility * 2.0**level, 0.45))
        self._busy = octaves("busy", range(4, 7, 2), lambda level: 0.55 if level == 4 else 0.25)
        if symbol.market == "um":
            self._slow += octaves(
                "basis", range(0, 4, 3), lambda level: volatility * (0.05 + level / 10)
            )
        self._start_ticks = float(Decimal(symbol.start_price) / Decimal(symbol.tick))

    def boundaries(self, first: int, last: int) -> tuple[Ints, Floats]:
        """Return price in ticks and activity (about 0.2 … 1.8) at the opens of these minutes."""
        busy = 1.0 + _noise(self._busy, first, last)
        x = _noise(self._fast, first, last) * busy + _noise(self._slow, first, last)
        # (1 + x/1024)**1024 by ten squarings approximates exp(x), equally on every machine.
        growth = 1.0 + x / 1024.0
        for _ in range(10):
            growth = growth * growth
        ticks = np.floor(growth * self._start_ticks + 0.5).astype(np.int64)
        return np.maximum(ticks, _LOWEST_TICKS), busy
