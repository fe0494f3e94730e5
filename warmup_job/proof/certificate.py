"""What a certificate says: plain values for a manifest, without what it takes to prove them."""

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
    """What a window proves of a detector that was started with its first bar and fed all of it.

    Errors are the largest possible differences at the last bar between that detector and any other
    that ends with these bars, rounded up to six digits; None where that detector has no value yet.
    Margins are how far every possible past is at least from judging otherwise, rounded down.
    """

    bars: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    """How many bars the window has."""
    lowest: float
    """The lowest price ever, as far as the proof assumes."""
    highest: float
    proven: bool
    """Whether the regime is the same for every possible past."""
    exact: bool
    """Whether the window is the symbol's whole history: nothing was before it."""
    regime: Regime
    """That detector's regime after the last bar; if proven, everybody's."""
    possible: tuple[Regime, ...]
    """The regimes that some past allows, in the order UP, DOWN, SIDEWAYS; one of them if proven."""
    met_bar: int | None
    """The bar (index into the window) since which all pasts have agreed; None if they do not."""
    ema_fast_error_bps: float | None
    """bps of the last close."""
    ema_slow_error_bps: float | None
    adx_error: float | None
    """Points."""
    atr_error_bps: float | None
    """bps of the last close."""
    hysteresis_margin_bps: float | None
    """How far |fast − slow| is from the hysteresis, bps of the slow EMA; 0 if that is open."""
    adx_margin: float | None
    """How far ADX is from 20, points; 0 if the side is open, None while ADX does not count."""


def is_converged(certificate: Certificate) -> bool:
    """Whether every EMA and ADX is as good as one that has run for ever."""
    errors = (
        (certificate.ema_fast_error_bps, EMA_CONVERGED_BPS),
        (certificate.ema_slow_error_bps, EMA_CONVERGED_BPS),
        (certificate.adx_error, ADX_CONVERGED),
    )
    return all(error is not None and error < limit for error, limit in errors)
