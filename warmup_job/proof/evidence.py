"""The parts of the detector's averages that a window of closed bars determines."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np

from warmup_job.proof.recurrence import Floats, decayed_sums, powers
from warmup_job.proof.window import Window
from warmup_job.regime.detector import DetectorSettings
from warmup_job.regime.indicators import directional_movement


class Evidence(msgspec.Struct, frozen=True, eq=False):
    """A window and its bars' share in each average: the average if it had been 0 before.

    `prepend` adds older bars without processing the newer ones again: to their shares it adds the
    decayed shares of the older bars. That rounds in another order, so the last digits depend on how
    the window was split; `in_one_piece` computes them without a split.
    """

    settings: DetectorSettings
    window: Window
    ema_fast: Floats
    """Price units after each bar, like the other shares."""
    ema_slow: Floats
    plus_dm: Floats
    """Share of the known +DM, which start with the second bar, in their Wilder average."""
    minus_dm: Floats

    @classmethod
    def of(cls, settings: DetectorSettings, window: Window) -> Self:
        """Compute the shares of a window's bars."""
        plus, minus = window.movements()
        return cls(
            settings,
            window,
            ema_share(window.close, settings.ema_fast),
            ema_share(window.close, settings.ema_slow),
            wilder_share(plus, settings.adx_len),
            wilder_share(minus, settings.adx_len),
        )

    @property
    def bars(self) -> int:
        """The window's length."""
        return len(self.window)

    def in_one_piece(self) -> Self:
        """Recompute the shares from the whole window; equal bars give equal bits."""
        return self.of(self.settings, self.window)

    def prepend(self, older: Window) -> Self:
        """Return the evidence of ``older``, which ends where this window begins, and of this."""
        return self.of(self.settings, older).then(self)

    def then(self, newer: Self) -> Self:
        """Return the evidence of this window followed by ``newer``."""
        s, last, first = self.settings, self.window[-1:], newer.window[:1]
        plus, minus = directional_movement(
            float(first.high[0]), float(first.low[0]), float(last.high[0]), float(last.low[0])
        )
        kept = wilder_decay(s.adx_len)
        return type(self)(
            s,
            self.window.then(newer.window),
            _followed(self.ema_fast, newer.ema_fast, ema_decay(s.ema_fast)),
            _followed(self.ema_slow, newer.ema_slow, ema_decay(s.ema_slow)),
            _followed(self.plus_dm, newer.plus_dm, kept, plus / s.adx_len),
            _followed(self.minus_dm, newer.minus_dm, kept, minus / s.adx_len),
        )


def ema_decay(period: int) -> float:
    """Return the factor by which one bar decays an EMA: 1 − α."""
    return 1.0 - 2.0 / (period + 1)


def wilder_decay(period: int) -> float:
    """Return the factor by which one bar decays a Wilder average: (n−1)/n."""
    return (period - 1) / period


def ema_share(values: Floats, period: int) -> Floats:
    """Return the EMA after each value if it was 0 before the first one."""
    return decayed_sums(2.0 / (period + 1) * values, ema_decay(period))


def wilder_share(values: Floats, period: int) -> Floats:
    """Return Wilder's average after each value if it was 0 before the first one."""
    return decayed_sums(values / period, wilder_decay(period))


def _followed(older: Floats, newer: Floats, decay: float, joining: float = 0.0) -> Floats:
    """Join the shares of two adjacent windows.

    ``joining`` is the share of the newer window's first DM, which needs the older one's last bar.
    """
    left = (decay * older[-1] + joining) * powers(decay, len(newer))
    return np.concatenate((older, newer + left))
