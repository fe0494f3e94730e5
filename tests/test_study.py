"""The study's detectors equal the detector, and its figures are correct."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.support.windows import SETTINGS, USUAL, feed, market, named, recorded
from warmup_job.errors import WarmupError
from warmup_job.proof.certificate import Certificate
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorBar, DetectorSettings, Regime, RegimeDetector
from warmup_job.study.lockstep import CODES, LockstepDetectors
from warmup_job.study.wrong_starts import study


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
@pytest.mark.parametrize("seed", [3, 4])
def test_study_lockstep_equals_the_detector_bit_for_bit(
    settings: DetectorSettings, seed: int
) -> None:
    window = market(seed, 500)
    starts = np.array([0, 17, 250])
    moves = (window.true_ranges(), *window.movements())
    many = LockstepDetectors(settings, len(starts))
    alone = [RegimeDetector(settings) for _ in starts]
    for bar in range(250):
        many.update(window.close[starts + bar], *(move[starts + bar] for move in moves))
        for column, (start, detector) in enumerate(zip(starts.tolist(), alone, strict=True)):
            high, low, close = (
                float(each[start + bar]) for each in (window.high, window.low, window.close)
            )
            assert (
                detector.update(DetectorBar(close, high, low, close, 1.0))
                is CODES[many.regime[column]]
            )
            for name in ("ema_fast", "ema_slow", "adx", "atr"):
                value = getattr(detector, name)
                assert value is None or value == getattr(many, name)[column], (name, bar)


def series(count: int = 2600) -> Window:
    return market(12, count)


def test_study_shares_equal_those_of_single_detectors() -> None:
    window, settings = series(), DetectorSettings(5, 12, 6, 4, 8)
    rows = study(window, settings, window.bounds, (30, 60), step=37, certify_every=5, burn_in=400)
    truth = RegimeDetector(settings)
    right: list[Regime] = []
    for index in range(len(window)):
        high, low, close = (float(each[index]) for each in (window.high, window.low, window.close))
        right.append(truth.update(DetectorBar(close, high, low, close, 1.0)))
    starts = range(400, len(window) - 60 + 1, 37)
    for row in rows:
        cold = [feed(window[start : start + row.bars], settings).regime for start in starts]
        pairs = [
            (began, right[start + row.bars - 1]) for began, start in zip(cold, starts, strict=True)
        ]
        wrong = sum(began is not ran for began, ran in pairs)
        trending = sum({began, ran} != {Regime.SIDEWAYS} for began, ran in pairs)
        assert (row.starts, row.certified) == (len(starts), len(starts[::5]))
        assert row.wrong == pytest.approx(wrong / len(starts))
        assert row.wrong_of_trending == pytest.approx(wrong / trending)
    assert rows[0].wrong > 0
    assert rows[0].proven < rows[1].proven or rows[1].proven == 0


def test_study_more_bars_mean_fewer_errors_and_more_proofs() -> None:
    window = series()
    bounds = Bounds(window.bounds.low / 3, window.bounds.high * 3)
    rows = study(window, USUAL, bounds, (70, 200, 499), step=3, burn_in=1000)
    assert [row.bars for row in rows] == [70, 200, 499]
    assert rows[0].wrong > 0.01 > rows[2].wrong == 0
    assert rows[0].proven == 0 < rows[1].proven <= rows[2].proven
    assert rows[2].proven > 0.95


def test_study_without_trends_has_no_share() -> None:
    flat = Window.of(*[[5.0] * 400] * 3)
    (row,) = study(flat, DetectorSettings(5, 12, 6, 4, 8), Bounds(5, 5), (50,), burn_in=300)
    assert (row.wrong, row.wrong_of_trending) == (0, None)


def test_study_series_too_short_for_one_start_is_refused() -> None:
    with pytest.raises(
        ValueError, match="399 bars are too few: the study needs 300 to settle and 100 to warm"
    ):
        study(market(1, 399), USUAL, Bounds(1e-9, 1e12), (50, 100), burn_in=300)
    assert study(market(1, 400), USUAL, Bounds(1e-9, 1e12), (100,), burn_in=300)[0].starts == 1


def test_study_reports_a_wrong_certificate_as_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    window, settings = series(900), DetectorSettings(5, 12, 6, 4, 8)

    def liar(evidence: Evidence, bounds: Bounds) -> Certificate:
        honest = certify(evidence, bounds)
        return msgspec.structs.replace(honest, proven=True, regime=Regime.UP)

    monkeypatch.setattr("warmup_job.study.wrong_starts.certify", liar)
    with pytest.raises(WarmupError, match="bug: the certificate of 30 bars proves UP"):
        study(window, settings, window.bounds, (30,), burn_in=300, certify_every=1)


def test_study_shares_of_the_recorded_month_are_pinned(recordings: Path) -> None:
    """February 2024: the usual 70 bars misjudge one start in nine."""
    window = recorded(recordings / "spot/BTCUSDT-1m-202402.csv.gz")
    rows = study(window, USUAL, Bounds(3000, 130_000), (70, 300, 499), step=6, certify_every=40)
    assert rows[0].starts == len(range(3000, 41_760 - 499 + 1, 6))
    assert rows[0].wrong == pytest.approx(0.107, abs=0.005)
    assert rows[0].wrong_of_trending == pytest.approx(0.297, abs=0.01)
    assert [row.wrong for row in rows[1:]] == [0, 0]
    assert rows[1].proven > 0.9
    assert rows[2].proven > 0.99
