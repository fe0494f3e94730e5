"""The closed bars that a certificate judges, and the bounds of a symbol's prices. Pure."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from warmup_job.proof.recurrence import Floats

LEAST_PRICE, MOST_PRICE = 1e-100, 1e100
"""Prices within this range keep every product and quotient of the detector a normal float."""


class Bounds(msgspec.Struct, frozen=True):
    """The lowest low and the highest high of a symbol's whole history."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not LEAST_PRICE <= self.low <= self.high <= MOST_PRICE:
            raise ValueError(f"invalid price bounds: low {self.low}, high {self.high}")

    def including(self, window: Window) -> Bounds:
        """Return the bounds, widened to include a window's bars."""
        seen = window.bounds
        return Bounds(min(self.low, seen.low), max(self.high, seen.high))


class Window(msgspec.Struct, frozen=True, eq=False):
    """Contiguous closed bars in columns, oldest first."""

    high: Floats
    low: Floats
    close: Floats

    @classmethod
    def of(cls, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> Self:
        """Copy columns of prices (numbers or decimal text).

        Raises:
            ValueError: There are no bars, the lengths differ, or a value cannot be a price.
        """
        highs, lows, closes = (np.array(each, dtype=np.float64) for each in (high, low, close))
        if highs.ndim != 1 or not highs.shape == lows.shape == closes.shape or not len(highs):
            raise ValueError("a window needs three columns of equal length with at least one bar")
        # A NaN fails every comparison.
        ordered = (lows >= LEAST_PRICE) & (lows <= closes) & (closes <= highs)
        if not (ordered & (highs <= MOST_PRICE)).all():
            raise ValueError("a bar is not low ≤ close ≤ high, or a value cannot be a price")
        return cls(highs, lows, closes)

    def __len__(self) -> int:
        return len(self.close)

    @property
    def bounds(self) -> Bounds:
        """The window's own lowest low and highest high."""
        return Bounds(float(self.low.min()), float(self.high.max()))

    @property
    def last_close(self) -> float:
        """The last close, to which errors in bps refer."""
        return float(self.close[-1])

    def __getitem__(self, part: slice) -> Self:
        return type(self)(self.high[part], self.low[part], self.close[part])

    def then(self, newer: Self) -> Self:
        """Return these bars followed by ``newer``, as one window."""
        return type(self)(
            np.concatenate((self.high, newer.high)),
            np.concatenate((self.low, newer.low)),
            np.concatenate((self.close, newer.close)),
        )

    def movements(self) -> tuple[Floats, Floats]:
        """Return (+DM, −DM) of every bar (see `directional_movement`); 0 for the first bar."""
        up, down = np.zeros(len(self)), np.zeros(len(self))
        up[1:], down[1:] = self.high[1:] - self.high[:-1], self.low[:-1] - self.low[1:]
        plus = np.where((up > down) & (up > 0.0), up, 0.0)
        return plus, np.where((down > up) & (down > 0.0), down, 0.0)

    def true_ranges(self) -> Floats:
        """Return every bar's true range (see `true_range`); 0 for the first bar."""
        reach = np.zeros(len(self))
        high, low, before = self.high[1:], self.low[1:], self.close[:-1]
        reach[1:] = np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))
        return reach
