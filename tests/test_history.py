"""The source of a trader's history: the snapshot, refreshed or not, a fetch, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.second_run import EARLY_MS, MINUTE_MS, Situation
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.catalog.nautilus_bars import open_ms_of
from warmup_job.config import load
from warmup_job.errors import SnapshotError, UnknownSymbolError
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.market.interval import Interval
from warmup_job.plan.resolve import resolve
from warmup_job.plan.venue_client import open_client
from warmup_job.trader.history import load_histories

MINUTE = Interval.parse("1m")


@pytest.fixture
def situation(tmp_path: Path, start_exchange: Callable[..., Exchange]) -> Situation:
    """Return a volume with a snapshot from `EARLY_MS`."""
    made = Situation(tmp_path, start_exchange)
    made.at(EARLY_MS)
    assert made.run(require="proven").errors == []
    return made


def load_one(
    situation: Situation, *, cut_off: bool = False, **options: Any
) -> tuple[History, list[str]]:
    """Load the history as a trader does; ``cut_off``: the exchange stops after it gave the time."""
    running = situation.running
    assert running is not None
    warmup = {"require": "proven", "deadline": "3s"} | options.pop("warmup", {})
    snapshot = {"root": str(situation.root), "max_age": "10m"}
    path = write_config(
        situation.folder / "trader", running.url, warmup=warmup, snapshot=snapshot, **options
    )
    plan = resolve(load(path, environ={}))
    lines: list[str] = []

    async def ask() -> list[History]:
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            if cut_off:
                running.stop()
            return await load_histories(plan, client)

    sink = logger.add(lambda message: lines.append(str(message)), format="{level} {message}")
    try:
        (history,) = asyncio.run(ask())
    finally:
        logger.remove(sink)
    return history, lines


def opens(history: History) -> list[int]:
    return [open_ms_of(bar, MINUTE) for bar in history.bars]


def limits(running: Exchange) -> list[int]:
    return [int(request["params"]["limit"]) for request in running.klines()]


@pytest.mark.parametrize(
    ("age_min", "asked"),
    [(0, []), (8, []), (30, [35]), (600, [499])],
    ids=["fresh", "within max_age", "stale", "too old to continue"],
)
def test_history_asks_only_for_what_a_stale_snapshot_lacks(
    situation: Situation, age_min: int, asked: list[int]
) -> None:
    running = situation.at(EARLY_MS + age_min * MINUTE_MS)
    history, lines = load_one(situation)
    assert limits(running) == asked
    assert not any(each["path"].endswith("exchangeInfo") for each in running.requests())
    first_ms = opens(history)[0]
    assert opens(history) == [first_ms + i * MINUTE_MS for i in range(len(history.bars))]
    newest_ms = EARLY_MS + (age_min if asked else 0) * MINUTE_MS
    assert opens(history)[-1] == MINUTE.last_closed(newest_ms)
    used = (situation.root / "current").resolve().name if age_min < 600 else ""
    assert history.snapshot == used
    assert history.certificate is not None
    assert history.certificate.proven
    assert history.instrument is not None
    assert any("the snapshot is stale" in line for line in lines) == bool(asked)


def test_history_proof_has_every_bar_but_the_newest(situation: Situation) -> None:
    """The newest bar is delivered live; after it the proof equals the snapshot's certificate."""
    situation.at(EARLY_MS)
    history, _ = load_one(situation)
    proof, newest = history.proof, detector_bar(history.bars[-1])
    assert proof is not None
    before = proof.certificate()
    assert before is not None
    assert before.bars == len(history.bars) - 1
    proof.update(newest.high, newest.low, newest.close)
    assert proof.certificate() == history.certificate


def test_history_is_fetched_whole_without_a_usable_snapshot(situation: Situation) -> None:
    running = situation.at(EARLY_MS)
    (bars,) = (situation.root / "current" / "catalog").rglob("bar/*/*.parquet")
    bars.write_bytes(b"no parquet")
    history, lines = load_one(situation)
    assert limits(running) == [499]
    assert len(history.bars) == history.wanted > 0
    assert history.instrument is not None
    assert any(line.startswith("WARNING no usable snapshot") for line in lines)
    assert any("fetching the whole window" in line for line in lines)
    with pytest.raises(SnapshotError):
        load_one(situation, warmup={"on_failure": "fail"})


def test_history_is_empty_if_nothing_can_be_fetched_either(situation: Situation) -> None:
    situation.at(EARLY_MS + 30 * MINUTE_MS)
    history, lines = load_one(situation, cut_off=True)
    assert (list(history.bars), history.instrument, history.certificate) == ([], None, None)
    assert history.wanted > 0
    assert history.proof is not None  # no order leaves before the certificate is proven
    assert any("STARTING COLD" in line for line in lines)


def test_history_of_a_stale_snapshot_that_cannot_be_refreshed_fails_by_policy(
    situation: Situation,
) -> None:
    situation.at(EARLY_MS + 30 * MINUTE_MS)
    with pytest.raises(SnapshotError, match="is stale: BTCUSDT 1m has lacked bars for 29 min"):
        load_one(situation, cut_off=True, warmup={"on_failure": "fail"})


def test_history_of_an_unknown_symbol_is_refused(situation: Situation) -> None:
    with pytest.raises(UnknownSymbolError, match="does not list the symbol NOSUCHUSDT"):
        load_one(situation, strategy={"symbol": "NOSUCHUSDT-PERP.BINANCE"})
