"""The certificate's fields, as the manifest stores them; `certify` computes them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from warmup_job.regime.detector import Regime

EMA_CONVERGED_BPS = 0.01
"""An EMA whose error is below this (bps of the last close) has converged."""
ADX_CONVERGED = 0.01
"""An ADX whose error is below this (points) has converged."""


class Certificate(msgspec.Struct, frozen=True):
    """What a window of bars proves about a detector that was started with its first bar.

    An error is the largest possible difference, after the last bar, between this detector and one
    with any longer history; rounded up to six digits; None while this detector has no value. A
    margin is the least distance of any history from another regime; rounded down.
    """

    bars: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    """The window's length."""
    lowest: float
    """The symbol's lowest price ever that the proof assumes."""
    highest: float
    """The symbol's highest price ever that the proof assumes."""
    proven: bool
    """Whether the regime is the same for every possible history."""
    exact: bool
    """Whether the window is the symbol's whole history."""
    regime: Regime
    """This detector's regime after the last bar."""
    possible: tuple[Regime, ...]
    """The regimes of all possible histories, in the order UP, DOWN, SIDEWAYS; one if proven."""
    met_bar: int | None
    """Index of the bar since which all histories have the same regime; None if they do not."""
    ema_fast_error_bps: float | None
    """bps of the last close."""
    ema_slow_error_bps: float | None
    adx_error: float | None
    """Points."""
    atr_error_bps: float | None
    """bps of the last close."""
    hysteresis_margin_bps: float | None
    """Distance of |fast − slow| from the hysteresis, bps of the slow EMA; 0 if its side is open."""
    adx_margin: float | None
    """Distance of ADX from 20, points; 0 if its side is open; None while ADX does not count."""


def is_converged(certificate: Certificate) -> bool:
    """Return whether both EMAs and ADX are within their tolerances of any longer history."""
    errors = (
        (certificate.ema_fast_error_bps, EMA_CONVERGED_BPS),
        (certificate.ema_slow_error_bps, EMA_CONVERGED_BPS),
        (certificate.adx_error, ADX_CONVERGED),
    )
    return all(error is not None and error < limit for error, limit in errors)
