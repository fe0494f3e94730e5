"""Bands of the detector's averages after each bar: the values that some history would give.

A history before the window's first bar is one of:

- infinitely many bars: each EMA is in [low, high] of all prices; the Wilder averages of +DM and
  −DM are P, M ≥ 0 with P + M ≤ high − low, because at most one of a bar's +DM and −DM is above 0,
  neither exceeds the whole range, and both have the same weights; ADX is in [0, 100];
- a few bars, so that the seeds of the averages fall into the window;
- none: the detector starts with the window's first bar.

Rounding errors: every average here is a sum of positive terms with positive weights, so errors do
not grow by cancellation. One step of the detector makes at most 7 roundings of 2⁻⁵³, relative to
the average (3 in α·(value − v), which is below v + value, the others in the sums; a Wilder step
makes 3). An average forgets them as it forgets its bars, so it carries those of about ``period``
bars. The sums here make fewer than 16 per bar (mostly in decay^i, see `decayed_sums`), and DX at
most doubles the error of its parts. `rounding` therefore allows 64 for each bar of the window and
of the longest period. Every band is widened by it: relative to the price for an EMA, and by that
share of 100 points for DX and ADX.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from warmup_job.proof.evidence import Evidence, ema_decay, wilder_decay
from warmup_job.proof.recurrence import Floats, decayed_sums, powers
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings

FADED = 1e-190
"""Smoothed movement (price units) up to which DX counts as unknown, 0 to 100. Far below it floats
are denormal and lose relative precision, also as a share of the largest true range (1e100)."""


class Band(NamedTuple):
    """The lowest and highest possible value after each bar."""

    low: Floats
    high: Floats


class Bands(NamedTuple):
    """The bands of the averages that decide the regime."""

    fast: Band
    """Price units; undefined before `seeded_bar`, like ``slow``."""
    slow: Band
    adx: Band
    """Points. An ADX that does not count yet is 100, because it never makes the regime SIDEWAYS."""


def seeded_bar(settings: DetectorSettings) -> int:
    """Return the index of the bar from which both EMAs of a detector started at bar 0 exist."""
    return max(settings.ema_fast, settings.ema_slow) - 1


def bands_of_every_past(evidence: Evidence, bounds: Bounds) -> Bands:
    """Return the bands of every detector whose last bars are the window, whenever it started.

    Args:
        evidence: The window and the known parts of the averages.
        bounds: The symbol's lowest and highest price ever; they must include the window's.
    """
    s, closes = evidence.settings, evidence.window.close
    slack = _rounding(s, evidence.bars, bounds)
    fast_seed = _seed_of_any(closes[: s.ema_fast], bounds)
    slow_seed = _seed_of_any(closes[: s.ema_slow], bounds)
    return Bands(
        _ema_band(evidence.ema_fast, s.ema_fast, fast_seed, slack),
        _ema_band(evidence.ema_slow, s.ema_slow, slow_seed, slack),
        adx_band(evidence.plus_dm, evidence.minus_dm, s.adx_len, bounds, slack),
    )


def bands_of_this_start(evidence: Evidence) -> Bands:
    """Return the bands of the detector that starts with the window: as wide as rounding errors."""
    s, closes, n = evidence.settings, evidence.window.close, evidence.settings.adx_len
    slack = _rounding(s, evidence.bars, evidence.window.bounds)
    # Its Wilder averages start with the second bar's whole movement, not with 1/n of it, as if they
    # had had this value before that bar.
    plus, minus = evidence.plus_dm, evidence.minus_dm
    left = powers(wilder_decay(n), evidence.bars)
    if evidence.bars > 1:
        plus, minus = (share + share[1] * n * left for share in (plus, minus))
    dx = _dx_band(plus, minus, np.zeros(evidence.bars), slack)
    return Bands(
        _ema_band(evidence.ema_fast, s.ema_fast, _seed(closes[: s.ema_fast]), slack),
        _ema_band(evidence.ema_slow, s.ema_slow, _seed(closes[: s.ema_slow]), slack),
        Band(_seeded_adx(dx.low, n), _seeded_adx(dx.high, n)),
    )


def adx_band(plus: Floats, minus: Floats, period: int, bounds: Bounds, slack: float) -> Band:
    """Return the band of ADX over every history, in points; 100 while it may not count yet.

    Args:
        plus: The window's part of the Wilder average of +DM (`wilder_share`).
        minus: The same of −DM.
        period: ADX's period in bars.
        bounds: The symbol's lowest and highest price ever.
        slack: The relative rounding error (`rounding`).
    """
    unknown = (bounds.high - bounds.low) * (1.0 + slack)
    dx = _dx_band(plus, minus, unknown * powers(wilder_decay(period), len(plus)), slack)
    # An ADX seeded within the window (the mean of n DX, some of them before the window and in
    # [0, 100]) is inside this band: each known DX has the weight 1/n in it, and at most that weight
    # in the Wilder average that was 0 or 100 at the window's first bar.
    low = _wilder(-100.0 * slack, dx.low[1:], period)
    high = _wilder(100.0 + 100.0 * slack, dx.high[1:], period)
    high[: 2 * period - 1] = 100.0  # of a detector started with the window, it does not count yet
    return Band(low, high)


def atr_error(window: Window, period: int, bounds: Bounds) -> float:
    """Return the largest ATR difference to a detector started with the window, at the last bar.

    After the first bar ATR was between 0 and high − low, because a true range is no larger. The
    detector started with the window behaves as if it had been the second bar's true range.

    Returns:
        Price units.
    """
    widest = bounds.high - bounds.low
    # 0 for a window of one bar, which is a valid value too.
    second = float(window[:2].true_ranges()[-1])
    left = float(powers(wilder_decay(period), len(window))[-1])
    return left * max(second, widest - second) + 2.0 * rounding(period, len(window)) * widest


def rounding(longest: int, bars: int) -> float:
    """Return the largest relative rounding error of an average: 64 · 2⁻⁵³ for each bar."""
    return 2.0**-47 * (bars + longest)


def _rounding(s: DetectorSettings, bars: int, bounds: Bounds) -> float:
    slack = rounding(max(s.ema_fast, s.ema_slow, s.adx_len, s.atr_len), bars)
    if 1 in {s.ema_fast, s.ema_slow}:
        # With α = 1, v + 1·(close − v) loses digits of the close where v was far above it.
        slack += 2.0**-50 * bounds.high / bounds.low
    return slack


def _seed(closes: Floats) -> tuple[float, float]:
    """Return the EMA after the n-th bar of a detector started at bar 0: the mean of n closes."""
    mean = math.fsum(closes) / len(closes)
    return mean, mean


def _seed_of_any(closes: Floats, bounds: Bounds) -> tuple[float, float]:
    """Return the lowest and highest EMA after the window's n-th bar, for any start.

    At each bar the EMA either made a step from anywhere in its band, or got its seed: the mean of
    n closes, those before the window anywhere within the bounds.
    """
    period = len(closes)
    alpha = 2.0 / (period + 1)
    low, high = bounds.low, bounds.high
    low_sum, high_sum = period * low, period * high
    for close in closes.tolist():
        low_sum += close - bounds.low
        high_sum -= bounds.high - close
        low = min(low + alpha * (close - low), low_sum / period)
        high = max(high + alpha * (close - high), high_sum / period)
    return low, high


def _ema_band(share: Floats, period: int, seed: tuple[float, float], slack: float) -> Band:
    """Return an EMA's band, given its values after the n-th bar; it is unbounded before."""
    low, high = np.zeros(len(share)), np.full(len(share), math.inf)
    at = period - 1
    if at < len(share):
        fading = powers(ema_decay(period), len(share) - at)
        low[at:] = (share[at:] + (seed[0] - share[at]) * fading) * (1.0 - slack)
        high[at:] = (share[at:] + (seed[1] - share[at]) * fading) * (1.0 + slack)
    return Band(low, high)


def _dx_band(plus: Floats, minus: Floats, unknown: Floats, slack: float) -> Band:
    """Return the band of DX = 100·|P − M|/(P + M), P = plus + x, M = minus + y, x + y ≤ unknown.

    The signed ratio rises with x ≥ 0 and falls with y ≥ 0, so its extremes are where the whole
    unknown movement is on one side. True range cancels out of DX, except where it is 0 and DX is 0
    by definition. Then P = M = 0, no movement is known, and the band is 0 to 100 anyway.
    """
    known, difference = plus + minus, np.abs(plus - minus)
    total = known + unknown
    solid = known > FADED
    low, high = np.zeros(len(known)), np.full(len(known), 100.0)
    np.divide(100.0 * (difference - unknown), total, out=low, where=solid)
    np.divide(100.0 * (difference + unknown), total, out=high, where=solid)
    margin = 100.0 * slack
    return Band(np.maximum(low, 0.0) - margin, np.minimum(high, 100.0) + margin)


def _wilder(first: float, values: Floats, period: int) -> Floats:
    """Return Wilder's average that starts with ``first`` and then takes in each value."""
    steps = np.empty(len(values) + 1)
    steps[0] = first
    steps[1:] = values / period
    return decayed_sums(steps, wilder_decay(period))


def _seeded_adx(dx: Floats, period: int) -> Floats:
    """Return ADX, seeded with the mean of the first n DX (bars 1 to n); 100 until it counts."""
    adx = np.full(len(dx), 100.0)
    counts = 2 * period - 1
    if counts < len(dx):
        seed = math.fsum(dx[1 : period + 1]) / period
        adx[counts:] = _wilder(seed, dx[period + 1 :], period)[counts - period :]
    return adx
