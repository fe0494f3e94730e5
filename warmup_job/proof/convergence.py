"""How many bars make a declared indicator as good as one that has run for ever.

Each value is an average of prices within the symbol's bounds (or of true ranges up to their width,
or of DX between 0 and 100). Two pasts therefore never start further apart than that width, and
from then on every bar that both see leaves the decay of it:

- ``sma``: nothing is left once the period is full;
- ``ema``: α = 2/(n+1), from the mean of the first n values or, as Nautilus has it, from the first;
- ``wilder``: α = 1/n, from either of the two;
- ``atr``: Wilder's average of true range, from the second bar on;
- ``adx``: Wilder's. What its past weighs depends on how much the market moved since, so its error
  is that of given bars (`adx_band`), and its number of bars is found in them.
"""

from __future__ import annotations

from bisect import bisect_left

from warmup_job.proof.bands import adx_band, rounding
from warmup_job.proof.certificate import ADX_CONVERGED, EMA_CONVERGED_BPS
from warmup_job.proof.evidence import ema_decay, wilder_decay, wilder_share
from warmup_job.proof.recurrence import powers
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.indicator_names import BOUNDED

PRICE_CONVERGED_BPS = EMA_CONVERGED_BPS
"""An average of prices or ranges whose error is below this (bps of the last close) converged."""

_DECAYS = {"ema": ema_decay, "wilder": wilder_decay, "atr": wilder_decay}
KINDS = BOUNDED
"""The indicators that have a bound."""


def error_bound(kind: str, period: int, window: Window, bounds: Bounds) -> float | None:
    """The largest possible error after the window's last bar, if the indicator saw only them.

    In bps of the last close; of an ADX in points. None while the indicator has no value.

    Raises:
        ValueError: an unknown kind, or a period below 1.
    """
    _check(kind, period)
    bounds, bars = bounds.including(window), len(window)
    if bars < _first_value(kind, period):
        return None
    if kind == "sma":
        return 0.0
    if kind == "adx":
        return _adx_error(period, window, bounds)
    fading = powers(_DECAYS[kind](period), bars - _first_value(kind, period) + 1)
    return _price_error(float(fading[-1]), period, bars, bounds, window.last_close)


def bars_needed(kind: str, period: int, window: Window, bounds: Bounds) -> int | None:
    """How many bars up to the window's end it takes until the error counts as none.

    ADX is looked for within the window: None if all of it is not enough. Of the others the window
    tells only the price level, and may be shorter than the answer: None if the price is so far
    below the highest ever that roundings alone are above the tolerance.

    Raises:
        ValueError: an unknown kind, or a period below 1.
    """
    _check(kind, period)
    bounds, first = bounds.including(window), _first_value(kind, period)
    if kind == "sma":
        return period
    if kind == "adx":
        # An older bar more can only narrow what is possible.
        candidates = range(first, len(window) + 1)
        enough = bisect_left(
            candidates,
            True,
            key=lambda bars: _adx_error(period, window[-bars:], bounds) < ADX_CONVERGED,
        )
        return candidates[enough] if enough < len(candidates) else None
    left, bars, price = 1.0, first, window.last_close
    while _price_error(left, period, bars, bounds, price) >= PRICE_CONVERGED_BPS:
        if _price_error(0.0, period, bars, bounds, price) >= PRICE_CONVERGED_BPS:
            return None
        left *= _DECAYS[kind](period)
        bars += 1
    return bars


def _check(kind: str, period: int) -> None:
    if kind not in KINDS:
        raise ValueError(
            f"no bound is known for an indicator of kind {kind!r}: give it a count of bars of its"
            f" own (known: {', '.join(KINDS)})"
        )
    if period < 1:
        raise ValueError(f"an indicator has a period of 1 or more, not {period}")


def _first_value(kind: str, period: int) -> int:
    """The number of bars after which the latest of a kind's conventions has a value."""
    return {"atr": period + 1, "adx": 2 * period}.get(kind, period)


def _price_error(left: float, period: int, bars: int, bounds: Bounds, price: float) -> float:
    """bps of ``price``, where ``left`` is what is left of a first difference."""
    widest = left * (bounds.high - bounds.low)
    return (widest + 2.0 * rounding(period, bars) * bounds.high) / price * 10_000.0


def _adx_error(period: int, window: Window, bounds: Bounds) -> float:
    """Points between the lowest and the highest ADX that any past allows after the last bar."""
    plus, minus = (wilder_share(moves, period) for moves in window.movements())
    band = adx_band(plus, minus, period, bounds, rounding(period, len(window)))
    return float(band.high[-1] - band.low[-1])
