"""Declared indicators: the computed count is enough for any past, and hardly more than enough."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.support.windows import certified, counted_market, market
from warmup_job.proof.convergence import bars_needed, error_bound
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.indicator_names import BOUNDED_KINDS
from warmup_job.regime.indicators import Adx

BOUNDS = Bounds(20, 500)


def test_convergence_simple_average_needs_exactly_its_period() -> None:
    window = market(1, 100)
    assert bars_needed("sma", 30, window, BOUNDS) == 30
    assert error_bound("sma", 30, window[:29], BOUNDS) is None
    assert error_bound("sma", 30, window[:30], BOUNDS) == 0


@pytest.mark.parametrize(
    ("kind", "period", "first", "decay"),
    [
        ("ema", 20, 20, 19 / 21),
        ("ema", 200, 200, 199 / 201),
        ("wilder", 14, 14, 13 / 14),
        ("atr", 14, 15, 13 / 14),
    ],
)
def test_convergence_bar_count_equals_the_closed_form(
    kind: str, period: int, first: int, decay: float
) -> None:
    """0.01 bps of the price: the part of the whole range that remains after these steps."""
    window = Window.of([101.0] * 3, [99.0] * 3, [100.0] * 3)
    steps = np.log(0.01 / 1e4 * 100 / 480) / np.log(decay)
    assert bars_needed(kind, period, window, BOUNDS) == first + int(np.ceil(steps))


@pytest.mark.parametrize("kind", BOUNDED_KINDS)
@pytest.mark.parametrize("period", [2, 5, 14, 50])
def test_convergence_error_bound_drops_below_the_tolerance_at_the_count(
    kind: str, period: int
) -> None:
    window = counted_market(1500)
    bars = bars_needed(kind, period, window, BOUNDS)
    assert bars is not None
    assert bars <= len(window)
    error = error_bound(kind, period, window[-bars:], BOUNDS)
    assert error is not None
    assert error < 0.01
    if bars > 1:
        before = error_bound(kind, period, window[-bars + 1 :], BOUNDS)
        assert before is None or before >= 0.01


def pasts(window: Window, rng: random.Random) -> list[Window]:
    """Return the window alone, and preceded by arbitrary bars within the bounds."""
    found = [window]
    for count in (1, 2, 5, 13, 14, 15, 40, 200):
        bars = [
            sorted(rng.choice((BOUNDS.low, BOUNDS.high, rng.uniform(20, 500))) for _ in range(3))
            for _ in range(count)
        ]
        low, close, high = zip(*bars, strict=True)
        found.append(Window.of(high, low, close).then(window))
        ends = (Window.of(*[[price] * count] * 3) for price in (BOUNDS.low, BOUNDS.high))
        found.extend(end.then(window) for end in ends)
    return found


def value(kind: str, period: int, window: Window, *, by_first: bool) -> float | None:
    """Return the indicator after the window, seeded by the first value or the first n's mean."""
    closes: list[float] = window.close.tolist()
    if kind == "sma":
        return sum(closes[-period:]) / period if len(closes) >= period else None
    series = closes
    if kind in {"atr", "adx"}:
        series = window.true_ranges()[1:].tolist()
    if kind == "adx":
        adx = Adx(period)
        for moves in zip(series, *(each[1:].tolist() for each in window.movements()), strict=True):
            adx.update(*moves)
        return adx.value
    alpha = 2 / (period + 1) if kind == "ema" else 1 / period
    begun = 1 if by_first else period
    if len(series) < begun:
        return None
    average = sum(series[:begun]) / begun
    for each in series[begun:]:
        average += alpha * (each - average)
    return average


@pytest.mark.parametrize("kind", BOUNDED_KINDS)
@pytest.mark.parametrize("period", [2, 14])
def test_convergence_no_past_exceeds_the_error_bound(kind: str, period: int) -> None:
    rng, long = random.Random(period), counted_market(400)
    for bars in (period, period + 1, 2 * period, 40, 100, 300):
        window = long[-bars:]
        bound = error_bound(kind, period, window, BOUNDS)
        if bound is None:
            continue
        unit = 1 if kind == "adx" else 10_000 / window.last_close
        everybody = [
            value(kind, period, past, by_first=first)
            for past in pasts(window, rng)
            for first in (True, False)
        ]
        values = [each for each in everybody if each is not None]
        assert (max(values) - min(values)) * unit <= bound + 1e-9


def test_convergence_adx_bound_equals_the_certificates() -> None:
    window = counted_market(400)
    certificate = certified(window[-150:], BOUNDS)
    bound = error_bound("adx", 14, window[-150:], BOUNDS)
    assert bound is not None
    assert certificate.adx_error is not None
    assert certificate.adx_error / 1.001 <= bound <= 2 * certificate.adx_error
    assert bars_needed("adx", 14, window[-150:], BOUNDS) is None
    assert error_bound("adx", 14, window[:27], BOUNDS) is None
    assert error_bound("adx", 14, window[:28], BOUNDS) is not None
    enough = bars_needed("adx", 14, window, BOUNDS)
    assert enough is not None
    assert 150 < enough < 400


def test_convergence_bounds_include_the_prices_of_the_window() -> None:
    window = counted_market(300)
    for kind in BOUNDED_KINDS:
        narrow = Bounds(window.last_close, window.last_close)
        assert error_bound(kind, 5, window, narrow) == error_bound(kind, 5, window, window.bounds)
        assert bars_needed(kind, 5, window, narrow) == bars_needed(kind, 5, window, window.bounds)


def test_convergence_fails_where_rounding_errors_exceed_the_tolerance() -> None:
    dust = Window.of([1e-9], [1e-9], [1e-9])
    assert bars_needed("ema", 5, dust, Bounds(1e-9, 1e6)) is None
    assert bars_needed("sma", 5, dust, Bounds(1e-9, 1e6)) == 5


def test_convergence_indicator_without_a_bound_needs_a_count() -> None:
    window = counted_market(50)
    for judge in (error_bound, bars_needed):
        with pytest.raises(
            ValueError, match=r"'hull'.* set its number of bars .*sma, ema, wilder, atr, adx"
        ):
            judge("hull", 9, window, BOUNDS)
        with pytest.raises(ValueError, match="period must be at least 1, not 0"):
            judge("ema", 0, window, BOUNDS)
