"""Judge bars with pure functions: how many a stream takes, and what those it has prove."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from warmup_job.errors import NotConvergedError, WarmupError
from warmup_job.plan.stream_plan import DeclaredIndicator, StreamPlan
from warmup_job.snapshot.manifest import IndicatorEntry

if TYPE_CHECKING:
    from warmup_job.proof.certificate import Certificate
    from warmup_job.proof.window import Bounds, Window


class Verdict(msgspec.Struct, frozen=True):
    """What `judge` says of a stream's bars."""

    bars: int
    """How many bars the stream takes; if more than there are: fetch older ones and judge again."""
    certificate: Certificate | None = None
    """None: the stream has no detector, or the price bounds are unknown."""
    indicators: tuple[IndicatorEntry, ...] = ()
    """How many bars each declared indicator needs."""
    shortcomings: tuple[NotConvergedError, ...] = ()
    """Why the bars do not prove the strategy warm; empty: they do."""


def most_judged(plan: StreamPlan) -> int:
    """Return how many of the newest bars `judge` looks at, at most."""
    return plan.bar_counts[-1] if plan.auto else min(plan.bars, plan.bar_counts[-1])


def judge(
    plan: StreamPlan,
    window: Window | None,
    extremes: Bounds | WarmupError | None,
    *,
    from_listing: bool,
) -> Verdict:
    """Judge the newest bars of a stream.

    Args:
        plan: what the stream must prove.
        window: the newest bars, at most `most_judged`; None: there are none.
        extremes: the symbol's lowest and highest price ever, or why they are unknown. They count
            only if ``plan.needs_bounds`` and not ``from_listing``.
        from_listing: whether the window begins with the symbol's first bar.

    Returns:
        The number of bars that the stream takes, and what is proven.
    """
    if window is None:
        return Verdict(plan.bars)
    bounds = window.bounds
    if plan.needs_bounds and not from_listing:
        if extremes is None or isinstance(extremes, WarmupError):
            reason = f"the symbol's lowest and highest price are unknown: {extremes}"
            return Verdict(plan.bars, shortcomings=(_shortcoming(plan, reason),))
        bounds = _outward(extremes.including(window))
    indicators = tuple(
        IndicatorEntry(each.kind, each.period, _bars_needed(each, window, bounds))
        for each in plan.indicators
    )
    needed = max((each.bars_needed or plan.bar_counts[-1] for each in indicators), default=0)
    bars, certificate = _certified(plan, window, bounds, needed, from_listing=from_listing)
    have: int | None = None if from_listing else len(window)  # a whole history is always enough
    if certificate is not None and not certificate.exact:
        have = certificate.bars
    reasons = _unproven(plan, certificate) + _unconverged(indicators, have)
    return Verdict(
        bars, certificate, indicators, tuple(_shortcoming(plan, each) for each in reasons)
    )


def explain(certificate: Certificate) -> str:
    """Describe a certificate in one line, indicator by indicator."""
    if certificate.exact:
        return f"all {certificate.bars} bars of the symbol's history: exact"
    regimes = " or ".join(regime.value for regime in certificate.possible)
    met = "" if certificate.met_bar is None else f" since bar {certificate.met_bar + 1}"
    errors = (
        ("fast EMA", certificate.ema_fast_error_bps, " bps"),
        ("slow EMA", certificate.ema_slow_error_bps, " bps"),
        ("ADX", certificate.adx_error, " points"),
        ("ATR", certificate.atr_error_bps, " bps"),
    )
    parts = ", ".join(
        f"{name} " + ("has no value yet" if error is None else f"within {error:.2g}{unit}")
        for name, error, unit in errors
    )
    verdict = f"proven {regimes}{met}" if certificate.proven else f"NOT proven ({regimes})"
    return f"{certificate.bars} bars: {verdict}; {parts}"


def _bars_needed(indicator: DeclaredIndicator, window: Window, bounds: Bounds) -> int | None:
    from warmup_job.proof.convergence import bars_needed

    return indicator.bars or bars_needed(indicator.kind, indicator.period, window, bounds)


def _certified(
    plan: StreamPlan, window: Window, bounds: Bounds, least_bars: int, *, from_listing: bool
) -> tuple[int, Certificate | None]:
    """Return how many bars the stream takes, and their certificate if it has a detector."""
    from warmup_job.proof.certify import certify
    from warmup_job.proof.enough_bars import find_enough_bars
    from warmup_job.proof.evidence import Evidence

    counts = plan.bar_counts
    if plan.detector is None:
        enough = next((bars for bars in counts if bars >= least_bars), counts[-1])
        return enough if plan.auto else plan.bars, None
    if not plan.auto:
        evidence = Evidence.of(plan.detector, window)
        return plan.bars, certify(evidence, bounds, from_listing=from_listing)
    found = find_enough_bars(
        window, plan.detector, bounds, counts, least_bars=least_bars, from_listing=from_listing
    )
    return found.bars, found.certificate


def _unproven(plan: StreamPlan, certificate: Certificate | None) -> list[str]:
    if certificate is None or certificate.proven:
        return []
    regimes = " or ".join(regime.value for regime in certificate.possible)
    remedy = (
        "raise warmup.max_bars, or try again later"
        if plan.auto
        else "set more bars for the stream, or `auto`"
    )
    bars = certificate.bars
    return [
        f"the regime after {bars} bars is {regimes}, depending on the bars before them: {remedy}"
    ]


def _unconverged(indicators: tuple[IndicatorEntry, ...], have: int | None) -> list[str]:
    return [
        f"{each.kind} {each.period} needs {each.bars_needed or 'more'} bars, but there are {have}: "
        "raise warmup.max_bars or the stream's bars"
        for each in indicators
        if have is not None and (each.bars_needed is None or each.bars_needed > have)
    ]


def _shortcoming(plan: StreamPlan, reason: str) -> NotConvergedError:
    return NotConvergedError(f"{plan.stream}: {reason}")


def _outward(bounds: Bounds) -> Bounds:
    """Round to three digits, outward, so that a new extreme rarely changes the certificate."""
    return replace(
        bounds, low=_rounded(bounds.low, ROUND_FLOOR), high=_rounded(bounds.high, ROUND_CEILING)
    )


def _rounded(price: float, rounding: str) -> float:
    exact = Decimal(repr(price))
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding))
