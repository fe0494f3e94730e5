"""Binance changes a symbol's tick or step: bars are published, loaded, filled and traded on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from tests.support.config_files import write_config
from tests.support.exchange import Exchange, before_the_minute
from tests.support.paper_node import BAR_TYPE, MINUTE, make_grid, run_until
from tests.support.second_run import MINUTE_MS, Situation, digest
from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.nautilus_bars import open_ms_of
from warmup_job.config import load
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.paper_runner import PaperRunner
from warmup_job.job.run_job import Outcome, warm
from warmup_job.market.kline import Kline
from warmup_job.market.stream_id import StreamId
from warmup_job.plan.resolve import resolve
from warmup_job.plan.venue_client import open_client
from warmup_job.snapshot.verify import find_problems, open_snapshot
from warmup_job.trader.build_runner import node_settings
from warmup_job.trader.history import load_histories

pytestmark = pytest.mark.e2e

LINK_BARS = 400
LINK = [{"symbol": "LINKUSDT", "interval": "1m", "bars": LINK_BARS}]
LINK_TYPE = "LINKUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
LINK_MS = 1_770_600_003_000  # 2026-02-09T01:20:03Z: no minute closes while a test runs


def same(bars: Sequence[Bar], klines: Sequence[Kline]) -> bool:
    """Whether they are equal, number for number."""
    held = [
        [each.as_decimal() for each in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
        for bar in bars
    ]
    return held == [[Decimal(text) for text in kline[1:6]] for kline in klines]


def precisions(outcome: Outcome) -> tuple[tuple[int, int], tuple[int, int]]:
    """Those of the stream, and those of the instrument."""
    assert outcome.manifest is not None
    (stream,), (instrument,) = outcome.manifest.streams, outcome.manifest.instruments
    return (
        (stream.price_precision, stream.size_precision),
        (instrument.price_precision, instrument.size_precision),
    )


async def rows(url: str, config: Path, symbol: str, bars: int, now_ms: int) -> list[Kline]:
    """The last bars as the exchange has them now."""
    plan = resolve(load(config, environ={}))
    async with open_client(plan.venue, plan.deadline_ms) as client:
        await client.sync_clock()
        last_ms = MINUTE.last_closed(now_ms)
        first_ms = MINUTE.shift(last_ms, 1 - bars)
        return await fetch_range(client, StreamId(symbol, MINUTE), first_ms, last_ms)


def test_step_size_becomes_coarser_within_the_window(
    situation: Situation, recordings: Path
) -> None:
    """Recorded volumes with two decimals, under a step of 1."""
    replay = (str(recordings / "um" / "LINKUSDT-1m-202602.csv.gz"),)
    situation.at(LINK_MS, replay=replay, faults=("grid=0.001/1@LINKUSDT",))
    made = situation.run(streams=LINK)
    assert made.errors == []
    assert precisions(made) == ((3, 2), (3, 0))
    snapshot = open_snapshot(situation.root)
    assert find_problems(snapshot) == []
    catalog = ParquetDataCatalog(str(snapshot.catalog))
    bars = catalog.bars(bar_types=[LINK_TYPE])
    config = situation.folder / "config" / "warmup.yaml"
    klines = asyncio.run(rows("", config, "LINKUSDT", LINK_BARS, LINK_MS))
    assert same(bars, klines)
    assert {(bar.close.precision, bar.volume.precision) for bar in bars} == {(3, 2)}
    assert any(Decimal(kline.volume) % 1 for kline in klines)
    (instrument,) = catalog.instruments(instrument_ids=["LINKUSDT-PERP.BINANCE"])
    assert instrument is not None
    assert instrument.size_precision == 0
    (backtest,) = BacktestNode(configs=[over(snapshot.catalog)]).run()
    assert backtest.iterations == LINK_BARS


def over(catalog: Path) -> BacktestRunConfig:
    """A backtest as docs/reference/snapshots.md has it."""
    venue = BacktestVenueConfig(
        name="BINANCE",
        oms_type="HEDGING",
        account_type="MARGIN",
        starting_balances=["10_000 USDT"],
        bar_execution=False,  # Nautilus fills orders by bars of the instrument's precision alone
    )
    data = BacktestDataConfig(catalog_path=str(catalog), data_cls=Bar, bar_types=[LINK_TYPE])
    return BacktestRunConfig(
        engine=BacktestEngineConfig(), venues=[venue], data=[data], raise_exception=True
    )


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        ((), ("grid=0.0001/0.001/{from_ms}@LINKUSDT",), ((4, 3), (4, 3))),
        ((), ("grid=0.01/1@LINKUSDT",), ((3, 2), (2, 0))),
        (("grid=0.0001/0.001/{from_ms}@LINKUSDT",), (), ((3, 2), (3, 2))),
        (("grid=0.0001/0.001@LINKUSDT",), ("grid=0.01/1@LINKUSDT",), ((3, 2), (2, 0))),
    ],
    ids=["finer", "coarser", "finer for a while, and revised", "coarser by far"],
)
def test_tick_size_change_between_two_runs_gives_the_snapshot_of_a_full_fetch(
    situation: Situation,
    recordings: Path,
    before: tuple[str, ...],
    after: tuple[str, ...],
    held: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """The same bars and the same entry give the same snapshot, however it came about."""
    replay = (str(recordings / "um" / "LINKUSDT-1m-202602.csv.gz"),)
    from_ms = LINK_MS // MINUTE_MS * MINUTE_MS - (MINUTE_MS if before else 0)

    def faults(specs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(spec.format(from_ms=from_ms) for spec in specs)

    situation.at(LINK_MS, replay=replay, faults=faults(before))
    first = situation.run(streams=LINK)
    running = situation.at(LINK_MS + 3 * MINUTE_MS, replay=replay, faults=faults(after))
    second = situation.run(streams=LINK)
    assert [int(each["params"]["limit"]) for each in running.klines()] == [8]
    assert second.errors == []
    assert precisions(second) == held
    assert precisions(first) != held
    snapshot = open_snapshot(situation.root)
    assert find_problems(snapshot) == []
    whole = situation.run(root=situation.folder / "whole", full=True, streams=LINK)
    assert digest(whole) == digest(second)
    written = [
        (each.folder, sorted((entry.path, entry.sha256) for entry in each.manifest.files))
        for each in (snapshot, open_snapshot(situation.folder / "whole"))
    ]
    assert written[0][1] == written[1][1]  # to the byte
    catalog = ParquetDataCatalog(str(snapshot.catalog))
    assert len(catalog.bars(bar_types=[LINK_TYPE])) == LINK_BARS


@pytest.mark.parametrize(
    ("old_min", "grid"),
    [(4, "0.001/0.0001"), (30, "0.001/0.0001"), (4, "1.00/1"), (30, "1.00/1")],
    ids=[
        "finer, filled",
        "finer, brought up to date",
        "coarser, filled",
        "coarser, brought up to date",
    ],
)
def test_trader_uses_a_snapshot_from_before_a_tick_size_change(
    start_exchange: Callable[..., Exchange], tmp_path: Path, old_min: int, grid: str
) -> None:
    """Restarted on it, and then its websocket misses a bar: nothing is lost, nothing halts it."""
    running = start_exchange(now_ms=before_the_minute(8))
    path = write_config(tmp_path, running.url, ws_url=running.ws_url)
    plan = resolve(load(path, environ={}, overrides={"root": str(tmp_path / "snapshot")}))
    from_ms = MINUTE.floor(running.now_ms()) - 3 * MINUTE_MS

    async def scenario() -> tuple[History, PaperRunner, list[Bar], list[Kline]]:
        outcome = await warm(plan, until=f"-{old_min}m")
        assert outcome.published is not None
        running.fault(f"grid={grid}/{from_ms}@BTCUSDT")
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            (history,) = await load_histories(plan, client)
            strategy = make_grid(plan)
            runner = PaperRunner(node_settings(plan), [strategy], [history], client)
            running.fault("ws-miss=1@*btcusdt@kline_1m")
            await run_until(runner, lambda: runner.delivered.to_on_bar >= 2)
            bars = list(reversed(strategy.cache.bars(BAR_TYPE)))
            last_ms = open_ms_of(bars[-1], MINUTE)
            first_ms = MINUTE.shift(last_ms, 1 - len(bars))
            klines = await fetch_range(client, StreamId("BTCUSDT", MINUTE), first_ms, last_ms)
        return history, runner, bars, klines

    history, runner, bars, klines = asyncio.run(scenario())
    assert len(history.bars) == 499  # not a cold start
    assert len({(bar.close.precision, bar.volume.precision) for bar in history.bars}) == 1
    assert runner.delivered.to_on_bar == 2
    assert runner.delivered.live == 0  # the one that the websocket missed was filled
    assert [open_ms_of(bar, MINUTE) for bar in bars] == [kline.open_ms for kline in klines]
    assert same(bars, klines)
    finer = [kline for kline in klines if len(kline.low.partition(".")[2]) > 2]
    assert bool(finer) == (grid == "0.001/0.0001")
