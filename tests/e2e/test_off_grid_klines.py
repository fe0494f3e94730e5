"""Binance's spot klines of 2017 and 2018 do not all open on the grid: those after them are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.exchange import Exchange
from tests.support.second_run import EARLY_MS, MINUTE_MS, Situation
from warmup_job.errors import DataInvalidError
from warmup_job.snapshot.verify import find_problems, open_snapshot

pytestmark = pytest.mark.e2e
ODD_BARS = 120
LAST_MS = EARLY_MS // MINUTE_MS * MINUTE_MS - MINUTE_MS
FIRST_MS = LAST_MS - (ODD_BARS - 1) * MINUTE_MS
"""Bars after those that do not open on the grid."""


@pytest.fixture
def situation(tmp_path: Path, start_exchange: Callable[..., Exchange]) -> Situation:
    made = Situation(tmp_path, start_exchange)
    made.at(EARLY_MS, faults=(f"odd={FIRST_MS}@klines/BTCUSDT/1m",))
    return made


def streams(bars: int) -> list[dict[str, object]]:
    return [{"symbol": "BTCUSDT", "interval": "1m", "bars": bars}]


@pytest.mark.parametrize("bars", [ODD_BARS + 1, 600, 2_500])
def test_off_grid_klines_bars_after_them_are_published_with_the_reason(
    situation: Situation, bars: int
) -> None:
    made = situation.run(streams=streams(bars), market="spot")
    (error,) = made.errors
    assert isinstance(error, DataInvalidError)
    odd_ms = FIRST_MS - MINUTE_MS + 17_000
    assert f"({odd_ms}) does not open when a 1m kline does" in str(error)
    assert "2026-05-28T18:29:17Z" in str(error)
    assert f"the {ODD_BARS} bars after it are used, {bars} were asked for" in str(error)
    snapshot = open_snapshot(situation.root)
    (stream,) = snapshot.manifest.streams
    assert (stream.bar_count, stream.first_open) == (ODD_BARS, FIRST_MS)
    assert not stream.from_listing  # older klines exist: their absence proves nothing
    assert stream.gaps == []
    assert snapshot.manifest.degraded == [str(error)]
    assert find_problems(snapshot) == []


def test_off_grid_klines_outside_the_window_are_not_mentioned(situation: Situation) -> None:
    made = situation.run(streams=streams(ODD_BARS), market="spot")
    assert made.errors == []
    assert open_snapshot(situation.root).manifest.degraded == []


def test_off_grid_kline_that_comes_only_once_is_requested_again(
    situation: Situation,
) -> None:
    running = situation.at(EARLY_MS, faults=(f"odd={FIRST_MS}@klines/BTCUSDT/1m:times=1",))
    made = situation.run(streams=streams(300), market="spot")
    assert made.errors == []
    assert open_snapshot(situation.root).manifest.streams[0].bar_count == 300
    assert len(running.klines()) == 2


def test_off_grid_klines_only_are_reported_with_the_time(situation: Situation) -> None:
    situation.at(EARLY_MS, faults=(f"odd={EARLY_MS}@klines/BTCUSDT/1m",))
    with pytest.raises(DataInvalidError, match="no closed kline of it: the venue's kline of 2026-"):
        situation.run(streams=streams(50), market="spot")
