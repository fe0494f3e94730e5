"""The detector's indicators. Their formulas must not change: users have tuned settings to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


@dataclass(slots=True)
class Ema:
    """Exponential moving average: seeded with the mean of the first n values, then α = 2/(n+1)."""

    period: int
    value: float | None = None
    _seed: list[float] = field(default_factory=list)
    _alpha: float = field(init=False)

    def __post_init__(self) -> None:
        self._alpha = 2.0 / (self.period + 1)

    def update(self, value: float) -> None:
        """Take in the next value."""
        before = self.value
        if before is not None:
            self.value = before + self._alpha * (value - before)
            return
        self._seed.append(value)
        if len(self._seed) == self.period:
            self.value = sum(self._seed) / self.period
            self._seed.clear()


class Wilder(msgspec.Struct):
    """Wilder's smoothing (x·(n−1) + new)/n, starting from the first value."""

    period: int
    value: float | None = None

    def update(self, value: float) -> None:
        """Take in the next value."""
        before, period = self.value, self.period
        self.value = value if before is None else (before * (period - 1) + value) / period


@dataclass(slots=True)
class Adx:
    """Average directional index from smoothed true range (TR) and directional movement (DM).

    DI = 100·DM/TR; DX = 100·|+DI − −DI|/(+DI + −DI); ADX is the mean of the first n DX, then
    Wilder's smoothing of DX. Source: J. Welles Wilder, New Concepts in Technical Trading Systems,
    1978.
    """

    period: int
    _range: float | None = None
    _plus: float = 0.0
    _minus: float = 0.0
    _seed: list[float] = field(default_factory=list)
    _smoothed: Wilder = field(init=False)

    def __post_init__(self) -> None:
        self._smoothed = Wilder(self.period)

    @property
    def value(self) -> float | None:
        """The ADX in points, 0 to 100; None before the n-th DX."""
        return self._smoothed.value

    def update(self, true_range: float, plus_dm: float, minus_dm: float) -> None:
        """Take in one bar's true range and directional movements (price units)."""
        before, n = self._range, self.period
        if before is None:
            self._range, self._plus, self._minus = true_range, plus_dm, minus_dm
        else:
            self._range = (before * (n - 1) + true_range) / n
            self._plus = (self._plus * (n - 1) + plus_dm) / n
            self._minus = (self._minus * (n - 1) + minus_dm) / n
        dx = directional_index(self._range, self._plus, self._minus)
        if self._smoothed.value is not None:
            self._smoothed.update(dx)
            return
        self._seed.append(dx)
        if len(self._seed) == n:
            self._smoothed.value = sum(self._seed) / n
            self._seed.clear()


def directional_index(true_range: float, plus_dm: float, minus_dm: float) -> float:
    """Return DX in points from smoothed values; 0 if nothing has moved (a halted market)."""
    if not true_range:
        return 0.0
    plus_di, minus_di = 100.0 * plus_dm / true_range, 100.0 * minus_dm / true_range
    total = plus_di + minus_di
    return 100.0 * abs(plus_di - minus_di) / total if total else 0.0


def true_range(high: float, low: float, previous_close: float) -> float:
    """Return the true range: the largest of high − low and both distances to the previous close."""
    # Written without max() for speed: it runs for every bar of a long history.
    reach, up, down = high - low, abs(high - previous_close), abs(low - previous_close)
    if up > reach:  # noqa: PLR1730
        reach = up
    return down if down > reach else reach  # noqa: FURB136


def directional_movement(
    high: float, low: float, previous_high: float, previous_low: float
) -> tuple[float, float]:
    """Return (+DM, −DM): the larger move beyond the previous bar's range; the other one is 0."""
    up, down = high - previous_high, previous_low - low
    return (up if up > down and up > 0 else 0.0, down if down > up and down > 0 else 0.0)
