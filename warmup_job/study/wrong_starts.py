"""How often a number of bars would have misjudged the regime, and how often it is proven enough."""

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
"""A detector that has seen that many is one that has run for ever, as far as floats can tell."""
_BLOCK = 4096  # detectors in lockstep: their columns stay in the processor's cache

Codes = npt.NDArray[np.int8]


class StudyRow(msgspec.Struct, frozen=True):
    """What warming with ``bars`` bars does. Shares are of 1."""

    bars: int
    starts: int
    wrong: float
    """The share of starts after which the regime is not that of a detector that ran all along."""
    trending: int
    """How many of the starts either of the two calls UP or DOWN."""
    wrong_of_trending: float | None
    """The same among the starts where either of the two is UP or DOWN; None if there is none."""
    certified: int
    """How many of the starts were put to the certificate."""
    proven: float
    """The share of those that it proves. None of them was misjudged."""


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
    """Compare starts with any of ``counts`` bars with a detector that ran since the first bar.

    Args:
        window: the recorded series.
        settings: the detector's.
        bounds: what the certificate takes for the symbol's lowest and highest price ever.
        counts: numbers of bars to warm with.
        step: every how manieth bar after the burn-in is the first bar of a warm-up.
        certify_every: every how manieth of those is put to the certificate too.
        burn_in: how many bars the detector that ran all along has seen before the first start.

    Raises:
        ValueError: the series is too short for a single start.
        WarmupError: a start that the certificate proves was wrong: a bug.
    """
    starts = np.arange(burn_in, len(window) - max(counts) + 1, step)
    if not len(starts):
        raise ValueError(
            f"{len(window)} bars are too few: {burn_in} to settle and {max(counts)} to warm with"
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
    """Several series' tables, of the same counts, as one."""
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
    """The regime after every bar, of a detector that has seen them all."""
    detector = RegimeDetector(settings)
    columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
    bars = (DetectorBar(c, h, low, c, 0.0) for h, low, c in zip(*columns, strict=True))
    return np.array([CODES.index(detector.update(bar)) for bar in bars], dtype=np.int8)


def _cold_starts(
    window: Window, settings: DetectorSettings, starts: npt.NDArray[np.int_], counts: Sequence[int]
) -> Codes:
    """For each count a row: the regime of each start's detector after that many bars."""
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
            f"a bug: {len(window)} bars were certified as {certificate.regime.value}, and a"
            f" detector that ran all along says {right.value}"
        )
    return certificate.proven
