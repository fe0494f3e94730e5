"""How many bars a detector remembers, for people."""

from __future__ import annotations

from math import ceil, log

from warmup_job.regime.detector import DetectorSettings

_LEFT = 1e-6


def memory_text(settings: DetectorSettings) -> str:
    """Describe after how many bars older data weighs less than 1e-6, average by average.

    An EMA of n bars multiplies older data by 1 − 2/(n+1) at each bar, Wilder's average by (n−1)/n.
    """
    kept = {
        f"fast EMA({settings.ema_fast})": 1 - 2 / (settings.ema_fast + 1),
        f"slow EMA({settings.ema_slow})": 1 - 2 / (settings.ema_slow + 1),
        f"ADX({settings.adx_len})": 1 - 1 / settings.adx_len,
        f"ATR({settings.atr_len})": 1 - 1 / settings.atr_len,
    }
    spans = {name: ceil(log(_LEFT) / log(left)) if left else 1 for name, left in kept.items()}
    listed = ", ".join(f"{name}: {bars}" for name, bars in spans.items())
    return f"bars until older data weighs less than 1e-6: {listed}"
