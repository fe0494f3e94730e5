"""The detector equals the one that its users tuned: every formula against an independent one."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import talib
from msgspec.structs import replace

from warmup_job.proof.bar_counts import auto_bar_counts
from warmup_job.regime.detector import DetectorBar, DetectorSettings, Regime, RegimeDetector

SETTINGS = DetectorSettings(ema_fast=5, ema_slow=12, adx_len=6, atr_len=4, hysteresis_bps=10)


def market(
    count: int, seed: int = 1, drift: float = 0.0, noise: float = 0.001
) -> list[DetectorBar]:
    rng, price, bars = random.Random(seed), 100.0, []
    for _ in range(count):
        opened = price
        price *= math.exp(drift + rng.gauss(0, noise))
        high = max(opened, price) * (1 + abs(rng.gauss(0, noise / 2)))
        low = min(opened, price) * (1 - abs(rng.gauss(0, noise / 2)))
        bars.append(DetectorBar(opened, high, low, price, 1.0))
    return bars


def feed(bars: list[DetectorBar], settings: DetectorSettings = SETTINGS) -> RegimeDetector:
    detector = RegimeDetector(settings)
    for bar in bars:
        detector.update(bar)
    return detector


def wilder(values: list[float], n: int) -> list[float]:
    out = [values[0]]
    for value in values[1:]:
        out.append((out[-1] * (n - 1) + value) / n)
    return out


def reference(bars: list[DetectorBar], s: DetectorSettings) -> dict[str, float]:
    """Compute the same formulas over whole lists, without the detector's code."""

    def ema(n: int) -> float:
        value = sum(bar.close for bar in bars[:n]) / n
        for bar in bars[n:]:
            value = 2 / (n + 1) * bar.close + (1 - 2 / (n + 1)) * value
        return value

    ranges, plus, minus = [], [], []
    for before, bar in zip(bars, bars[1:], strict=False):
        ranges.append(max(bar.high, before.close) - min(bar.low, before.close))
        up, down = bar.high - before.high, before.low - bar.low
        plus.append(max(up, 0.0) if up > down else 0.0)
        minus.append(max(down, 0.0) if down > up else 0.0)
    smooth = [wilder(series, s.adx_len) for series in (ranges, plus, minus)]
    dx = [100 * abs(p - m) / (p + m) if p + m else 0.0 for r, p, m in zip(*smooth, strict=True)]
    adx = sum(dx[: s.adx_len]) / s.adx_len
    for value in dx[s.adx_len :]:
        adx = (adx * (s.adx_len - 1) + value) / s.adx_len
    return {
        "ema_fast": ema(s.ema_fast),
        "ema_slow": ema(s.ema_slow),
        "adx": adx,
        "atr": wilder(ranges, s.atr_len)[-1],
    }


@pytest.mark.parametrize("seed", range(5))
def test_detector_values_equal_the_formulas(seed: int) -> None:
    bars = market(150, seed)
    detector = feed(bars)
    for name, expected in reference(bars, SETTINGS).items():
        assert getattr(detector, name) == pytest.approx(expected, rel=1e-12), name


def test_detector_is_cold_until_every_indicator_has_its_bars() -> None:
    bars = market(13)
    assert not feed(bars[:11]).is_warm
    assert feed(bars[:12]).is_warm  # ema_slow 12, 2 × adx_len 12
    late_adx = replace(SETTINGS, adx_len=7)
    assert not feed(bars, late_adx).is_warm
    assert feed(market(14), late_adx).is_warm


def test_detector_names_trends() -> None:
    assert feed(market(60, drift=0.002, noise=0.0002)).regime is Regime.UP
    assert feed(market(60, drift=-0.002, noise=0.0002)).regime is Regime.DOWN
    assert feed(market(60)[:11]).regime is Regime.SIDEWAYS  # EMAs not seeded


def test_detector_weak_adx_is_sideways_for_any_averages() -> None:
    zigzag = [DetectorBar(100, 101 + 0.05 * i, 99 + 0.05 * i, 100 + 0.05 * i, 1) for i in range(40)]
    chop = [
        bar._replace(high=bar.high + (3 if i % 2 else 0), low=bar.low - (0 if i % 2 else 3))
        for i, bar in enumerate(zigzag)
    ]
    detector = feed(chop)
    assert detector.adx is not None
    assert detector.adx < 20
    assert detector.regime is Regime.SIDEWAYS


def test_detector_keeps_its_regime_within_the_hysteresis() -> None:
    rising = market(60, drift=0.002, noise=0.0002)
    detector = feed(rising)
    peak = rising[-1].close
    wide = feed(rising, replace(SETTINGS, hysteresis_bps=100_000))
    assert wide.regime is Regime.SIDEWAYS  # never left its start
    crossed = False
    for step in range(1, 30):
        price = peak * (1 - 0.0012 * step)
        detector.update(DetectorBar(price, price * 1.0001, price * 0.9999, price, 1))
        assert detector.ema_fast is not None
        assert detector.ema_slow is not None
        apart_bps = (detector.ema_fast - detector.ema_slow) / detector.ema_slow * 10_000
        if abs(apart_bps) < 10 and (detector.adx or 0) >= 20:
            crossed = True
            assert detector.regime is Regime.UP
        if apart_bps < -10 and (detector.adx or 0) >= 20:
            assert detector.regime is Regime.DOWN
    assert crossed


def test_detector_divides_by_no_zero_in_a_halted_market() -> None:
    flat = [DetectorBar(5, 5, 5, 5, 0)] * 60
    detector = feed(flat)
    assert (detector.adx, detector.atr, detector.regime) == (0.0, 0.0, Regime.SIDEWAYS)


def test_detector_state_is_the_same_bit_for_bit_for_the_same_bars() -> None:
    bars = market(500, seed=9)
    first, second = feed(bars), feed(bars)
    assert (first.ema_slow, first.adx, first.atr) == (second.ema_slow, second.adx, second.atr)


@pytest.mark.parametrize("seed", range(3))
def test_detector_values_equal_ta_libs(seed: int) -> None:
    """TA-Lib sums where Wilder averages, and starts differently: both converge to one value."""
    bars = market(2000, seed)
    detector = feed(bars)
    high, low, close = (
        np.array([getattr(bar, name) for bar in bars]) for name in ("high", "low", "close")
    )
    s = SETTINGS
    expected = {
        "ema_fast": talib.EMA(close, s.ema_fast),
        "ema_slow": talib.EMA(close, s.ema_slow),
        "adx": talib.ADX(high, low, close, s.adx_len),
        "atr": talib.ATR(high, low, close, s.atr_len),
    }
    for name, series in expected.items():
        assert getattr(detector, name) == pytest.approx(series[-1], rel=1e-9), name


def test_detector_auto_bar_counts_are_fixed_and_end_at_max_bars() -> None:
    usual = DetectorSettings(20, 50, 14, 14, 10)
    assert auto_bar_counts(usual.least_bars, 1000) == (70, 125, 250, 499, 998, 1000)
    assert auto_bar_counts(usual.least_bars, 3000)[-2:] == (2994, 3000)
    assert auto_bar_counts(replace(usual, ema_slow=200).least_bars, 600) == (220, 250, 499, 600)
    assert auto_bar_counts(usual.least_bars, 70) == (70,)
    assert auto_bar_counts(usual.least_bars, 30) == (30,)
