"""Decides whether a window of bars determines the detector's regime for every earlier history."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from warmup_job.proof.bands import (
    Band,
    Bands,
    atr_error,
    bands_of_every_past,
    bands_of_this_start,
    seeded_bar,
)
from warmup_job.proof.certificate import Certificate
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds
from warmup_job.regime.detector import (
    ADX_TREND,
    DetectorBar,
    DetectorSettings,
    Regime,
    RegimeDetector,
)

Flags = npt.NDArray[np.bool_]


def certify(evidence: Evidence, bounds: Bounds, *, from_listing: bool = False) -> Certificate:
    """Compute the certificate of a window.

    Equal bars, settings and bounds give an equal certificate on any machine, provided the evidence
    was computed in one piece (`Evidence.in_one_piece`).

    Args:
        evidence: The window and its parts of the averages.
        bounds: The symbol's lowest and highest price ever; the window's own are always included.
        from_listing: The window begins with the symbol's first bar, so there is no earlier history.
    """
    s, bounds = evidence.settings, bounds.including(evidence.window)
    ours = bands_of_this_start(evidence)
    if from_listing:
        bands, errors = ours, _NO_ERRORS
        agreement = _Agreement((_regime_of_this_start(evidence, ours),), 0)
    else:
        bands = bands_of_every_past(evidence, bounds)
        errors = _errors(evidence, bounds, bands, ours)
        agreement = _agreement(bands, s, before=tuple(Regime))
    proven = len(agreement.possible) == 1
    hysteresis_margin, adx_margin = _margins(evidence, bands)
    return Certificate(
        bars=evidence.bars,
        lowest=float(bounds.low),
        highest=float(bounds.high),
        proven=proven,
        exact=from_listing,
        # If all histories agree, so does the one that starts with the window.
        regime=agreement.possible[0] if proven else _regime_of_this_start(evidence, ours),
        possible=agreement.possible,
        met_bar=agreement.met_bar,
        ema_fast_error_bps=errors.ema_fast_bps,
        ema_slow_error_bps=errors.ema_slow_bps,
        adx_error=errors.adx,
        atr_error_bps=errors.atr_bps,
        hysteresis_margin_bps=hysteresis_margin,
        adx_margin=adx_margin,
    )


class _Outcomes(NamedTuple):
    """For each bar from `seeded_bar` on, whether some history may lead to this result."""

    up: Flags
    down: Flags
    sideways: Flags
    unchanged: Flags


class _Agreement(NamedTuple):
    """The regimes possible after the last bar, and the bar since which there is only one."""

    possible: tuple[Regime, ...]
    met_bar: int | None


class _Errors(NamedTuple):
    """The error fields of the certificate."""

    ema_fast_bps: float | None
    ema_slow_bps: float | None
    adx: float | None
    atr_bps: float | None


_NO_ERRORS = _Errors(0.0, 0.0, 0.0, 0.0)


def _apart_bps(bands: Bands, since: int) -> Band:
    """Return the band of (fast − slow)/slow in bps; it rises with fast and falls with slow."""
    fast, slow = (Band(band.low[since:], band.high[since:]) for band in (bands.fast, bands.slow))
    return Band(
        (fast.low - slow.high) / slow.high * 10_000.0,
        (fast.high - slow.low) / slow.low * 10_000.0,
    )


def _outcomes(bands: Bands, settings: DetectorSettings) -> _Outcomes:
    """Apply the detector's rules to bands; a comparison inside a band has both results."""
    since = seeded_bar(settings)
    low, high = _apart_bps(bands, since)
    # Both the detector and `_apart_bps` make three further roundings when converting to bps.
    least = settings.hysteresis_bps * (1.0 - 2.0**-48)
    most = settings.hysteresis_bps * (1.0 + 2.0**-48)
    strong = bands.adx.high[since:] >= ADX_TREND
    return _Outcomes(
        up=strong & (high >= least),
        down=strong & (low <= -least),
        sideways=bands.adx.low[since:] < ADX_TREND,
        unchanged=strong & (low < most) & (high > -most),
    )


def _agreement(bands: Bands, settings: DetectorSettings, before: tuple[Regime, ...]) -> _Agreement:
    """Follow every regime that was possible before the seeded bar through the outcomes.

    A bar at which "unchanged" is impossible ends the influence of earlier bars. So a regime is
    possible after a bar if it was an outcome there or at an earlier bar back to the last such one.
    """
    up, down, sideways, unchanged = _outcomes(bands, settings)
    step = np.arange(len(unchanged) + 1)  # step 0 is the moment before the seeded bar

    def last(flags: Flags, at_first: bool) -> npt.NDArray[np.int_]:
        return np.maximum.accumulate(np.where(np.concatenate(([at_first], flags)), step, -1))

    forgot = last(~unchanged, True)
    can_be = {
        regime: last(flags, regime in before) >= forgot
        for regime, flags in zip(Regime, (up, down, sideways), strict=True)
    }
    possible = tuple(regime for regime, flags in can_be.items() if flags[-1])
    several = np.flatnonzero(sum(flags.astype(np.int_) for flags in can_be.values()) != 1)
    if len(possible) != 1:
        return _Agreement(possible, None)
    met = int(several[-1]) + 1 if len(several) else 0
    return _Agreement(possible, seeded_bar(settings) + met - 1)


def _regime_of_this_start(evidence: Evidence, ours: Bands) -> Regime:
    """Return the regime of a `RegimeDetector` that starts with the window.

    Its bands are as wide as rounding errors and nearly always leave one regime. If they leave
    several, run the detector itself.
    """
    possible, _ = _agreement(ours, evidence.settings, before=(Regime.SIDEWAYS,))
    if len(possible) == 1:
        return possible[0]
    detector = RegimeDetector(evidence.settings)
    window = evidence.window
    columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
    for high, low, close in zip(*columns, strict=True):
        detector.update(DetectorBar(close, high, low, close, 0.0))
    return detector.regime


def _errors(evidence: Evidence, bounds: Bounds, all_pasts: Bands, ours: Bands) -> _Errors:
    s, bars = evidence.settings, evidence.bars

    def apart(every: Band, mine: Band) -> float:
        return max(float(every.high[-1] - mine.low[-1]), float(mine.high[-1] - every.low[-1]))

    def bps(price: float) -> float:
        return _upward(price / evidence.window.last_close * 10_000.0)

    return _Errors(
        bps(apart(all_pasts.fast, ours.fast)) if bars >= s.ema_fast else None,
        bps(apart(all_pasts.slow, ours.slow)) if bars >= s.ema_slow else None,
        _upward(apart(all_pasts.adx, ours.adx)) if bars >= 2 * s.adx_len else None,
        bps(atr_error(evidence.window, s.atr_len, bounds)) if bars > s.atr_len else None,
    )


def _margins(evidence: Evidence, bands: Bands) -> tuple[float | None, float | None]:
    """Return (hysteresis margin in bps, ADX margin in points) after the last bar."""
    s = evidence.settings
    from_hysteresis = from_trend = None
    if evidence.bars > seeded_bar(s):
        low, high = (float(side[-1]) for side in _apart_bps(bands, seeded_bar(s)))
        least, most = max(low, -high, 0.0), max(abs(low), abs(high))
        from_hysteresis = _downward(max(least - s.hysteresis_bps, s.hysteresis_bps - most, 0.0))
    if evidence.bars >= 2 * s.adx_len:
        low, high = (float(side[-1]) for side in bands.adx)
        from_trend = _downward(max(low - ADX_TREND, ADX_TREND - high, 0.0))
    return from_hysteresis, from_trend


def _upward(value: float) -> float:
    return _rounded(value, ROUND_CEILING)


def _downward(value: float) -> float:
    return _rounded(value, ROUND_FLOOR)


def _rounded(value: float, rounding: str) -> float:
    """Round to six significant digits, but no finer than 1e-6."""
    exact = Decimal(value)
    unit = Decimal(1).scaleb(max(exact.adjusted() - 5, -6))
    return float(exact.quantize(unit, rounding))
