"""Where the detector's averages can be, bar by bar: bands over every past that a window allows.

What can have been before the window's first bar:

- a detector that has run for ever: each EMA in [low, high] of all prices; the Wilder averages of
  +DM and −DM are P, M ≥ 0 with P + M ≤ high − low, because a bar's +DM and −DM are never both
  above 0, neither is above the whole range, and both are averaged alike; ADX in [0, 100];
- a detector that started a few bars before, so that its seeds fall into the window;
- one that started with the window's first bar: ours.

Roundings: every average here is a sum of positive parts with positive weights, so no rounding
grows by cancelling. A step of the detector makes at most 7 (each of 2⁻⁵³, relative to the average:
3 in α·(value − v), which is below v + value, the rest in the sums; a Wilder step makes 3), and an
average forgets them as it forgets its bars, so that one that has run for ever carries those of
some ``period`` bars. The sums here make fewer than 16 for each bar (mostly of decay^i, see
`decayed_sums`), and DX at most doubles what its parts have. 64 for each bar of the window and of
the longest period (`_rounding`) is more than all together; every band is widened by it, relative
to the price for an EMA, to the whole 100 points for DX and ADX.
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
"""Smoothed movement (price units) below which DX is taken to be anywhere. Far below it floats get
denormal and lose their relative precision, also as a share of the largest true range (1e100)."""


class Band(NamedTuple):
    """The lowest and highest possible value after each bar."""

    low: Floats
    high: Floats


class Bands(NamedTuple):
    """The averages by which the regime is judged."""

    fast: Band
    """Price units; means nothing before `seeded_bar`, as does ``slow``."""
    slow: Band
    adx: Band
    """Points. One that does not count yet makes nothing SIDEWAYS: it stands here as 100."""


def seeded_bar(settings: DetectorSettings) -> int:
    """The bar (index) with which both EMAs of a detector that started at bar 0 have values."""
    return max(settings.ema_fast, settings.ema_slow) - 1


def bands_of_every_past(evidence: Evidence, bounds: Bounds) -> Bands:
    """The bands of every detector that ends with these bars, wherever it started.

    ``bounds`` must include the window's bars.
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
    """The bands of the one detector that starts with the first bar: as wide as roundings."""
    s, closes, n = evidence.settings, evidence.window.close, evidence.settings.adx_len
    slack = _rounding(s, evidence.bars, evidence.window.bounds)
    # Its Wilder averages begin with the second bar's whole movement, not with 1/n of it: as if
    # they had been that before it.
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
    """ADX over every past, 100 standing for one that does not count yet.

    ``plus`` and ``minus`` are the window's shares in the averages of ±DM.
    """
    anywhere = (bounds.high - bounds.low) * (1.0 + slack)
    dx = _dx_band(plus, minus, anywhere * powers(wilder_decay(period), len(plus)), slack)
    # ADX seeds within the window (the mean of the last n DX, those before the window in [0, 100])
    # need no place of their own: each known DX weighs 1/n in them, and at most that in the Wilder
    # average that was 0 or 100 at the window's first bar.
    low = _wilder(-100.0 * slack, dx.low[1:], period)
    high = _wilder(100.0 + 100.0 * slack, dx.high[1:], period)
    high[: 2 * period - 1] = 100.0  # the ADX of who started with the window does not count yet
    return Band(low, high)


def atr_error(window: Window, period: int, bounds: Bounds) -> float:
    """How far the average true range can be from that of a detector started with the window.

    Price units, at the last bar. After the first bar it was anywhere up to high − low (a true
    range is no more); one started with the window is as if it had been the second bar's.
    """
    widest = bounds.high - bounds.low
    second = float(window[:2].true_ranges()[-1])  # of one bar: 0, as good as any
    left = float(powers(wilder_decay(period), len(window))[-1])
    return left * max(second, widest - second) + 2.0 * rounding(period, len(window)) * widest


def rounding(longest: int, bars: int) -> float:
    """How far roundings can have moved anything, relatively: 64 of 2⁻⁵³ for each bar."""
    return 2.0**-47 * (bars + longest)


def _rounding(s: DetectorSettings, bars: int, bounds: Bounds) -> float:
    slack = rounding(max(s.ema_fast, s.ema_slow, s.adx_len, s.atr_len), bars)
    if 1 in {s.ema_fast, s.ema_slow}:
        # v + 1·(close − v) loses digits of the close where v, one bar before, was far above it.
        slack += 2.0**-50 * bounds.high / bounds.low
    return slack


def _seed(closes: Floats) -> tuple[float, float]:
    """The EMA of a detector that started at bar 0, at its n-th bar: the mean of n closes."""
    mean = math.fsum(closes) / len(closes)
    return mean, mean


def _seed_of_any(closes: Floats, bounds: Bounds) -> tuple[float, float]:
    """Where an EMA can be at its n-th bar, from its first n closes.

    At each bar it stepped, from anywhere in its band, or got its seed: the mean of this bar's and
    the earlier closes, and of others before the window, anywhere within the bounds, up to n.
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
    """An EMA's band from where it can be at its n-th bar; anywhere before."""
    low, high = np.zeros(len(share)), np.full(len(share), math.inf)
    at = period - 1
    if at < len(share):
        fading = powers(ema_decay(period), len(share) - at)
        low[at:] = (share[at:] + (seed[0] - share[at]) * fading) * (1.0 - slack)
        high[at:] = (share[at:] + (seed[1] - share[at]) * fading) * (1.0 + slack)
    return Band(low, high)


def _dx_band(plus: Floats, minus: Floats, unknown: Floats, slack: float) -> Band:
    """DX = 100·|P − M|/(P + M), where P = plus + x, M = minus + y, x, y ≥ 0, x + y ≤ unknown.

    The signed ratio rises with x and falls with y, so its extremes are where all that is unknown
    is on one side. True range cancels out of DX, except where it is 0 and DX 0 by definition: but
    then P = M = 0 too, no movement is known, and DX is anywhere.
    """
    known, apart = plus + minus, np.abs(plus - minus)
    all_of_it = known + unknown
    solid = known > FADED
    low, high = np.zeros(len(known)), np.full(len(known), 100.0)
    np.divide(100.0 * (apart - unknown), all_of_it, out=low, where=solid)
    np.divide(100.0 * (apart + unknown), all_of_it, out=high, where=solid)
    margin = 100.0 * slack
    return Band(np.maximum(low, 0.0) - margin, np.minimum(high, 100.0) + margin)


def _wilder(first: float, values: Floats, period: int) -> Floats:
    """Wilder's average that is ``first`` and then steps with each value."""
    steps = np.empty(len(values) + 1)
    steps[0] = first
    steps[1:] = values / period
    return decayed_sums(steps, wilder_decay(period))


def _seeded_adx(dx: Floats, period: int) -> Floats:
    """ADX seeded with the mean of the first n DX (bars 1 to n); 100 while it does not count."""
    adx = np.full(len(dx), 100.0)
    counts = 2 * period - 1
    if counts < len(dx):
        seed = math.fsum(dx[1 : period + 1]) / period
        adx[counts:] = _wilder(seed, dx[period + 1 :], period)[counts - period :]
    return adx
