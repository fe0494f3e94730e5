"""What a window of closed bars says about the detector's averages, whatever was before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from warmup_job.proof.recurrence import Floats, decayed_sums, powers
from warmup_job.regime.detector import DetectorSettings
from warmup_job.regime.indicators import directional_movement

LEAST_PRICE, MOST_PRICE = 1e-100, 1e100
"""No market is outside; within, no product or quotient of the detector overflows or vanishes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lowest low and the highest high that the symbol ever had, up to and including now."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not LEAST_PRICE <= self.low <= self.high <= MOST_PRICE:
            raise ValueError(f"no bounds of prices: low {self.low}, high {self.high}")

    def including(self, window: Window) -> Bounds:
        """These, widened by bars that have been seen: they are facts."""
        seen = window.bounds
        return Bounds(min(self.low, seen.low), max(self.high, seen.high))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Closed bars that follow each other, oldest first, in columns."""

    high: Floats
    low: Floats
    close: Floats

    @classmethod
    def of(cls, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> Self:
        """From columns of prices, which are copied.

        Raises:
            ValueError: no bars, columns of different lengths, or what cannot be prices.
        """
        highs, lows, closes = (np.array(each, dtype=np.float64) for each in (high, low, close))
        if highs.ndim != 1 or not highs.shape == lows.shape == closes.shape or not len(highs):
            raise ValueError("a window is three columns of equal length with at least one bar")
        # A NaN fails every comparison.
        ordered = (lows >= LEAST_PRICE) & (lows <= closes) & (closes <= highs)
        if not (ordered & (highs <= MOST_PRICE)).all():
            raise ValueError("a bar is not low ≤ close ≤ high, or has what cannot be prices")
        return cls(highs, lows, closes)

    def __len__(self) -> int:
        return len(self.close)

    @property
    def bounds(self) -> Bounds:
        """Its own lowest low and highest high."""
        return Bounds(float(self.low.min()), float(self.high.max()))

    @property
    def last_close(self) -> float:
        """The price that bps are told of."""
        return float(self.close[-1])

    def __getitem__(self, part: slice) -> Self:
        return type(self)(self.high[part], self.low[part], self.close[part])

    def then(self, newer: Self) -> Self:
        """These bars and those after them as one window."""
        return type(self)(
            np.concatenate((self.high, newer.high)),
            np.concatenate((self.low, newer.low)),
            np.concatenate((self.close, newer.close)),
        )

    def movements(self) -> tuple[Floats, Floats]:
        """(+DM, −DM) of every bar as `directional_movement` has them; 0 at the first, unknown."""
        up, down = np.zeros(len(self)), np.zeros(len(self))
        up[1:], down[1:] = self.high[1:] - self.high[:-1], self.low[:-1] - self.low[1:]
        plus = np.where((up > down) & (up > 0.0), up, 0.0)
        return plus, np.where((down > up) & (down > 0.0), down, 0.0)

    def true_ranges(self) -> Floats:
        """Every bar's true range as `true_range` has it; 0 at the first, unknown."""
        reach = np.zeros(len(self))
        high, low, before = self.high[1:], self.low[1:], self.close[:-1]
        reach[1:] = np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))
        return reach


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
