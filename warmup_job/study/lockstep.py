"""Many regime detectors that receive one bar each per step, for studies of many starts.

Every operation is that of `RegimeDetector`, applied to columns: equal bars give equal bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warmup_job.proof.recurrence import Floats
from warmup_job.regime.detector import ADX_TREND, DetectorSettings, Regime

CODES = (Regime.SIDEWAYS, Regime.UP, Regime.DOWN)
"""The regime of each number in `LockstepDetectors.regime`."""
SIDEWAYS, UP, DOWN = range(3)


class LockstepDetectors:
    """``count`` detectors in columns, all with the same number of bars."""

    def __init__(self, settings: DetectorSettings, count: int) -> None:
        self.settings = settings
        self.bars = 0
        """How many bars each has received."""
        self.regime: npt.NDArray[np.int8] = np.full(count, SIDEWAYS, dtype=np.int8)
        nothing = np.full(count, np.nan)
        self.ema_fast, self.ema_slow, self.adx, self.atr = nothing, nothing, nothing, nothing
        """NaN until seeded. ADX counts after 2·adx_len bars, as in `RegimeDetector`."""
        self.true_range, self.plus_dm, self.minus_dm = nothing, nothing, nothing
        """Wilder averages of period adx_len, from the second bar on."""
        self._fast_seed, self._slow_seed = _Mean(settings.ema_fast), _Mean(settings.ema_slow)
        self._adx_seed = _Mean(settings.adx_len)

    def update(
        self, close: Floats, true_range: Floats, plus_dm: Floats, minus_dm: Floats
    ) -> npt.NDArray[np.int8]:
        """Take in the next bar of each detector and return the regimes after it.

        Args:
            close: Closes, one for each detector.
            true_range: True ranges; the first bar's are ignored, as they need a previous bar.
            plus_dm: +DM, likewise.
            minus_dm: −DM, likewise.
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
    """The mean of the first ``period`` values, summed like Python's `sum` with compensation.

    Source: A. Neumaier, ZAMM 54 (1974), 39-51.
    """

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
    """Return part/whole, or 0 where the whole is 0."""
    out: Floats = np.zeros(len(part))
    np.divide(part, whole, out=out, where=whole != 0.0)
    return out
