"""What a window of closed bars says about the detector's averages, whatever was before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from warmup_job.proof.recurrence import Floats, decayed_sums, powers
from warmup_job.proof.window import Window
from warmup_job.regime.detector import DetectorSettings
from warmup_job.regime.indicators import directional_movement


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A window, and its bars' share in each average: its value had all before been 0.

    Immutable. An older stretch is put in front (`prepend`) without going through the newer bars
    again: their shares gain what is left of the older ones'. That rounds in another order, so
    the last digits depend on the stretches; `in_one_piece` does not.
    """

    settings: DetectorSettings
    window: Window
    ema_fast: Floats
    """Price units, after each bar; so are the others."""
    ema_slow: Floats
    plus_dm: Floats
    """The Wilder average of the +DM that are known: from the second bar on."""
    minus_dm: Floats

    @classmethod
    def of(cls, settings: DetectorSettings, window: Window) -> Self:
        """From the bars."""
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
        """How many bars the window has."""
        return len(self.window)

    def in_one_piece(self) -> Self:
        """The same, made from the whole window anew: equal bars give equal bits."""
        return self.of(self.settings, self.window)

    def prepend(self, older: Window) -> Self:
        """With bars in front that end where these begin."""
        return self.of(self.settings, older).then(self)

    def then(self, newer: Self) -> Self:
        """The evidence of these bars and of those after them."""
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
    """What one bar leaves of an EMA: 1 − α."""
    return 1.0 - 2.0 / (period + 1)


def wilder_decay(period: int) -> float:
    """What one bar leaves of a Wilder average."""
    return (period - 1) / period


def ema_share(values: Floats, period: int) -> Floats:
    """An EMA that was 0 before the first value."""
    return decayed_sums(2.0 / (period + 1) * values, ema_decay(period))


def wilder_share(values: Floats, period: int) -> Floats:
    """A Wilder average that was 0 before the first value."""
    return decayed_sums(values / period, wilder_decay(period))


def _followed(older: Floats, newer: Floats, decay: float, joining: float = 0.0) -> Floats:
    """Two stretches' shares as one's; ``joining`` is the step that only both together tell: the
    newer one's first DM."""
    left = (decay * older[-1] + joining) * powers(decay, len(newer))
    return np.concatenate((older, newer + left))
