"""Declared indicators held against those that the strategy has registered."""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_trader.indicators import Indicator

KINDS = {
    "SimpleMovingAverage": "sma",
    "ExponentialMovingAverage": "ema",
    "WilderMovingAverage": "wilder",
    "AverageTrueRange": "atr",
}
"""Nautilus' indicators that `warmup.indicators` has a kind for; it has no ADX."""


def differences(declared: Iterable[tuple[str, int]], registered: Iterable[Indicator]) -> list[str]:
    """What is only declared, and what is only registered, one line each."""
    there = {_name(indicator): indicator for indicator in registered}
    said = {f"{kind} {period}" for kind, period in declared}
    lines = [
        f"warmup.indicators declares {name}, which the strategy has not registered: is it fed by "
        "hand?"
        for name in sorted(said - there.keys())
    ]
    lines += [
        f"the strategy has registered {indicator}, which warmup.indicators does not declare: "
        "nobody has counted the bars that it needs"
        for name, indicator in sorted(there.items())
        if name not in said
    ]
    return lines


def _name(indicator: Indicator) -> str:
    name = type(indicator).__name__
    return f"{KINDS.get(name, name)} {getattr(indicator, 'period', '')}".rstrip()
