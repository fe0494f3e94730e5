"""How many bars a declared indicator needs until older history no longer matters.

Each value is an average of prices within the symbol's bounds (or of true ranges up to their width,
or of DX between 0 and 100). Two histories therefore differ by at most that width, and every bar
that both have multiplies the difference by the decay:

- ``sma``: no difference once the period is full;
- ``ema``: α = 2/(n+1), seeded with the mean of the first n values or, in Nautilus, with the first;
- ``wilder``: α = 1/n, seeded with either of the two;
- ``atr``: Wilder's average of true range, from the second bar on;
- ``adx``: Wilder's. The weight of its history depends on how much the market has moved since, so
  its error is computed for given bars (`adx_band`), and its number of bars is searched in them.
"""

from __future__ import annotations

from bisect import bisect_left

from warmup_job.proof.bands import adx_band, rounding
from warmup_job.proof.certificate import ADX_CONVERGED, EMA_CONVERGED_BPS
from warmup_job.proof.evidence import ema_decay, wilder_decay, wilder_share
from warmup_job.proof.recurrence import powers
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.indicator_names import BOUNDED_KINDS

PRICE_CONVERGED_BPS = EMA_CONVERGED_BPS
"""An average of prices or ranges has converged below this error (bps of the last close)."""

_DECAYS = {"ema": ema_decay, "wilder": wilder_decay, "atr": wilder_decay}


def error_bound(kind: str, period: int, window: Window, bounds: Bounds) -> float | None:
    """Return the largest error, after the window's last bar, of an indicator started with it.

    Args:
        kind: One of `BOUNDED_KINDS`.
        period: The indicator's period in bars.
        window: The bars that the indicator has received.
        bounds: The symbol's lowest and highest price ever.

    Returns:
        Bps of the last close; points for an ADX; None while the indicator has no value.

    Raises:
        ValueError: The kind is unknown, or the period is below 1.
    """
    _check(kind, period)
    bounds, bars = bounds.including(window), len(window)
    if bars < _first_value(kind, period):
        return None
    if kind == "sma":
        return 0.0
    if kind == "adx":
        plus, minus = (wilder_share(moves, period) for moves in window.movements())
        band = adx_band(plus, minus, period, bounds, rounding(period, bars))
        return float(band.high[-1] - band.low[-1])
    fading = powers(_DECAYS[kind](period), bars - _first_value(kind, period) + 1)
    return _price_error(float(fading[-1]), period, bars, bounds, window.last_close)


def bars_needed(kind: str, period: int, window: Window, bounds: Bounds) -> int | None:
    """Return how many bars up to the window's end an indicator needs to converge.

    The answer for ADX is searched in the window. The other kinds need only the window's price
    level, and the answer may exceed its length.

    Args:
        kind: One of `BOUNDED_KINDS`.
        period: The indicator's period in bars.
        window: The newest closed bars.
        bounds: The symbol's lowest and highest price ever.

    Returns:
        None if the whole window is not enough for ADX, or if the price is so far below the highest
        ever that rounding errors alone exceed the tolerance.

    Raises:
        ValueError: The kind is unknown, or the period is below 1.
    """
    _check(kind, period)
    bounds, first = bounds.including(window), _first_value(kind, period)
    if kind == "sma":
        return period
    if kind == "adx":
        # More bars can only narrow the band, so a bisection finds the smallest number.
        def converges(bars: int) -> bool:
            error = error_bound(kind, period, window[-bars:], bounds)
            return error is not None and error < ADX_CONVERGED

        candidates = range(first, len(window) + 1)
        enough = bisect_left(candidates, True, key=converges)
        return candidates[enough] if enough < len(candidates) else None
    left, bars, price = 1.0, first, window.last_close
    while _price_error(left, period, bars, bounds, price) >= PRICE_CONVERGED_BPS:
        if _price_error(0.0, period, bars, bounds, price) >= PRICE_CONVERGED_BPS:
            return None
        left *= _DECAYS[kind](period)
        bars += 1
    return bars


def _check(kind: str, period: int) -> None:
    if kind not in BOUNDED_KINDS:
        raise ValueError(
            f"an indicator of kind {kind!r} has no known bound: set its number of bars (kinds with"
            f" a bound: {', '.join(BOUNDED_KINDS)})"
        )
    if period < 1:
        raise ValueError(f"an indicator's period must be at least 1, not {period}")


def _first_value(kind: str, period: int) -> int:
    """Return after how many bars every seeding convention of a kind has a value."""
    return {"atr": period + 1, "adx": 2 * period}.get(kind, period)


def _price_error(left: float, period: int, bars: int, bounds: Bounds, price: float) -> float:
    """Return the error in bps of ``price``; ``left`` is the remaining share of the difference."""
    widest = left * (bounds.high - bounds.low)
    return (widest + 2.0 * rounding(period, bars) * bounds.high) / price * 10_000.0
