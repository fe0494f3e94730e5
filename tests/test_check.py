"""The check of a download: what the job publishes of each stream, and why it is degraded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.config_files import write_config
from tests.support.stream_plans import DETECTOR, MINUTE, OPEN_MS, acquired, packed, stream_plan
from warmup_job.acquire.acquire_bars import AcquiredBars
from warmup_job.acquire.judge import Verdict, judge
from warmup_job.config import load
from warmup_job.errors import (
    DataInvalidError,
    ExchangeUnreachableError,
    NotConvergedError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.job.check import check, shortcomings, stream_entry
from warmup_job.job.download import Download
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.market.rows import Gap
from warmup_job.market.stream_id import StreamId
from warmup_job.plan.resolve import resolve
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.proof.window import Window
from warmup_job.snapshot.manifest import IndicatorEntry, InstrumentEntry

INSTRUMENT = InstrumentEntry(
    symbol="BTCUSDT",
    instrument_id="BTCUSDT-PERP.BINANCE",
    price_precision=2,
    size_precision=3,
    source_digest="0" * 64,
    values_digest="0" * 64,
)
FIXED = stream_plan(auto=False, bars=3)


@pytest.mark.parametrize(
    ("price", "volume", "precisions"),
    [("5.1", "1", (2, 3)), ("5.1234", "1", (4, 3)), ("5", "1.00001", (2, 5))],
)
def test_check_writes_no_digit_less_than_the_bars_have(
    price: str, volume: str, precisions: tuple[int, int]
) -> None:
    bars = acquired(packed(0, 1, 2, price=price, volume=volume))
    entry = stream_entry(FIXED, bars, INSTRUMENT)
    assert (entry.price_precision, entry.size_precision) == precisions


def test_check_describes_a_stream_by_its_bars() -> None:
    entry = stream_entry(FIXED, acquired(packed(0, 1, 3)), INSTRUMENT)
    assert entry.bar_type == "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
    assert (entry.bar_count, entry.first_open) == (3, OPEN_MS)
    assert entry.last_close == OPEN_MS + 4 * 60_000 - 1


def test_check_describes_what_is_proven_of_a_stream() -> None:
    certificate = judge(
        FIXED, Window.of([5.0] * 3, [5.0] * 3, [5.0] * 3), None, from_listing=True
    ).certificate
    assert certificate is not None
    gaps, indicators = (
        [Gap(OPEN_MS + 120_000, OPEN_MS + 120_000, 1)],
        (IndicatorEntry("ema", 9, 3),),
    )
    verdict = Verdict(3, certificate, indicators)
    bars = acquired(packed(0, 1, 3), gaps=gaps, from_listing=True, verdict=verdict)
    entry = stream_entry(FIXED, bars, INSTRUMENT)
    assert (entry.gaps, entry.from_listing) == (gaps, True)
    assert (entry.detector, entry.certificate) == (DETECTOR, certificate)
    assert entry.indicators == list(indicators)


def test_check_mark_prices_have_eight_decimals() -> None:
    plan = stream_plan(stream=StreamId("BTCUSDT", MINUTE, "mark"), detector=None)
    assert stream_entry(plan, acquired(packed(0)), INSTRUMENT).price_precision == 8


def test_check_refuses_a_stream_without_bars() -> None:
    with pytest.raises(DataInvalidError, match=r"no closed kline of it$"):
        stream_entry(FIXED, acquired(packed()), INSTRUMENT)
    with pytest.raises(DataInvalidError, match=r"no closed kline of it: .*2023-11-14T22:14:00Z"):
        stream_entry(FIXED, acquired(packed(), off_grid_ms=OPEN_MS), INSTRUMENT)


@pytest.mark.parametrize(("allowed", "count"), [(1, 1), (2, 0)])
def test_check_counts_the_bars_that_binance_lacks(allowed: int, count: int) -> None:
    gaps = [Gap(OPEN_MS + 60_000, OPEN_MS + 120_000, 2)]
    found = shortcomings(FIXED, acquired(packed(0, 3, 4), gaps=gaps), allowed)
    assert len(found) == count
    for error in found:
        assert isinstance(error, DataInvalidError)
        assert "lacks 2 bars from 2023-11-14T22:15:00Z on, allowed are 1" in str(error)


def test_check_reports_bars_off_the_grid_only_where_bars_are_lacking() -> None:
    whole = acquired(packed(1, 2, 3), off_grid_ms=OPEN_MS)
    assert shortcomings(FIXED, whole, 0) == []
    (error,) = shortcomings(FIXED, acquired(packed(2, 3), off_grid_ms=OPEN_MS), 0)
    assert "the 2 bars after it are used, 3 were asked for" in str(error)


def test_check_demands_a_proof_only_where_the_policy_does() -> None:
    verdict = Verdict(3, shortcomings=(NotConvergedError("not proven"),))
    bars = acquired(packed(0, 1, 2), verdict=verdict)
    assert [str(error) for error in shortcomings(FIXED, bars, 0)] == ["not proven"]
    assert shortcomings(stream_plan(needs_proof=False), bars, 0) == []


@pytest.fixture
def plan(tmp_path: Path) -> WarmupPlan:
    streams = [
        {"symbol": "BTCUSDT", "interval": "1m", "bars": 3},
        {"symbol": "ETHUSDT", "interval": "1m", "bars": 3},
    ]
    config = write_config(tmp_path, "http://127.0.0.1:9", warmup={"streams": streams})
    return resolve(load(config, environ={}))


def downloaded(plan: WarmupPlan, *results: AcquiredBars | WarmupError) -> Download:
    listed: dict[str, Any] = {
        each.name: each.info() for each in default_symbols() if each.market == "um"
    }
    streams = {each.stream: result for each, result in zip(plan.streams, results, strict=True)}
    info = {"BTCUSDT": listed["BTCUSDT"]}  # and not ETHUSDT
    return Download(streams, info, None, OPEN_MS, 1)


def test_check_publishes_the_streams_that_passed_with_the_errors_of_the_others(
    plan: WarmupPlan,
) -> None:
    bars = acquired(packed(0, 1, 2))
    checked = check(plan, downloaded(plan, bars, bars))
    assert [each.entry.symbol for each in checked.streams] == ["BTCUSDT"]
    assert [each.entry.symbol for each in checked.instruments] == ["BTCUSDT"]
    (error,) = [each for each in checked.errors if not isinstance(each, NotConvergedError)]
    assert isinstance(error, UnknownSymbolError)
    assert "does not list the symbol ETHUSDT" in str(error)


def test_check_publishes_a_degraded_stream_with_its_errors(plan: WarmupPlan) -> None:
    gaps = [Gap(OPEN_MS + 60_000, OPEN_MS + 120_000, 2)]
    degraded = acquired(packed(0, 3, 4), gaps=gaps)
    checked = check(plan, downloaded(plan, degraded, ExchangeUnreachableError("away")))
    assert [each.entry.symbol for each in checked.streams] == ["BTCUSDT"]
    assert checked.streams[0].bars is degraded.bars
    assert {type(error) for error in checked.errors} == {DataInvalidError, ExchangeUnreachableError}


def test_check_raises_the_worst_error_if_no_stream_passed(plan: WarmupPlan) -> None:
    away, invalid = ExchangeUnreachableError("away"), DataInvalidError("invalid")
    with pytest.raises(DataInvalidError, match="invalid"):
        check(plan, downloaded(plan, away, invalid))
