"""The regime detector: UP, DOWN or SIDEWAYS after every closed bar."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from warmup_job.regime.indicators import Adx, Ema, Wilder, directional_movement, true_range

ADX_TREND = 20.0
"""Below this ADX (points) the regime is SIDEWAYS."""


Length = Annotated[int, Meta(ge=1, le=100_000)]
"""The period of an average, in bars."""


class Regime(Enum):
    """The market's direction."""

    UP = "UP"
    DOWN = "DOWN"
    SIDEWAYS = "SIDEWAYS"


class DetectorBar(NamedTuple):
    """A closed bar for the detector: prices and base volume as floats, close time in UTC ms."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    close_ms: int | None = None


class DetectorSettings(msgspec.Struct, frozen=True):
    """The detector's settings: periods in bars, hysteresis in bps of the slow EMA."""

    ema_fast: Length
    ema_slow: Length
    adx_len: Length
    atr_len: Length
    hysteresis_bps: Annotated[float, Meta(ge=0, le=1_000_000)]

    @property
    def least_bars(self) -> int:
        """The customary number of warm-up bars, max(ema_slow + 20, 70); it proves nothing."""
        return max(self.ema_slow + 20, 70)


class RegimeDetector:
    """Computes the regime of one stream of closed bars; equal bars give equal bits."""

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self.regime = Regime.SIDEWAYS
        self.bars = 0
        """How many bars it has received."""
        self._fast = Ema(settings.ema_fast)
        self._slow = Ema(settings.ema_slow)
        self._adx = Adx(settings.adx_len)
        self._atr = Wilder(settings.atr_len)
        self._previous: DetectorBar | None = None

    @property
    def ema_fast(self) -> float | None:
        """The fast EMA of closes; None until seeded."""
        return self._fast.value

    @property
    def ema_slow(self) -> float | None:
        """The slow EMA of closes; None until seeded."""
        return self._slow.value

    @property
    def adx(self) -> float | None:
        """ADX in points; None before 2·adx_len bars, when it starts to count."""
        return self._adx.value if self.bars >= 2 * self.settings.adx_len else None

    @property
    def atr(self) -> float | None:
        """Average true range in price units; None before atr_len true ranges."""
        return self._atr.value if self.bars > self.settings.atr_len else None

    @property
    def is_warm(self) -> bool:
        """Whether every indicator has a value."""
        return None not in {self.ema_fast, self.ema_slow, self.adx, self.atr}

    def update(self, bar: DetectorBar) -> Regime:
        """Take in the next closed bar and return the regime after it."""
        self.bars += 1
        self._fast.update(bar.close)
        self._slow.update(bar.close)
        previous = self._previous
        if previous is not None:
            reach = true_range(bar.high, bar.low, previous.close)
            moves = directional_movement(bar.high, bar.low, previous.high, previous.low)
            self._adx.update(reach, *moves)
            self._atr.update(reach)
        self._previous = bar
        self.regime = self._judge()
        return self.regime

    def _judge(self) -> Regime:
        fast, slow, settings = self._fast.value, self._slow.value, self.settings
        if fast is None or slow is None:
            return Regime.SIDEWAYS
        adx = self._adx.value if self.bars >= 2 * settings.adx_len else None
        if adx is not None and adx < ADX_TREND:
            return Regime.SIDEWAYS
        if abs(fast - slow) / slow * 10_000 < settings.hysteresis_bps:
            return self.regime
        return Regime.UP if fast > slow else Regime.DOWN

    def describe(self) -> str:
        """Return the state as one line of text."""
        values = zip(
            ("ema_fast", "ema_slow", "adx", "atr"),
            (self.ema_fast, self.ema_slow, self.adx, self.atr),
            strict=True,
        )
        shown = ", ".join(f"{name} {value:.2f}" for name, value in values if value is not None)
        return f"{self.regime.value} after {self.bars} bars" + (f" ({shown})" if shown else "")
