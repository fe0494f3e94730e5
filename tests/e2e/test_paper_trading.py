"""Situations of the paper trader: Nautilus' real node and Binance client against an exchange."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide, OrderStatus, TradingState
from nautilus_trader.trading.strategy import Strategy

from tests.support.commands import job, job_process, trade_until
from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.operators import operated
from tests.support.paper_node import BAR_TYPE, MINUTE, make_grid, run_until
from tests.support.suite import HANG_S, REPO
from tests.support.waiting import until_async
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.catalog.nautilus_bars import open_ms_of
from warmup_job.config import load
from warmup_job.errors import TraderError
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.node import NodeSettings
from warmup_job.handoff.paper_runner import PaperRunner
from warmup_job.handoff.shut_down import LastOrders
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.job.run_job import warm
from warmup_job.market.interval import Interval
from warmup_job.market.stream_id import StreamId
from warmup_job.plan.resolve import resolve
from warmup_job.plan.venue_client import open_client
from warmup_job.regime.detector import RegimeDetector
from warmup_job.trader.build_runner import node_settings
from warmup_job.trader.history import load_histories

pytestmark = pytest.mark.e2e
MINUTE_MS = 60_000


def ladder(regime: str) -> int:
    """How many orders the configured ladder has: a trend thins one side from 5 to 3."""
    return 10 if regime == "SIDEWAYS" else 8


def test_paper_trading_detector_equals_one_that_saw_every_bar(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Snapshot minutes old, gap filled by REST, two closes live: bit for bit the same state."""
    running = start_exchange(now_ms=before_the_minute(6))
    path = write_config(tmp_path, running.url, ws_url=running.ws_url)
    plan = resolve(load(path, environ={}, overrides={"root": str(tmp_path / "snapshot")}))

    async def scenario() -> tuple[HedgeGridV1, list[Bar], list[Any], PaperRunner]:
        outcome = await warm(plan, until="-4m")
        assert outcome.published is not None
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            (history,) = await load_histories(plan, client)
            strategy = make_grid(plan)
            runner = PaperRunner(node_settings(plan), [strategy], [history], client)
            await run_until(
                runner,
                lambda: (
                    runner.delivered.to_on_bar >= 2
                    and runner.delivered.live
                    and strategy.cache.orders_total_count()
                    >= ladder(strategy.detector.regime.value)
                ),
            )
            last_ms = open_ms_of(strategy.cache.bar(BAR_TYPE), MINUTE)
            first_ms = open_ms_of(history.bars[0], MINUTE)
            stream = StreamId("BTCUSDT", MINUTE)
            every = await fetch_range(client, stream, first_ms, last_ms)
        return strategy, strategy.cache.bars(BAR_TYPE), every, runner

    strategy, cached, klines, runner = asyncio.run(scenario())
    delivered = runner.delivered
    assert delivered.to_on_bar == delivered.live + 1  # the gap's newest, and what closed
    assert [open_ms_of(bar, MINUTE) for bar in reversed(cached)] == [k.open_ms for k in klines]
    reference = RegimeDetector(strategy.detector.settings)
    for bar in reversed(cached):
        reference.update(detector_bar(bar))
    assert strategy.detector.bars == len(klines) >= 499 + 5
    for name in ("regime", "ema_fast", "ema_slow", "adx", "atr"):
        assert getattr(strategy.detector, name) == getattr(reference, name)
    for bar, kline in zip(reversed(cached), klines, strict=True):
        assert [str(bar.open), str(bar.high), str(bar.low), str(bar.close)] == [*kline[1:5]]


class EagerConfig(StrategyConfig, frozen=True):  # type: ignore[call-arg]
    """Nothing to set."""


class Eager(Strategy):
    """Somebody else's strategy: it orders as soon as it can, and on every quote."""

    def __init__(self) -> None:
        super().__init__(EagerConfig(oms_type="HEDGING"))
        self.statuses: list[tuple[bool, OrderStatus]] = []
        self.bars: list[Bar] = []
        self.history: list[Any] = []
        self.runner: PaperRunner | None = None

    def on_start(self) -> None:
        self.subscribe_bars(BAR_TYPE)
        self.subscribe_quote_ticks(BAR_TYPE.instrument_id)

    def on_historical_data(self, data: Any) -> None:
        self.history.append(data)

    def on_bar(self, bar: Bar) -> None:
        self.bars.append(bar)

    def on_quote_tick(self, tick: Any) -> None:
        order = self.order_factory.limit(
            BAR_TYPE.instrument_id,
            OrderSide.BUY,
            self.cache.instrument(BAR_TYPE.instrument_id).make_qty("0.01"),
            self.cache.instrument(BAR_TYPE.instrument_id).make_price("10000.0"),
        )
        assert self.runner is not None
        halted = self.runner.trading == TradingState.HALTED
        self.submit_order(order)
        self.clock.set_time_alert_ns(
            f"look-{order.client_order_id}",
            self.clock.timestamp_ns() + 50_000_000,
            lambda _: self.statuses.append((halted, order.status)),
        )


def test_paper_trading_denies_orders_until_the_stream_is_warm(
    start_exchange: Callable[..., Exchange],
) -> None:
    """One live bar is not the three that the policy demands: every order is denied till then."""
    running = start_exchange(now_ms=before_the_minute(4))
    plan = resolve(load("configs/demo.yaml", environ=running.env()))

    async def scenario() -> Eager:
        async with BinanceClient("um", running.url) as client:
            await client.sync_clock()
            newest_ms = MINUTE.last_closed(client.now_ms())
            strategy = Eager()
            history = History(BAR_TYPE, MINUTE, [], wanted=3)
            runner = PaperRunner(node_settings(plan), [strategy], [history], client)
            # What came before the newest bar cannot be had: the window fills from live alone.
            runner.streams.streams[BAR_TYPE].held.at_ms = MINUTE.shift(newest_ms, -1)
            strategy.runner = runner
            sent: list[int] = []  # how many orders, since the second bar came

            def quotes_after_the_second_bar() -> bool:
                if len(strategy.bars) + len(strategy.history) >= 2:
                    sent.append(len(strategy.statuses))
                return bool(sent) and sent[-1] >= sent[0] + 3

            await run_until(runner, quotes_after_the_second_bar)
        return strategy

    strategy = asyncio.run(scenario())
    assert len(strategy.bars) + len(strategy.history) == 2
    assert {status for _, status in strategy.statuses} == {OrderStatus.DENIED}


def test_paper_trading_accepts_orders_once_live(start_exchange: Callable[..., Exchange]) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    plan = resolve(load("configs/demo.yaml", environ=running.env()))

    async def scenario() -> Eager:
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            strategy = Eager()
            history = History(BAR_TYPE, MINUTE, [], wanted=20)
            runner = strategy.runner = PaperRunner(
                node_settings(plan), [strategy], [history], client
            )
            await run_until(
                runner, lambda: strategy.bars and (False, OrderStatus.ACCEPTED) in strategy.statuses
            )
        return strategy

    strategy = asyncio.run(scenario())
    opens = [open_ms_of(bar, MINUTE) for bar in [*strategy.history, *strategy.bars]]
    assert len(opens) >= 20
    assert opens == [opens[0] + n * MINUTE_MS for n in range(len(opens))]
    assert len(strategy.history) >= 19


@pytest.mark.parametrize("market", ["um", "spot"])
def test_paper_trading_instrument_equals_a_live_nodes(
    start_exchange: Callable[..., Exchange], tmp_path: Path, market: str
) -> None:
    running = start_exchange()
    ws_url = running.ws_url if market == "um" else f"{running.ws_url}/spot"
    path = write_config(tmp_path, running.url, ws_url=ws_url, venue={"market": market})
    plan = resolve(load(path, environ={}, overrides={"root": str(tmp_path / "none")}))

    async def scenario() -> tuple[Any, Any]:
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            (fetched,) = await load_histories(plan, client)
            # The node starts without ours, so that what it has is its own.
            bare = History(fetched.bar_type, fetched.interval, [], wanted=1)
            strategy = make_grid(plan)
            runner = PaperRunner(node_settings(plan), [strategy], [bare], client)
            await run_until(runner, lambda: runner.delivered.to_on_bar)
            return fetched.instrument, strategy.cache.instrument(fetched.bar_type.instrument_id)

    ours, theirs = asyncio.run(scenario())
    assert theirs is not None
    stamps = ("ts_init", "ts_event")
    values = [
        {k: v for k, v in type(each).to_dict(each).items() if k not in stamps}
        for each in (ours, theirs)
    ]
    assert type(ours) is type(theirs)
    assert values[0] == values[1]


def test_demo_configuration_starts_without_a_warning(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=0.1)
    env = {
        "WARMUP_EXCHANGE_URL": running.url, "WARMUP_EXCHANGE_WS_URL": running.ws_url,
        "WARMUP_ROOT": str(tmp_path / "snapshot"),
    }  # fmt: skip
    demo = REPO / "configs/demo.yaml"
    done = job("run", "--config", demo, env=env)
    assert done.code == 0, done.err
    with operated(demo, "paper", tmp_path / "state", env) as trader:
        trader.until(lambda report: report["orders_open"] >= 5)
        lines = [json.loads(line) for line in trader.log.read_text().splitlines()]
        assert [each for each in lines if each["level"] not in {"INFO", "DEBUG"}] == []
        assert trader.stop() == 143


def test_paper_trading_goes_live_and_stops_cleanly(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    root = tmp_path / "snapshot"
    config = ("--config", "configs/demo.yaml", "--root", root)
    assert job("run", *config, env=running.env()).code == 0
    with job_process("trade", *config, "--mode", "paper", "--json", env=running.env()) as trader:
        lines = []
        for line in trader.stderr:
            lines.append(line)
            if "Ladder around" in line:
                break
        trader.send_signal(signal.SIGTERM)
        out, err = trader.communicate(timeout=HANG_S)
    log = "".join(lines) + err
    assert trader.returncode == 143, log
    assert "BTCUSDT 1m: 499 bars to" in log
    assert re.search(
        r"left open: (no position|.* of BTCUSDT-PERP\.BINANCE-(LONG|SHORT)); entries: \d+",
        log,
    )
    report = json.loads(out)
    # The ladder once, and an exit for each that was filled already.
    assert ladder(report["regime"]) <= report["orders"] < 2 * ladder(report["regime"])
    assert "Traceback" not in log


@pytest.mark.parametrize("damage", ["missing", "corrupt", "other"])
def test_paper_trading_unusable_snapshot_blocks_only_under_fail(
    start_exchange: Callable[..., Exchange], tmp_path: Path, damage: str
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    root = tmp_path / "snapshot"
    made_for = {"symbol": "ETHUSDT-PERP.BINANCE"} if damage == "other" else {}
    maker = write_config(tmp_path / "maker", running.url, strategy=made_for)
    if damage != "missing":
        assert job("run", "--config", maker, "--root", root).code == 0
    if damage == "corrupt":
        next((root / "current").resolve().rglob("*.parquet")).write_bytes(b"PAR1")

    fail = write_config(
        tmp_path / "fail", running.url, ws_url=running.ws_url, warmup={"on_failure": "fail"}
    )
    blocked = job("trade", "--config", fail, "--root", root, "--mode", "paper")
    assert blocked.code == 20, blocked.err
    assert "Traceback" not in blocked.err
    words = {"missing": "holds no snapshot", "corrupt": "bytes, not",
             "other": "made for other streams"}  # fmt: skip
    assert any(words[damage] in line for line in blocked.messages)

    proceed = write_config(tmp_path / "go", running.url, ws_url=running.ws_url)
    let = trade_until(
        "Ladder around", "--config", proceed, "--root", root, "--mode", "paper", "--json"
    )
    assert let.code == 143, let.err
    assert any("fetching the whole window" in line for line in let.messages)
    assert let.json["warm_start"] is True
    assert let.json["orders"] >= ladder(
        let.json["regime"]
    )  # the ladder, and an exit where one was filled already


def test_paper_trading_without_an_exchange_ends(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, "http://127.0.0.1:9", ws_url="ws://127.0.0.1:9", warmup={"deadline": "5s"}
    )
    done = job("trade", "--config", config, "--root", tmp_path, "--mode", "paper")
    assert done.code == 21
    assert "Traceback" not in done.err


def test_paper_trading_reads_a_read_only_volume(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    root = tmp_path / "snapshot"
    config = ("--config", "configs/demo.yaml")
    assert job("run", *config, "--root", root, env=running.env()).code == 0
    before = sorted(path.stat().st_mtime_ns for path in root.rglob("*"))
    done = trade_until('"live: ', *config, "--root", root, "--mode", "paper", env=running.env())
    assert done.code == 143, done.err
    assert sorted(path.stat().st_mtime_ns for path in root.rglob("*")) == before
    shutil.rmtree(root)


SECOND = Interval.parse("1s")
SPOT_SECONDS = BarType.from_str("BTCUSDT.BINANCE-1-SECOND-LAST-EXTERNAL")


class Watcher(Eager):
    """Follows seconds on spot, so that many bars close in a short test; sends no order."""

    def on_start(self) -> None:
        self.subscribe_bars(SPOT_SECONDS)
        self.subscribe_quote_ticks(SPOT_SECONDS.instrument_id)

    def on_quote_tick(self, tick: Any) -> None:
        return


async def watch_seconds(
    running: Exchange, during: Callable[[PaperRunner], Coroutine[Any, Any, None]], **settings: Any
) -> Watcher:
    """Run a node on spot seconds while ``during`` does what it does to the exchange."""
    strategy = Watcher()
    node = NodeSettings(
        market="spot", environment="production", rest_url=running.url,
        ws_url=f"{running.ws_url}/spot", **settings,
    )  # fmt: skip
    async with BinanceClient("spot", running.url, weight_per_minute=6000) as client:
        await client.sync_clock()
        runner = PaperRunner(
            node, [strategy], [History(SPOT_SECONDS, SECOND, [], wanted=5)], client
        )
        stop = asyncio.Event()

        async def script() -> None:
            await during(runner)
            stop.set()

        task = asyncio.create_task(script())
        await runner.run(stop)
        await task
    return strategy


def test_a_task_that_goes_on_to_the_end_runs_while_orders_are_cancelled(
    start_exchange: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the watch of a live account, which renews a broken user data stream."""
    running = start_exchange()
    tasks: dict[str, asyncio.Task[None]] = {}
    cancelled: list[set[str]] = []  # while the orders are handled, and after that

    async def cancel_orders(*_: Any) -> None:
        await until_async(tasks["ordinary"].done)
        cancelled.append({name for name, task in tasks.items() if task.cancelled()})

    async def during(runner: PaperRunner) -> None:
        await until_async(lambda: runner.delivered.live >= 1)
        for name, to_the_end in (("ordinary", False), ("last", True)):
            tasks[name] = runner.start_task(_for_ever(), name, to_the_end=to_the_end)

    monkeypatch.setattr(LastOrders, "settle", cancel_orders)
    asyncio.run(watch_seconds(running, during))
    cancelled.append({name for name, task in tasks.items() if task.cancelled()})
    assert cancelled == [{"ordinary"}, {"ordinary", "last"}]


def test_error_without_a_text_is_named_by_its_class(
    start_exchange: Callable[..., Exchange],
) -> None:
    runners: list[PaperRunner] = []

    async def fail() -> None:
        raise ZeroDivisionError

    async def during(runner: PaperRunner) -> None:
        await until_async(lambda: runner.delivered.live >= 1)
        runners.append(runner)
        runner.start_task(fail(), "failing")

    running = start_exchange()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(watch_seconds(running, during))
    assert runners[0].why == "cannot go on: ZeroDivisionError"


async def _for_ever() -> None:
    await asyncio.Event().wait()


def contiguous(strategy: Watcher) -> bool:
    opens = [open_ms_of(bar, SECOND) for bar in strategy.cache.bars(SPOT_SECONDS)][::-1]
    seen = sorted(open_ms_of(bar, SECOND) for bar in [*strategy.history, *strategy.bars])
    return opens == list(range(opens[0], opens[-1] + 1, 1000)) == seen


def state_of(runner: PaperRunner) -> TradingState:
    return runner.trading


@pytest.mark.parametrize("fault", ["ws-miss=1@btcusdt@kline_1s", "ws-drop:times=0", "ws-double"])
def test_paper_trading_repairs_a_lost_or_doubled_bar(
    start_exchange: Callable[..., Exchange], fault: str
) -> None:
    running = start_exchange()

    async def during(runner: PaperRunner) -> None:
        await until_async(lambda: runner.delivered.live >= 2)
        running.fault(fault)
        seen = runner.delivered.all
        await until_async(lambda: runner.delivered.all >= seen + 8 and runner.state == "live")

    strategy = asyncio.run(watch_seconds(running, during))
    assert contiguous(strategy)


def test_paper_trading_halts_on_a_silent_stream_although_bars_come_by_rest(
    start_exchange: Callable[..., Exchange],
) -> None:
    running = start_exchange()
    states: list[TradingState] = []

    async def during(runner: PaperRunner) -> None:
        await until_async(lambda: runner.delivered.live >= 2)
        states.append(state_of(runner))
        running.fault("ws-mute")
        await until_async(lambda: runner.state == "degraded")
        seen = runner.delivered.all
        await until_async(lambda: runner.delivered.all >= seen + 2)
        states.append(state_of(runner))
        running.clear_faults()
        await until_async(lambda: runner.state == "live")
        states.append(state_of(runner))

    strategy = asyncio.run(watch_seconds(running, during))
    assert states == [TradingState.ACTIVE, TradingState.HALTED, TradingState.ACTIVE]
    assert contiguous(strategy)


def test_paper_trading_without_a_websocket_ends_without_an_order(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    path = write_config(tmp_path, running.url, ws_url="ws://127.0.0.1:9")
    elsewhere = {"state_dir": str(tmp_path / "state"), "root": str(tmp_path / "none")}
    plan = resolve(load(path, environ={}, overrides=elsewhere))

    async def scenario() -> HedgeGridV1:
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            strategy = make_grid(plan)
            (history,) = await load_histories(plan, client)
            settings = node_settings(plan, connect_timeout_s=3.0)
            runner = PaperRunner(settings, [strategy], [history], client)
            with pytest.raises(TraderError, match="websocket"):
                await runner.run(asyncio.Event())
        return strategy

    strategy = asyncio.run(scenario())
    assert strategy.cache.orders_total_count() == 0


def test_paper_trading_unknown_symbol_ends_with_the_reason(
    exchange: Exchange, tmp_path: Path
) -> None:
    config = write_config(
        tmp_path, exchange.url, ws_url=exchange.ws_url,
        strategy={"symbol": "NOSUCHUSDT-PERP.BINANCE"},
    )  # fmt: skip
    done = job("trade", "--config", config, "--root", tmp_path / "s", "--mode", "paper")
    assert done.code == 12
    assert "NOSUCHUSDT" in " ".join(done.messages)


def test_paper_trading_without_history_warns_and_starts_cold(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    running.fault("503@klines")
    path = write_config(tmp_path, running.url, warmup={"deadline": "5s"})
    plan = resolve(load(path, environ={}, overrides={"root": str(tmp_path / "none")}))

    async def scenario() -> History:
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            return (await load_histories(plan, client))[0]

    history = asyncio.run(scenario())
    assert list(history.bars) == []
    assert history.wanted == 499


def test_paper_trading_without_bars_names_no_regime(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    running.fault("503@klines")
    config = write_config(tmp_path, running.url, ws_url=running.ws_url, warmup={"deadline": "2s"})
    done = trade_until(
        "COLD START of BTCUSDT 1m", "--config", config, "--root", tmp_path / "none",
        "--mode", "paper", "--json",
    )  # fmt: skip
    assert (done.json["handed_on"], done.json["regime"]) == (0, "")
    assert done.json["warm_start"] is False
    assert not any("Regime" in line for line in done.messages)


def test_paper_trading_cold_window_skips_a_hole_of_the_venue(
    start_exchange: Callable[..., Exchange], recordings: Path
) -> None:
    """2023-03-24 on spot: 80 minutes never were; they are passed over, not waited for."""
    running = start_exchange(
        replay=(str(recordings / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"),),
        now_ms=1_679_669_999_000,  # 2023-03-24T14:59:59Z
    )
    bar_type = BarType.from_str("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")

    class Follower(Watcher):
        def on_start(self) -> None:
            self.subscribe_bars(bar_type)
            self.subscribe_quote_ticks(bar_type.instrument_id)

    async def scenario() -> tuple[Follower, PaperRunner]:
        strategy = Follower()
        node = NodeSettings(
            market="spot", environment="production", rest_url=running.url,
            ws_url=f"{running.ws_url}/spot",
        )  # fmt: skip
        async with BinanceClient("spot", running.url, weight_per_minute=6000) as client:
            await client.sync_clock()
            history = History(bar_type, MINUTE, [], wanted=150)
            runner = PaperRunner(node, [strategy], [history], client)
            await run_until(runner, lambda: runner.delivered.to_on_bar)
        return strategy, runner

    strategy, runner = asyncio.run(scenario())
    opens = [open_ms_of(bar, MINUTE) for bar in [*strategy.history, *strategy.bars]]
    steps = {(after - before) // MINUTE_MS for before, after in zip(opens, opens[1:], strict=False)}
    assert steps == {1, 81}
    assert runner.delivered.all == len(opens) >= 150


def test_paper_trading_banned_trader_asks_once(start_exchange: Callable[..., Exchange]) -> None:
    running = start_exchange()
    running.fault("418=600@klines")

    async def during(runner: PaperRunner) -> None:
        await until_async(running.klines)
        await asyncio.sleep(6)  # in which it might ask again

    asyncio.run(watch_seconds(running, during))
    assert [each["status"] for each in running.klines()] == [418]


def test_paper_trading_ignores_a_snapshot_of_another_exchange(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    one, two = start_exchange(), start_exchange()
    maker = write_config(tmp_path / "one", one.url)
    assert job("run", "--config", maker, "--root", tmp_path / "s").code == 0
    config = write_config(
        tmp_path / "two", two.url, ws_url=two.ws_url, warmup={"on_failure": "fail"}
    )
    done = job("trade", "--config", config, "--root", tmp_path / "s", "--mode", "paper")
    assert done.code == 20
    assert any("it was made from" in line for line in done.messages)


def test_paper_trading_sigterm_while_fetching(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """It does not wait for the answer, which never comes, nor for the deadline."""
    running = start_exchange(faults=("stall",))
    config = write_config(tmp_path, running.url, ws_url=running.ws_url, warmup={"deadline": "1h"})
    with job_process("trade", "--config", config, "--root", tmp_path, "--mode", "paper") as trader:
        running.await_request()
        trader.send_signal(signal.SIGTERM)
        _, err = trader.communicate(timeout=HANG_S)
    assert trader.returncode == 143, err
    assert len(running.requests()) == 1
