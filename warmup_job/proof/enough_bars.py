"""The search for the smallest number of bars whose certificate proves the regime."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from warmup_job.proof.certificate import Certificate, is_converged
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings


class EnoughBars(msgspec.Struct, frozen=True):
    """The result of a search: how many bars are enough, and the certificate of the last bars."""

    bars: int
    """More than the window has: fetch that many and search again."""
    certificate: Certificate


def find_enough_bars(
    window: Window,
    settings: DetectorSettings,
    bounds: Bounds,
    bar_counts: Sequence[int],
    *,
    least_bars: int = 0,
    from_listing: bool = False,
) -> EnoughBars:
    """Find the first of ``bar_counts`` whose bars prove the regime and have converged.

    Args:
        window: The newest closed bars.
        settings: The detector's settings.
        bounds: The symbol's lowest and highest price ever.
        bar_counts: The numbers of bars to try, ascending (see `auto_bar_counts`).
        least_bars: Smaller numbers are not accepted.
        from_listing: The window begins with the symbol's first bar, so the whole of it is exact.

    Returns:
        If no number up to the window's length is enough: the next larger number, or the last one,
        with the certificate of the bars in the window.
    """
    evidence: Evidence | None = None
    for bars in bar_counts:
        if bars > len(window):
            break
        begin, known = len(window) - bars, len(window) - (evidence.bars if evidence else 0)
        evidence = (
            evidence.prepend(window[begin:known])
            if evidence
            else Evidence.of(settings, window[begin:])
        )
        if bars >= least_bars and _is_enough(certify(evidence, bounds)):
            certificate = certify(evidence.in_one_piece(), bounds)
            if _is_enough(certificate):
                return EnoughBars(bars, certificate)
    last = window if from_listing else window[-min(len(window), bar_counts[-1]) :]
    certificate = certify(Evidence.of(settings, last), bounds, from_listing=from_listing)
    larger = next((bars for bars in bar_counts if bars > len(window)), bar_counts[-1])
    return EnoughBars(larger, certificate)


def _is_enough(certificate: Certificate) -> bool:
    return certificate.proven and is_converged(certificate)
