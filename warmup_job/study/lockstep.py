"""Many detectors of one age, each fed a bar of its own at every step: for studies of many starts.

The steps are `RegimeDetector`'s, operation by operation, on columns: the same bars give the same
bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warmup_job.proof.recurrence import Floats
from warmup_job.regime.detector import ADX_TREND, DetectorSettings, Regime

CODES = (Regime.SIDEWAYS, Regime.UP, Regime.DOWN)
"""What the numbers in `LockstepDetectors.regime` mean."""
SIDEWAYS, UP, DOWN = range(3)


class LockstepDetectors:
    """As many detectors as there are columns; the same number of bars seen by all."""

    def __init__(self, settings: DetectorSettings, count: int) -> None:
        self.settings = settings
        self.bars = 0
        """How many bars each has seen."""
        self.regime: npt.NDArray[np.int8] = np.full(count, SIDEWAYS, dtype=np.int8)
        nothing = np.full(count, np.nan)
        self.ema_fast, self.ema_slow, self.adx, self.atr = nothing, nothing, nothing, nothing
        """NaN until seeded. ADX counts after 2·adx_len bars, as everywhere."""
        self.true_range, self.plus_dm, self.minus_dm = nothing, nothing, nothing
        """Wilder averages over adx_len, from the second bar on."""
        self._fast_seed, self._slow_seed = _Mean(settings.ema_fast), _Mean(settings.ema_slow)
        self._adx_seed = _Mean(settings.adx_len)

    def update(
        self, close: Floats, true_range: Floats, plus_dm: Floats, minus_dm: Floats
    ) -> npt.NDArray[np.int8]:
        """Take in the next bar of each; the regimes after it.

        The last three compare a bar with the one before: those of the first bar are not looked at.
        """
        s = self.settings
        self.bars += 1
        self.ema_fast = self._ema(self.ema_fast, close, self._fast_seed)
        self.ema_slow = self._ema(self.ema_slow, close, self._slow_seed)
        if self.bars > 1:
            self.atr = self._wilder(self.atr, true_range, s.atr_len)
            self.true_range = self._wilder(self.true_range, true_range, s.adx_len)
            self.plus_dm = self._wilder(self.plus_dm, plus_dm, s.adx_len)
            self.minus_dm = self._wilder(self.minus_dm, minus_dm, s.adx_len)
            self._update_adx(self._directional_index())
        self._judge()
        return self.regime

    def _ema(self, value: Floats, new: Floats, seed: _Mean) -> Floats:
        if self.bars > seed.period:
            return value + 2.0 / (seed.period + 1) * (new - value)
        seed.add(new)
        return seed.mean() if self.bars == seed.period else value

    def _wilder(self, value: Floats, new: Floats, period: int) -> Floats:
        return new if self.bars == 2 else (value * (period - 1) + new) / period

    def _update_adx(self, dx: Floats) -> None:
        period = self.settings.adx_len
        if self.bars > period + 1:
            self.adx = (self.adx * (period - 1) + dx) / period
            return
        self._adx_seed.add(dx)
        if self.bars == period + 1:
            self.adx = self._adx_seed.mean()

    def _directional_index(self) -> Floats:
        plus = _ratio(100.0 * self.plus_dm, self.true_range)
        minus = _ratio(100.0 * self.minus_dm, self.true_range)
        return _ratio(100.0 * np.abs(plus - minus), plus + minus)

    def _judge(self) -> None:
        s = self.settings
        if self.bars < max(s.ema_fast, s.ema_slow):
            return
        within = np.abs(self.ema_fast - self.ema_slow) / self.ema_slow * 10_000 < s.hysteresis_bps
        side = np.where(self.ema_fast > self.ema_slow, np.int8(UP), np.int8(DOWN))
        regime = np.where(within, self.regime, side)
        if self.bars >= 2 * s.adx_len:
            regime[self.adx < ADX_TREND] = SIDEWAYS
        self.regime = regime


class _Mean:
    """The mean of the first ``period`` values, added up as Python's `sum` does: it keeps account of
    what each addition rounds off (Neumaier 1974)."""

    def __init__(self, period: int) -> None:
        self.period = period
        self._total: Floats | float = 0.0
        self._lost: Floats | float = 0.0

    def add(self, value: Floats) -> None:
        before, after = self._total, self._total + value
        self._lost += np.where(
            np.abs(before) >= np.abs(value), (before - after) + value, (value - after) + before
        )
        self._total = after

    def mean(self) -> Floats:
        return np.asarray((self._total + self._lost) / self.period)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part/whole, 0 where the whole is 0."""
    out: Floats = np.zeros(len(part))
    np.divide(part, whole, out=out, where=whole != 0.0)
    return out
