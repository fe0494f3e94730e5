"""Windows of synthetic and recorded bars for the detector and its certificate."""

from __future__ import annotations

import math
import random
from pathlib import Path

from tests.support.recordings import recorded_rows
from warmup_job.proof.certificate import Certificate
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorBar, DetectorSettings, RegimeDetector

USUAL = DetectorSettings(20, 50, 14, 14, 10)


def named(settings: DetectorSettings) -> str:
    """Return a test's name for settings."""
    return f"{settings.ema_fast}-{settings.ema_slow}-{settings.adx_len}"


SETTINGS = (
    USUAL,
    DetectorSettings(10, 30, 14, 14, 35),
    DetectorSettings(5, 12, 6, 4, 0),
    DetectorSettings(1, 2, 2, 1, 5),
    DetectorSettings(3, 8, 2, 3, 0),
    DetectorSettings(2, 3, 1, 2, 1),
    DetectorSettings(5, 60, 40, 5, 20),
    DetectorSettings(8, 9, 30, 10, 3),
)


def market(seed: int, count: int = 700, *, tick: float = 0.0) -> Window:
    """Return bars with trends, calm, chop, jumps, halts and flat prices."""
    rng = random.Random(seed)
    price = 10.0 ** rng.choice((-8, -2, 2, 2, 2, 5, 9))
    bars: list[tuple[float, float, float]] = []
    while len(bars) < count:
        mood = rng.choice(("trend", "trend", "calm", "chop", "jump", "halt", "inside"))
        drift = rng.choice((-1, 1)) * rng.choice((0.0002, 0.001, 0.004)) if mood == "trend" else 0
        noise = {"trend": 0.0004, "calm": 0.0005, "chop": 0.003}.get(mood, 0.0002)
        if mood == "jump":
            price *= rng.choice((0.3, 0.97, 1.02, 1.2, 4.0))
        for index in range(rng.choice((1, 5, 20, 60, 120))):
            opened = price
            price *= math.exp(drift + rng.gauss(0, noise))
            if tick:
                price = max(round(price / tick), 1) * tick
            high, low = max(opened, price), min(opened, price)
            if mood == "halt":
                price = high = low = opened
            elif mood == "inside":
                price, reach = opened, 0.001 / (1 + index)
                high, low = opened * (1 + reach), opened * (1 - reach)
            elif mood == "chop":
                high, low = (high * 1.003, low) if index % 2 else (high, low * 0.997)
            bars.append((high, low, price))
    return Window.of(*zip(*bars[:count], strict=True))


def feed(window: Window, settings: DetectorSettings = USUAL) -> RegimeDetector:
    detector = RegimeDetector(settings)
    columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
    for high, low, close in zip(*columns, strict=True):
        detector.update(DetectorBar(close, high, low, close, 1.0))
    return detector


def certified(
    window: Window, bounds: Bounds, settings: DetectorSettings = USUAL, **options: bool
) -> Certificate:
    return certify(Evidence.of(settings, window), bounds, **options)


def recorded(path: Path) -> Window:
    rows = recorded_rows(path)
    return Window.of(*([float(row[name]) for row in rows] for name in ("high", "low", "close")))


def counted_market(count: int) -> Window:
    """Return bars computed from integers: the same floats on every machine."""
    number, close, bars = 1, 100_000, []
    for _ in range(count):
        number = number * 48_271 % 2_147_483_647
        opened, close = close, close + number % 301 - 140
        high, low = max(opened, close) + number % 47, min(opened, close) - number % 43
        bars.append((high / 1000, low / 1000, close / 1000))
    return Window.of(*zip(*bars, strict=True))
