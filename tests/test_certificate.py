"""A certificate is never wrong: for any history before the window the regime is as certified.

The tests sample pasts; the certificate itself does not: detectors in every extreme state, detectors
that started on wild bars shortly before, and those that ran on the real bars. WARMUP_TEST_SCALE
multiplies how many windows are judged.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.suite import SCALE
from tests.support.windows import (
    SETTINGS,
    USUAL,
    certified,
    counted_market,
    feed,
    market,
    named,
    recorded,
)
from warmup_job.proof.bands import bands_of_every_past, bands_of_this_start
from warmup_job.proof.certificate import Certificate, is_converged
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.recurrence import decayed_sums
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorBar, DetectorSettings, Regime, RegimeDetector
from warmup_job.regime.indicators import directional_movement, true_range
from warmup_job.study.lockstep import CODES, DOWN, SIDEWAYS, UP, LockstepDetectors

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int_]


def values_of(detector: RegimeDetector) -> dict[str, float]:
    """Return every average of a detector whose averages are all initialized."""
    values = {name: getattr(detector, name) for name in ("ema_fast", "ema_slow", "adx", "atr")}
    assert None not in values.values()
    return values


def distances(detector: RegimeDetector) -> tuple[float, float]:
    """Return the distances from the usual hysteresis of 10 bps and from an ADX of 20."""
    values = values_of(detector)
    apart = abs(values["ema_fast"] - values["ema_slow"]) / values["ema_slow"] * 10_000
    return abs(apart - 10), abs(values["adx"] - 20)


def wild_bars(rng: np.random.Generator, bounds: Bounds, bars: int, columns: int) -> Window:
    """Return bars within the bounds, mostly at their ends; one column per detector."""
    three = rng.uniform(bounds.low, bounds.high, (3, bars, columns))
    ends = rng.random((3, bars, columns))
    three = np.where(ends < 0.4, bounds.low, np.where(ends > 0.6, bounds.high, three))
    low, close, high = np.sort(three, axis=0)
    return Window(high, low, close)


def compared(window: Window) -> tuple[Floats, Floats, Floats]:
    """Return true range, +DM and −DM of bars in columns, each against the previous bar."""
    up, down = np.diff(window.high, axis=0), -np.diff(window.low, axis=0)
    before = window.close[:-1]
    reach = np.maximum(window.high[1:], before) - np.minimum(window.low[1:], before)
    return (
        reach,
        np.where((up > down) & (up > 0), up, 0.0),
        np.where((down > up) & (down > 0), down, 0.0),
    )


class Pasts:
    """Detectors with different pasts at the same starts, fed the window's bars in lockstep."""

    def __init__(
        self, settings: DetectorSettings, window: Window, starts: Ints, bounds: Bounds, seed: int
    ) -> None:
        self.settings, self.window, self.starts, self.bounds = settings, window, starts, bounds
        self.rng = np.random.default_rng(seed)
        self.moves = (window.true_ranges(), *window.movements())
        n, longest = settings.adx_len, max(settings.ema_fast, settings.ema_slow)
        ages = {1, 2, n - 1, n, n + 1, longest - 1, longest, *self.rng.integers(1, 2 * n + 60, 3)}
        self.groups = [self._extreme()]
        self.groups += [self._wild(int(age)) for age in sorted(ages) if age > 0]
        self.groups += [self._real(age) for age in (1, 3, n, longest, 300) if starts.min() >= age]
        self.ours = LockstepDetectors(settings, len(starts))
        zero = np.zeros(len(starts))
        self.ours.update(window.close[starts], zero, zero, zero)

    def _extreme(self) -> tuple[LockstepDetectors, int]:
        """Start in every extreme state and as many between, then feed the first bar."""
        low, high = self.bounds.low, self.bounds.high
        reach = high - low
        corners = np.array(
            list(
                product(
                    (low, high),
                    (low, high),
                    (0, 1, 2, 3),
                    (0.0, 100.0),
                    (SIDEWAYS, UP, DOWN),
                    (0, 1),
                )
            )
        ).T
        fast, slow, movement, adx, regime, ranges = corners
        between = self.rng.random((5, 60))
        fast = np.concatenate((fast, low + reach * between[0]))
        slow = np.concatenate((slow, low + reach * between[1]))
        plus = np.concatenate(
            (
                reach * np.choose(movement.astype(int), (0, 1, 0, 0.5)),
                reach * between[2] * between[3],
            )
        )
        minus = np.concatenate(
            (
                reach * np.choose(movement.astype(int), (0, 0, 1, 0.5)),
                reach * between[2] * (1 - between[3]),
            )
        )
        adx = np.concatenate((adx, 100 * between[4]))
        regime = np.concatenate((regime, self.rng.integers(0, 3, 60)))
        ranges = np.concatenate((ranges, between[0]))
        count, starts = len(fast), len(self.starts)
        detectors = LockstepDetectors(self.settings, count * starts)
        detectors.bars = 10**6
        detectors.ema_fast, detectors.ema_slow = np.tile(fast, starts), np.tile(slow, starts)
        detectors.plus_dm, detectors.minus_dm = np.tile(plus, starts), np.tile(minus, starts)
        detectors.true_range = np.tile(plus + minus + ranges * (reach - plus - minus), starts)
        detectors.atr, detectors.adx = np.tile(ranges * reach, starts), np.tile(adx, starts)
        detectors.regime = np.tile(regime, starts).astype(np.int8)
        # The bar before the window's first is at an end of the bounds, or right where that one is.
        before = self.rng.integers(0, 3, count * starts)
        last = Window(
            *(
                np.where(
                    before == 0,
                    low,
                    np.where(before == 1, high, np.repeat(column[self.starts], count)),
                )
                for column in (self.window.high, self.window.low, self.window.close)
            )
        )
        self._first_bar(detectors, count, last)
        return detectors, count

    def _wild(self, age: int, count: int = 12) -> tuple[LockstepDetectors, int]:
        """Start ``age`` bars earlier, on arbitrary bars within the bounds."""
        columns = count * len(self.starts)
        detectors = LockstepDetectors(self.settings, columns)
        bars = wild_bars(self.rng, self.bounds, age, columns)
        moves = compared(bars)
        nothing = np.zeros(columns)
        detectors.update(bars.close[0], nothing, nothing, nothing)
        for bar in range(1, age):
            detectors.update(bars.close[bar], *(move[bar - 1] for move in moves))
        self._first_bar(detectors, count, Window(bars.high[-1], bars.low[-1], bars.close[-1]))
        return detectors, count

    def _real(self, age: int) -> tuple[LockstepDetectors, int]:
        """Start ``age`` bars earlier, on the real bars."""
        detectors = LockstepDetectors(self.settings, len(self.starts))
        for bar in range(-age, 1):
            self._update(detectors, 1, bar)
        return detectors, 1

    def _first_bar(self, detectors: LockstepDetectors, count: int, before: Window) -> None:
        first = Window(
            *(
                np.stack((earlier, np.repeat(column[self.starts], count)))
                for earlier, column in (
                    (before.high, self.window.high),
                    (before.low, self.window.low),
                    (before.close, self.window.close),
                )
            )
        )
        detectors.update(first.close[1], *(move[0] for move in compared(first)))

    def _update(self, detectors: LockstepDetectors, count: int, bar: int) -> None:
        at = np.repeat(self.starts + bar, count)
        detectors.update(self.window.close[at], *(move[at] for move in self.moves))

    def step(self, bar: int) -> None:
        """Feed every detector the window's bar of that index (1, 2, …)."""
        for detectors, count in (*self.groups, (self.ours, 1)):
            self._update(detectors, count, bar)

    def regimes(self) -> npt.NDArray[np.int8]:
        """Return the regime of every detector: one row per start."""
        rows = len(self.starts)
        return np.concatenate([d.regime.reshape(rows, -1) for d, _ in self.groups], axis=1)

    def furthest(self) -> dict[str, Floats]:
        """Return the largest distance of the other detectors' values from ours, per start."""
        rows, far = len(self.starts), {}
        for name in ("ema_fast", "ema_slow", "adx", "atr"):
            # A detector that started earlier has every value that ours has.
            others = [getattr(each, name).reshape(rows, -1) for each, _ in self.groups]
            mine = getattr(self.ours, name)[:, None]
            far[name] = np.abs(np.concatenate(others, axis=1) - mine).max(axis=1)
        return far

    def closest(self) -> tuple[Floats, Floats]:
        """Return any detector's least distance to the hysteresis (bps) and to an ADX of 20."""
        rows, groups = len(self.starts), [each for each, _ in (*self.groups, (self.ours, 1))]
        apart = [np.abs(each.ema_fast - each.ema_slow) / each.ema_slow * 10_000 for each in groups]
        from_both = (
            [np.abs(each - self.settings.hysteresis_bps) for each in apart],
            [np.abs(each.adx - 20) for each in groups],
        )
        hysteresis, trend = (
            np.concatenate([each.reshape(rows, -1) for each in distance], axis=1).min(axis=1)
            for distance in from_both
        )
        return hysteresis, trend


def first_proven(
    window: Window, bounds: Bounds, settings: DetectorSettings, longest: int
) -> int | None:
    """The least number of bars from the window's first on that is proven enough: where a wrong
    proof is likeliest."""
    counts = range(settings.ema_slow, longest + 1)
    found = bisect_left(
        counts, True, key=lambda bars: certified(window[:bars], bounds, settings).proven
    )
    return counts[found] if found < len(counts) else None


def check(
    settings: DetectorSettings,
    window: Window,
    starts: Ints,
    bounds: Bounds,
    longest: int,
    seed: int,
) -> tuple[int, int]:
    """Compare certificates of windows of some lengths from each start with all pasts.

    Return how many windows were judged, and how many of them are proven.
    """
    rng = random.Random(seed)
    chosen = [*rng.sample(range(2, longest), 10), longest]
    pasts = Pasts(settings, window, starts, bounds, seed)
    seen = np.zeros((longest + 1, len(starts), len(CODES)), dtype=bool)
    mine = np.zeros((longest + 1, len(starts)), dtype=np.int8)
    far: dict[int, dict[str, Floats]] = {}
    near: dict[int, tuple[Floats, Floats]] = {}
    for bars in range(1, longest + 1):
        if bars > 1:
            pasts.step(bars - 1)
        regimes = np.column_stack((pasts.regimes(), pasts.ours.regime))
        seen[bars] = (regimes[:, :, None] == np.arange(len(CODES))).any(axis=1)
        mine[bars] = pasts.ours.regime
        if bars in chosen:
            far[bars], near[bars] = pasts.furthest(), pasts.closest()
    judged = proven = 0
    for column, start in enumerate(starts.tolist()):
        tight = first_proven(window[start:], bounds, settings, longest)
        for bars in {*chosen, tight or longest}:
            part = window[start : start + bars]
            certificate = certified(part, bounds, settings)
            judged, proven = judged + 1, proven + certificate.proven
            where = (settings, seed, start, bars, certificate)
            found = {CODES[code] for code in np.flatnonzero(seen[bars, column])}
            assert found <= set(certificate.possible), where
            assert certificate.regime is CODES[mine[bars, column]], where
            if certificate.met_bar is not None:
                assert (seen[certificate.met_bar + 1 : bars + 1, column].sum(axis=1) == 1).all()
            if bars in far:
                differences = {name: float(each[column]) for name, each in far[bars].items()}
                assert within_errors(certificate, differences, part.last_close), (
                    where,
                    differences,
                )
                margins = (certificate.hysteresis_margin_bps, certificate.adx_margin)
                for margin, distances in zip(margins, near[bars], strict=True):
                    assert margin is None or margin <= distances[column] + 1e-9, (where, margin)
    return judged, proven


def within_errors(certificate: Certificate, far: dict[str, float], close: float) -> bool:
    bps = 10_000 / close
    stated = (
        (certificate.ema_fast_error_bps, far["ema_fast"] * bps),
        (certificate.ema_slow_error_bps, far["ema_slow"] * bps),
        (certificate.atr_error_bps, far["atr"] * bps),
        (certificate.adx_error, far["adx"]),
    )
    return all(error is None or difference <= error for error, difference in stated)


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_certificate_is_contradicted_by_no_past_on_generated_markets(
    settings: DetectorSettings,
) -> None:
    judged = proven = 0
    for seed in range(2 * SCALE):
        rng = random.Random(seed)
        window = market(seed, 1000, tick=rng.choice((0.0, 0.0, 0.01)))
        own, wide = window.bounds, rng.choice((1.0, 1.5, 30.0))
        bounds = Bounds(own.low / wide, own.high * wide)
        starts = np.array([300, *rng.sample(range(300, 600), 4)])
        more, proofs = check(settings, window, starts, bounds, 400, seed)
        judged, proven = judged + more, proven + proofs
    assert judged >= 20 * SCALE
    assert proven > judged / 10


RECORDED = {
    "spot/BTCUSDT-1m-202402.csv.gz": Bounds(3000, 130_000),
    "spot/ETHUSDT-1m-20230310-20230408.csv.gz": Bounds(80, 5000),
    "um/AVAXUSDT-1m-202402.csv.gz": Bounds(2.5, 150),
    "um/FILUSDT-1m-202410.csv.gz": Bounds(2, 240),
    "um/LINKUSDT-1m-202602.csv.gz": Bounds(1.4, 55),
}


@pytest.fixture(scope="module", params=RECORDED)
def month(request: pytest.FixtureRequest, recordings: Path) -> tuple[Window, Bounds]:
    """Return a recorded month of minutes, and the symbol's bounds."""
    return recorded(recordings / request.param), RECORDED[request.param]


def test_certificate_is_contradicted_by_no_past_on_recorded_markets(
    month: tuple[Window, Bounds],
) -> None:
    window, bounds = month
    for turn in range(SCALE):
        rng = random.Random(turn)
        starts = np.array(rng.sample(range(300, len(window) - 450), 6))
        settings = SETTINGS[turn % 2]
        judged, proven = check(settings, window, starts, bounds, 450, turn)
        assert judged >= 60
        assert proven >= 6


def test_certificate_is_proven_within_499_bars_for_99_percent_of_recorded_starts(
    month: tuple[Window, Bounds],
) -> None:
    window, bounds = month
    ends = np.linspace(1500, len(window), 60 * SCALE, dtype=int).tolist()
    missed = [end for end in ends if not certified(window[end - 499 : end], bounds).proven]
    assert len(missed) <= len(ends) / 100
    assert all(certified(window[end - 1500 : end], bounds).proven for end in missed)


def test_certificate_agrees_with_a_detector_that_ran_the_whole_month(
    month: tuple[Window, Bounds],
) -> None:
    window, bounds = month
    detector, right = RegimeDetector(USUAL), {}
    ends = set(np.linspace(1000, 6000, 50 * SCALE, dtype=int).tolist())
    columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
    for end, (high, low, close) in enumerate(zip(*columns, strict=True), 1):
        regime = detector.update(DetectorBar(close, high, low, close, 1.0))
        if end in ends:
            right[end] = (regime, values_of(detector))
        if end == max(ends):
            break
    for end, (regime, values) in right.items():
        for bars in (200, 300, 499):
            part = window[end - bars : end]
            certificate, ours = certified(part, bounds), values_of(feed(part))
            assert not certificate.proven or certificate.regime is regime
            assert regime in certificate.possible
            far = {name: abs(value - ours[name]) for name, value in values.items()}
            assert within_errors(certificate, far, part.last_close)


# What it is not sure of


def test_certificate_of_a_flat_market_is_not_proven_until_prices_move() -> None:
    """A flat market shrinks all differences, but the last side of the hysteresis stays unknown."""
    flat = Window.of(*[[100.0] * 900] * 3)
    still = certified(flat, Bounds(1, 1000))
    assert not still.proven
    assert set(still.possible) == set(Regime)
    assert still.regime is Regime.SIDEWAYS
    assert (still.ema_slow_error_bps or 0) < 0.01
    assert not is_converged(still)  # ADX is what it was when the market stopped
    rising = Window.of(*([100.0 * 1.001**bar for bar in range(200)] for _ in range(3)))
    assert certified(flat.then(rising), Bounds(1, 1000)).regime is Regime.UP


@pytest.mark.parametrize("settings", [SETTINGS[3], SETTINGS[4]])
def test_certificate_ignores_movement_that_faded_to_denormal_floats(
    settings: DetectorSettings,
) -> None:
    """After 1,100 bars without movement 2⁻¹¹⁰⁰ of it remains: its ratios mean nothing."""
    moving, rng = market(2, 330), random.Random(5)
    close = moving.last_close
    inside = [close * (1 + rng.choice((-1, 1)) * 1e-5) for _ in range(1300)]
    edge = (close * 1.00002, close * 0.99998)
    still = Window.of([edge[0]] * 1300, [edge[1]] * 1300, inside)
    flat = Window.of(*[[close] * 1300] * 3)
    for stretch in (still, flat):
        window = moving.then(stretch)
        starts = np.array([300, 310, 325])
        check(settings, window, starts, window.bounds, 1250, seed=1)


def crashes(count: int) -> Window:
    """Every other bar is a billionth of the previous one: then v + (close − v) is not the close."""
    rng = random.Random(1)
    closes = [rng.uniform(0.5, 1) * (1e9 if bar % 2 else 1.0) for bar in range(count)]
    return Window.of(closes, closes, closes)


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_certificate_bands_contain_the_exact_values_of_the_detector(
    settings: DetectorSettings,
) -> None:
    """The band of this start is as wide as rounding errors, and contains all of them."""
    for window in (market(1, 400), market(2, 400), crashes(30)):
        detector, longest = RegimeDetector(settings), max(settings.ema_slow, 2 * settings.adx_len)
        evidence = Evidence.of(settings, window)
        both = (bands_of_this_start(evidence), bands_of_every_past(evidence, window.bounds))
        columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
        for bar, (high, low, close) in enumerate(zip(*columns, strict=True)):
            detector.update(DetectorBar(close, high, low, close, 1.0))
            if bar < longest:
                continue
            values = (detector.ema_fast, detector.ema_slow, detector.adx)
            for value, mine, everybodys in zip(values, *both, strict=True):
                assert value is not None
                assert mine.low[bar] <= value <= mine.high[bar], (bar, mine)
                assert everybodys.low[bar] <= value <= everybodys.high[bar], (bar, everybodys)


def test_certificate_of_a_window_too_short_for_a_seed_says_so() -> None:
    window = market(4, 200)
    for bars, known in (
        (1, 0),
        (14, 0),
        (15, 1),
        (19, 1),
        (20, 2),
        (27, 2),
        (28, 3),
        (49, 3),
        (50, 4),
    ):
        certificate = certified(window[:bars], window.bounds)
        assert certificate.regime is feed(window[:bars]).regime
        assert [
            certificate.atr_error_bps is not None,
            certificate.ema_fast_error_bps is not None,
            certificate.adx_error is not None,
            certificate.ema_slow_error_bps is not None,
        ] == [index < known for index in range(4)]
        assert (certificate.adx_margin is not None) == (bars >= 28)
        assert (certificate.hysteresis_margin_bps is not None) == (bars >= 50)
        assert not certificate.proven
        assert not is_converged(certificate)
        assert set(certificate.possible) == set(Regime)
        assert certificate.met_bar is None


def test_certificate_allows_for_an_adx_that_does_not_count_yet() -> None:
    """ADX counts 2n bars late: until then our detector does not know that the market is weak."""
    settings = DetectorSettings(2, 3, 30, 5, 1)
    window = market(8, 400)
    part = window[100:159]
    assert feed(part, settings).adx is None
    assert certified(part, window.bounds, settings).adx_error is None
    assert certified(window[100:160], window.bounds, settings).adx_error is not None


# Windows that reach back to the listing


@pytest.mark.parametrize("bars", [1, 10, 49, 50, 120, 700])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_certificate_from_the_listing_on_is_exact(bars: int, seed: int) -> None:
    window = market(seed)[:bars]
    certificate = certified(window, Bounds(1e-9, 1e12), from_listing=True)
    assert certificate.proven
    assert certificate.exact
    assert certificate.met_bar == 0
    detector = feed(window)
    assert certificate.regime is detector.regime
    assert certificate.possible == (detector.regime,)
    assert certificate.ema_fast_error_bps == certificate.ema_slow_error_bps == 0
    assert certificate.adx_error == certificate.atr_error_bps == 0
    assert is_converged(certificate)
    if detector.is_warm:
        hysteresis, trend = distances(detector)
        assert certificate.hysteresis_margin_bps == pytest.approx(hysteresis, rel=1e-5, abs=2e-6)
        assert certificate.adx_margin == pytest.approx(trend, rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_certificate_first_regimes_equal_the_detectors(settings: DetectorSettings) -> None:
    """Compare while averages are seeded and ADX begins to count, proven or not."""
    for seed in range(4):
        window, detector = market(seed, 130), RegimeDetector(settings)
        columns = (window.high.tolist(), window.low.tolist(), window.close.tolist())
        for bars, (high, low, close) in enumerate(zip(*columns, strict=True), 1):
            regime = detector.update(DetectorBar(close, high, low, close, 1.0))
            listed = certified(window[:bars], window.bounds, settings, from_listing=True)
            assert listed.regime is regime


def test_certificate_weak_adx_counts_from_bar_2n() -> None:
    settings = DetectorSettings(2, 9, 15, 5, 1)
    rising = [100 + 0.05 * bar for bar in range(40)]
    spikes = [0.1 if bar < 4 else 4.0 for bar in range(40)]  # up and down in turn: no trend
    high = [close + (spikes[bar] if bar % 2 else 0) for bar, close in enumerate(rising)]
    low = [close - (0 if bar % 2 else spikes[bar]) for bar, close in enumerate(rising)]
    window = Window.of(high, low, rising)
    for bars in range(9, 40):
        certificate = certified(window[:bars], Bounds(1, 1000), settings, from_listing=True)
        assert certificate.regime is (Regime.UP if bars < 30 else Regime.SIDEWAYS), bars
        assert certificate.regime is feed(window[:bars], settings).regime


def test_certificate_leaves_a_choice_within_rounding_errors_to_the_detector() -> None:
    """Without hysteresis, equal EMAs differ only by rounding; then the detector itself decides."""
    settings = DetectorSettings(3, 7, 2, 3, 0)
    rng = random.Random(3)
    closes = [rng.choice((0.1, 0.1 + 0.2 - 0.2)) for _ in range(60)]
    window = Window.of(closes, closes, closes)
    for bars in range(1, 60):
        part = window[:bars]
        regime = feed(part, settings).regime
        for listed in (True, False):
            assert certified(part, Bounds(0.01, 1), settings, from_listing=listed).regime is regime


# Evidence: stretches, order, refusals


@pytest.mark.parametrize("settings", SETTINGS[:4], ids=named)
@pytest.mark.parametrize("seed", [5, 6])
def test_certificate_evidence_of_older_bars_in_front_equals_the_whole(
    settings: DetectorSettings, seed: int
) -> None:
    window, rng = market(seed, 600), random.Random(seed)
    bounds = Bounds(window.bounds.low / 9, window.bounds.high * 9)
    whole = Evidence.of(settings, window)
    for cuts in (
        [599],
        [1],
        [300],
        [599, 598, 597, 2, 1],
        sorted(rng.sample(range(1, 600), 9))[::-1],
    ):
        edges = [600, *cuts, 0]
        evidence = Evidence.of(settings, window[cuts[0] :])
        for older, newer in zip(edges[2:], edges[1:-1], strict=True):
            evidence = evidence.prepend(window[older:newer])
        assert evidence.bars == 600
        for name in ("ema_fast", "ema_slow", "plus_dm", "minus_dm"):
            assert getattr(evidence, name) == pytest.approx(getattr(whole, name), rel=1e-12, abs=0)
        found, expected = certify(evidence, bounds), certify(whole, bounds)
        assert (found.regime, found.possible, found.met_bar) == (
            expected.regime,
            expected.possible,
            expected.met_bar,
        )
        assert found.ema_slow_error_bps == pytest.approx(expected.ema_slow_error_bps, rel=1e-5)
        assert found.adx_error == pytest.approx(expected.adx_error, rel=1e-5)
        assert certify(evidence.in_one_piece(), bounds) == expected


def test_certificate_evidence_of_newer_bars_behind_equals_the_whole() -> None:
    window = market(7, 300)
    grown = Evidence.of(USUAL, window[:120])
    for bar in range(120, 300):
        grown = grown.then(Evidence.of(USUAL, window[bar : bar + 1]))
    assert certify(grown.in_one_piece(), window.bounds) == certified(window, window.bounds)
    assert grown.plus_dm == pytest.approx(Evidence.of(USUAL, window).plus_dm, rel=1e-12, abs=0)


def test_certificate_evidence_computes_each_stretch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of the newer bars are reused: only those of the older bars are computed."""
    evidence, made = Evidence.of(USUAL, market(7, 300)[200:]), []

    def counting(values: Floats, decay: float) -> Floats:
        made.append(len(values))
        return decayed_sums(values, decay)

    monkeypatch.setattr("warmup_job.proof.evidence.decayed_sums", counting)
    assert evidence.prepend(market(7, 300)[150:200]).bars == 150
    assert made == [50] * 4


def test_certificate_of_equal_bars_is_equal_in_any_container() -> None:
    window = market(9, 500)
    again = Window.of(window.high.tolist(), tuple(window.low), window.close.copy())
    assert certified(again, window.bounds) == certified(window, window.bounds)


def test_certificate_window_is_a_copy() -> None:
    columns = [np.array([2.0, 3.0]), np.array([1.0, 2.0]), np.array([1.5, 2.5])]
    window = Window.of(*columns)
    columns[0][0] = 9.0
    assert window.high[0] == 2.0


@pytest.mark.parametrize(
    ("high", "low", "close"),
    [
        ([], [], []),
        ([2.0, 2.0], [1.0], [1.0]),
        ([[2.0]], [[1.0]], [[1.5]]),
        ([math.nan], [1.0], [1.5]),
        ([2.0], [math.nan], [1.5]),
        ([2.0], [1.0], [math.nan]),
        ([math.inf], [1.0], [1.5]),
        ([1e101], [1.0], [1.5]),
        ([2.0], [0.0], [1.5]),
        ([2.0], [-1.0], [1.5]),
        ([2.0], [1e-101], [1.5]),
        ([2.0], [1.6], [1.5]),
        ([1.4], [1.0], [1.5]),
        ([2.0, 1.0], [1.0, 2.0], [1.5, 1.5]),
    ],
)
def test_certificate_window_refuses_values_that_cannot_be_bars(
    high: object, low: object, close: object
) -> None:
    with pytest.raises(ValueError, match=r"a window needs three columns|a bar is not low ≤ close"):
        Window.of(high, low, close)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (1.0, math.inf), (1e-101, 1.0)]
)
def test_certificate_bounds_refuse_impossible_prices(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="invalid price bounds"):
        Bounds(low, high)


def test_certificate_bounds_include_the_prices_of_the_window() -> None:
    window = market(3, 300)
    own = window.bounds
    narrow = Bounds(window.last_close, window.last_close)
    assert certified(window, narrow) == certified(window, own)
    assert (certified(window, narrow).lowest, certified(window, narrow).highest) == (
        min(window.low),
        max(window.high),
    )
    half = certified(window, Bounds(window.last_close, own.high * 2))
    assert (half.lowest, half.highest) == (own.low, own.high * 2)


# What it says


@pytest.mark.parametrize(
    "pinned",
    [
        Certificate(
            bars=250,
            lowest=20.0,
            highest=500.0,
            proven=False,
            exact=False,
            regime=Regime.SIDEWAYS,
            possible=(Regime.DOWN, Regime.SIDEWAYS),
            met_bar=None,
            ema_fast_error_bps=1e-06,
            ema_slow_error_bps=2.45353,
            adx_error=0.093307,
            atr_error_bps=0.000463,
            hysteresis_margin_bps=1.04917,
            adx_margin=8.95537,
        ),
        Certificate(
            bars=300,
            lowest=20.0,
            highest=500.0,
            proven=True,
            exact=False,
            regime=Regime.SIDEWAYS,
            possible=(Regime.SIDEWAYS,),
            met_bar=261,
            ema_fast_error_bps=1e-06,
            ema_slow_error_bps=0.331232,
            adx_error=0.003309,
            atr_error_bps=1.2e-05,
            hysteresis_margin_bps=1.47599,
            adx_margin=9.04536,
        ),
    ],
    ids=lambda pinned: str(pinned.bars),
)
def test_certificate_values_are_pinned(pinned: Certificate) -> None:
    """The values are pinned: if one changes, existing manifests no longer match."""
    window = counted_market(400)[-pinned.bars :]
    assert certified(window, Bounds(20, 500)) == pinned


def test_certificate_survives_json_unchanged() -> None:
    window = market(9, 500)
    for listed in (True, False):
        for bars in (1, 30, 500):
            certificate = certified(window[:bars], window.bounds, from_listing=listed)
            text = msgspec.json.encode(certificate)
            assert msgspec.json.decode(text, type=Certificate) == certificate
            assert b"Infinity" not in text
    assert msgspec.to_builtins(certificate)["regime"] == certificate.regime.value


@pytest.mark.parametrize("error", ["ema_fast_error_bps", "ema_slow_error_bps", "adx_error"])
def test_certificate_is_converged_when_every_error_is_below_a_hundredth(error: str) -> None:
    window = counted_market(400)
    certificate = certified(window, Bounds(20, 500))
    assert is_converged(certificate)
    for value, fine in ((0.0099, True), (0.01, False), (None, False)):
        changed = msgspec.structs.replace(certificate, **{error: value})
        assert is_converged(changed) is fine
    assert not is_converged(certified(window[-200:], Bounds(20, 500)))


def test_certificate_errors_shrink_by_the_decay_of_each_average() -> None:
    """Per bar the error shrinks to 1 − 2/(n+1) for an EMA, and to (n−1)/n for the ATR."""
    window, bounds = counted_market(400), Bounds(20, 500)
    fewer, more = certified(window[-150:], bounds), certified(window[-151:], bounds)
    ratios = {"ema_slow_error_bps": 1 - 2 / 51, "atr_error_bps": 13 / 14}
    for name, ratio in ratios.items():
        assert getattr(more, name) / getattr(fewer, name) == pytest.approx(ratio, rel=0.02), name


def test_certificate_averages_start_anywhere_within_the_bounds() -> None:
    """After n bars of one price: a past at a bound, or a seed with one half at that bound."""
    flat = Window.of(*[[100.0] * 50] * 3)
    alpha, n = 2 / 51, 50
    candidates = [
        (1 - alpha) ** n,
        *((n - 1 - j) / n * (1 - alpha) ** (n - 1 - j) for j in range(n)),
    ]
    largest = max(candidates)
    certificate = certified(flat, Bounds(40, 300))
    assert certificate.ema_slow_error_bps == pytest.approx(200 * largest * 100, rel=1e-5)
    certificate = certified(flat, Bounds(20, 150))
    assert certificate.ema_slow_error_bps == pytest.approx(80 * largest * 100, rel=1e-5)
    assert certificate.atr_error_bps == pytest.approx(130 * (13 / 14) ** 49 * 100, rel=1e-5)
    assert certificate.adx_error == pytest.approx(100, rel=1e-3)


def test_certificate_margin_is_zero_where_the_side_is_open() -> None:
    for seed in range(12):
        window = market(seed, 600)
        certificate = certified(window, window.bounds)
        hysteresis, trend = certificate.hysteresis_margin_bps, certificate.adx_margin
        assert hysteresis is not None
        assert trend is not None
        from_hysteresis, from_trend = distances(feed(window))
        assert 0 <= hysteresis <= from_hysteresis
        assert 0 <= trend <= from_trend
        if is_converged(certificate):
            assert hysteresis == pytest.approx(from_hysteresis, abs=0.05)
            assert trend == pytest.approx(from_trend, abs=0.02)


def test_certificate_lockstep_compares_columns_like_the_detector() -> None:
    rng = np.random.default_rng(1)
    wild = wild_bars(rng, Bounds(1, 9), 300, 1)
    window = Window.of(wild.high[:, 0], wild.low[:, 0], wild.close[:, 0])
    high, low, close = window.high.tolist(), window.low.tolist(), window.close.tolist()
    ranges, (plus, minus) = window.true_ranges(), window.movements()
    assert (ranges[0], plus[0], minus[0]) == (0, 0, 0)
    for bar in range(1, 300):
        assert ranges[bar] == max(high[bar], close[bar - 1]) - min(low[bar], close[bar - 1])
        assert ranges[bar] == true_range(high[bar], low[bar], close[bar - 1])
        moves = directional_movement(high[bar], low[bar], high[bar - 1], low[bar - 1])
        assert (plus[bar], minus[bar]) == moves
