"""How often a number of warm-up bars gives a wrong regime, and how often it is proven enough."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from warmup_job.errors import WarmupError
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorBar, DetectorSettings, Regime, RegimeDetector
from warmup_job.study.lockstep import CODES, SIDEWAYS, LockstepDetectors

BURN_IN_BARS = 3000
"""After this many bars a detector's floats no longer depend on its start."""
_BLOCK = 4096  # detectors in lockstep; their columns fit into the CPU's cache

Codes = npt.NDArray[np.int8]


class StudyRow(msgspec.Struct, frozen=True):
    """The result of warming detectors with ``bars`` bars. Shares are 0 to 1."""

    bars: int
    starts: int
    wrong: float
    """Share of starts whose regime differs from that of a detector with the whole history."""
    trending: int
    """Number of starts for which either of the two detectors says UP or DOWN."""
    wrong_of_trending: float | None
    """The share of wrong regimes among these ``trending`` starts; None if there are none."""
    certified: int
    """Number of starts for which a certificate was computed."""
    proven: float
    """Share of these that the certificate proves; none of them has a wrong regime."""


def study(
    window: Window,
    settings: DetectorSettings,
    bounds: Bounds,
    counts: Sequence[int],
    *,
    step: int = 1,
    certify_every: int = 100,
    burn_in: int = BURN_IN_BARS,
) -> list[StudyRow]:
    """Compare detectors warmed with few bars with one that has the whole history.

    Args:
        window: The recorded series.
        settings: The detector's settings.
        bounds: The symbol's lowest and highest price ever, for the certificates.
        counts: The numbers of warm-up bars to compare.
        step: Start a warm-up at every ``step``-th bar after the burn-in.
        certify_every: Compute a certificate for every ``certify_every``-th start.
        burn_in: Bars before the first start.

    Raises:
        ValueError: The series is too short for a single start.
        WarmupError: A proven start has a wrong regime, which is a bug.
    """
    starts = np.arange(burn_in, len(window) - max(counts) + 1, step)
    if not len(starts):
        raise ValueError(
            f"{len(window)} bars are too few: the study needs {burn_in} to settle and "
            f"{max(counts)} to warm up"
        )
    truth, cold = (
        _regimes_all_along(window, settings),
        _cold_starts(window, settings, starts, counts),
    )
    rows = []
    for bars, began in zip(counts, cold, strict=True):
        right = truth[starts + bars - 1]
        wrong, trending = began != right, (began != SIDEWAYS) | (right != SIDEWAYS)
        asked = starts[::certify_every]
        proven = sum(
            _is_proven(window[start : start + bars], settings, bounds, CODES[code])
            for start, code in zip(asked.tolist(), right[::certify_every].tolist(), strict=True)
        )
        rows.append(
            StudyRow(
                bars=bars,
                starts=len(starts),
                wrong=float(wrong.mean()),
                trending=int(trending.sum()),
                wrong_of_trending=float(wrong[trending].mean()) if trending.any() else None,
                certified=len(asked),
                proven=proven / len(asked),
            )
        )
    return rows


def combined_rows(tables: Sequence[Sequence[StudyRow]]) -> list[StudyRow]:
    """Combine the rows of several series, which have the same counts, into one table."""
    rows = []
    for same in zip(*tables, strict=True):
        starts, certified = sum(row.starts for row in same), sum(row.certified for row in same)
        trending = sum(row.trending for row in same)
        wrong_trending = sum((row.wrong_of_trending or 0.0) * row.trending for row in same)
        rows.append(
            StudyRow(
                bars=same[0].bars,
                starts=starts,
                wrong=sum(row.wrong * row.starts for row in same) / starts,
                trending=trending,
                wrong_of_trending=wrong_trending / trending if trending else None,
                certified=certified,
                proven=sum(row.proven * row.certified for row in same) / certified,
            )
        )
    return rows


def _regimes_all_along(window: Window, settings: DetectorSettings) -> Codes:
    """Return the regime after every bar of a detector with the whole history."""
    detector = RegimeDetector(settings)
    columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
    bars = (DetectorBar(c, h, low, c, 0.0) for h, low, c in zip(*columns, strict=True))
    return np.array([CODES.index(detector.update(bar)) for bar in bars], dtype=np.int8)


def _cold_starts(
    window: Window, settings: DetectorSettings, starts: npt.NDArray[np.int_], counts: Sequence[int]
) -> Codes:
    """Return a row per count: the regime of each start's detector after that many bars."""
    compared = (window.true_ranges(), *window.movements())
    cold: Codes = np.empty((len(counts), len(starts)), dtype=np.int8)
    for first in range(0, len(starts), _BLOCK):
        block = slice(first, first + _BLOCK)
        detectors = LockstepDetectors(settings, len(starts[block]))
        for bar in range(max(counts)):
            at = starts[block] + bar
            regime = detectors.update(window.close[at], *(column[at] for column in compared))
            for row, count in enumerate(counts):
                if count == bar + 1:
                    cold[row, block] = regime
    return cold


def _is_proven(window: Window, settings: DetectorSettings, bounds: Bounds, right: Regime) -> bool:
    certificate = certify(Evidence.of(settings, window), bounds)
    if certificate.proven and certificate.regime is not right:
        raise WarmupError(
            f"bug: the certificate of {len(window)} bars proves {certificate.regime.value}, but a "
            f"detector with the whole history says {right.value}"
        )
    return certificate.proven
