"""The judgement of one stream's bars: how many are needed, what is proven, and why not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.support.stream_plans import DETECTOR, stream_plan
from tests.support.windows import counted_market
from warmup_job.acquire.judge import judge, most_judged
from warmup_job.errors import ExchangeUnreachableError
from warmup_job.plan.stream_plan import DeclaredIndicator
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window

BARS = counted_market(499)
EXTREMES = Bounds(BARS.bounds.low * 0.71234, BARS.bounds.high * 1.51234)


def flat(bars: int) -> Window:
    """Return a market without movement, in which older data never loses its weight."""
    return Window.of([100.0] * bars, [100.0] * bars, [100.0] * bars)


def test_judge_without_bars_takes_as_many_as_are_planned() -> None:
    verdict = judge(stream_plan(), None, None, from_listing=False)
    assert (verdict.bars, verdict.certificate, verdict.shortcomings) == (125, None, ())


def test_judge_takes_the_first_number_of_bars_that_proves_the_regime() -> None:
    plan = stream_plan()
    verdict = judge(plan, BARS, EXTREMES, from_listing=False)
    assert verdict.certificate is not None
    assert verdict.certificate.proven
    assert verdict.certificate.bars == verdict.bars
    assert verdict.bars in plan.bar_counts
    assert verdict.bars < len(BARS)
    assert verdict.shortcomings == ()


def test_judge_bounds_are_rounded_outward_to_three_digits() -> None:
    plan = stream_plan(auto=False, bars=499)
    certificate = judge(plan, BARS, EXTREMES, from_listing=False).certificate
    assert certificate is not None
    assert certificate.lowest <= EXTREMES.low
    assert certificate.highest >= EXTREMES.high
    for price in (certificate.lowest, certificate.highest):
        assert price == float(f"{price:.3g}")
    bounds = Bounds(certificate.lowest, certificate.highest)
    assert certificate == certify(Evidence.of(DETECTOR, BARS), bounds)


def test_judge_bounds_include_the_bars_of_the_window() -> None:
    inside = Bounds(BARS.bounds.low * 1.001, BARS.bounds.high * 0.999)
    certificate = judge(stream_plan(), BARS, inside, from_listing=False).certificate
    assert certificate is not None
    assert certificate.lowest <= BARS.bounds.low
    assert certificate.highest >= BARS.bounds.high
    for price in (certificate.lowest, certificate.highest):
        assert price == float(f"{price:.3g}")


@pytest.mark.parametrize(("have", "takes"), [(70, 125), (125, 250), (250, 499), (499, 499)])
def test_judge_asks_for_the_next_number_while_nothing_is_proven(have: int, takes: int) -> None:
    verdict = judge(stream_plan(), flat(have), Bounds(50.0, 200.0), from_listing=False)
    assert verdict.bars == takes
    (shortcoming,) = verdict.shortcomings
    assert f"BTCUSDT 1m: the regime after {have} bars is" in str(shortcoming)
    assert "raise warmup.max_bars" in str(shortcoming)


def test_judge_never_asks_for_more_than_a_configured_number() -> None:
    plan = stream_plan(auto=False, bars=70)
    verdict = judge(plan, flat(70), Bounds(50.0, 200.0), from_listing=False)
    assert verdict.bars == 70
    assert "set more bars for the stream, or `auto`" in str(verdict.shortcomings[0])


@pytest.mark.parametrize("extremes", [None, ExchangeUnreachableError("no monthly klines came")])
def test_judge_proves_nothing_without_price_bounds(
    extremes: ExchangeUnreachableError | None,
) -> None:
    verdict = judge(stream_plan(), BARS, extremes, from_listing=False)
    assert (verdict.bars, verdict.certificate) == (125, None)
    (shortcoming,) = verdict.shortcomings
    assert "lowest and highest price are unknown" in str(shortcoming)
    assert extremes is None or "no monthly klines came" in str(shortcoming)


def test_judge_of_a_whole_history_is_exact_and_needs_no_bounds() -> None:
    verdict = judge(stream_plan(), flat(80), None, from_listing=True)
    assert verdict.certificate is not None
    assert (verdict.certificate.exact, verdict.certificate.bars) == (True, 80)
    assert verdict.shortcomings == ()
    configured = judge(stream_plan(auto=False, bars=100), flat(80), None, from_listing=True)
    assert configured.certificate == verdict.certificate
    assert (configured.bars, configured.shortcomings) == (100, ())


def test_judge_of_declared_indicators_alone() -> None:
    declared = (DeclaredIndicator("custom", 30, 200),)
    plan = stream_plan(detector=None, indicators=declared, needs_bounds=False)
    few = judge(plan, BARS[-125:], None, from_listing=False)
    assert few.bars == 250  # the first number that is not below 200
    assert few.certificate is None
    (shortcoming,) = few.shortcomings
    assert "custom 30 needs 200 bars, but there are 125" in str(shortcoming)
    enough = judge(plan, BARS[-250:], None, from_listing=False)
    assert (enough.bars, enough.shortcomings) == (250, ())
    young = judge(plan, BARS[-125:], None, from_listing=True)
    assert young.shortcomings == ()  # a whole history is always enough
    configured = replace(plan, auto=False, bars=100)
    assert judge(configured, BARS[-100:], None, from_listing=False).bars == 100


def test_judge_of_an_indicator_that_has_not_converged_takes_the_largest_number() -> None:
    declared = (DeclaredIndicator("adx", 100, 0),)
    plan = stream_plan(detector=None, indicators=declared)
    verdict = judge(plan, BARS[-125:], EXTREMES, from_listing=False)
    assert [each.bars_needed for each in verdict.indicators] == [None]
    assert verdict.bars == 499
    (shortcoming,) = verdict.shortcomings
    assert "adx 100 needs more bars, but there are 125" in str(shortcoming)


def test_judge_takes_as_many_bars_as_the_longest_indicator_needs() -> None:
    declared = (DeclaredIndicator("custom", 30, 400),)
    verdict = judge(stream_plan(indicators=declared), BARS, EXTREMES, from_listing=False)
    assert verdict.bars == 499
    assert [each.bars_needed for each in verdict.indicators] == [400]


def test_judge_looks_at_no_more_bars_than_it_may_take() -> None:
    assert most_judged(stream_plan()) == 499
    assert most_judged(stream_plan(auto=False, bars=100)) == 100
    assert most_judged(stream_plan(auto=False, bars=10_000)) == 499
