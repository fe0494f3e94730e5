"""The handoff from snapshot to live stream under faults of any kind."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderStatus, TradingState

import warmup_job
from tests.support.chromium import Chromium
from tests.support.commands import job, job_process
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.seam import (
    MINUTE,
    MINUTE_MS,
    MINUTES,
    SPOT_GRID,
    SPOT_MINUTES,
    SPOT_SECONDS,
    Seam,
    assert_each_bar_once,
    assert_same_state,
    assert_whole,
    every_kline,
    follower,
    imported_config,
    imported_file,
    minutes_config,
    set_before_the_close,
    spot_config,
    start_over,
)
from tests.support.suite import HANG_S
from tests.support.waiting import until, until_async
from warmup_job.acquire.reuse import ASKED_AGAIN
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.nautilus_bars import instrument_bars, interval_of, open_ms_of
from warmup_job.errors import TraderError
from warmup_job.handoff.reporting.report import STATES
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline
from warmup_job.market.stream_id import StreamId

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]
HOUR = Interval.parse("1h")
HOURS = BarType.from_str("BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL")


@pytest.mark.parametrize("to_close_s", [2.5, 1.5, 1.0, 0.5, 0.2, 0.05, -0.05, -1.0])
def test_start_at_any_moment_around_a_close(
    start_exchange: Start, tmp_path: Path, to_close_s: float
) -> None:
    """The snapshot is from before the close; the exchange's clock is set to the moment."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    closes_ms: list[int] = []

    async def the_moment() -> None:
        closes_ms.append(set_before_the_close(running, to_close_s))

    async def during(seam: Seam) -> None:
        await until_async(
            lambda: seam.grid.opens and seam.grid.opens[-1] >= closes_ms[0] - MINUTE_MS
        )
        await until_async(lambda: seam.runner.state == "live")

    seam = asyncio.run(
        start_over(
            running, minutes_config(tmp_path, running), during,
            before_loading=the_moment, faults_stay=True,
        )
    )  # fmt: skip
    assert_whole(seam)
    closed = MINUTE.count(closes_ms[0], seam.grid.opens[-1] + MINUTE_MS)
    assert len(seam.grid.opens) == 499 + closed


@pytest.mark.parametrize(
    ("minutes", "asked"),
    [
        (2, [2]),  # the node fetches only the bars that closed since
        (9, [9]),
        (30, [30 + ASKED_AGAIN]),  # older than snapshot.max_age: the loader fetches
        (600, [499]),  # fetching the whole window is cheaper
    ],
)
def test_slow_start_requests_only_the_bars_closed_since(
    start_exchange: Start, tmp_path: Path, minutes: int, asked: list[int]
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    before: list[int] = []

    async def count() -> None:
        before.append(len(running.klines()))

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.grid.sent)
        before.append(len(running.klines()))

    seam = asyncio.run(
        start_over(
            running, minutes_config(tmp_path, running), during,
            snapshot_until=f"-{minutes}m", before_loading=count,
        )
    )  # fmt: skip
    assert_whole(seam)
    assert [int(each["params"]["limit"]) for each in running.klines()[slice(*before)]] == asked
    assert len(seam.grid.opens) == (499 if minutes > 10 else 499 + minutes)


@pytest.mark.parametrize(("delay_s", "minutes"), [(0, 3), (1, 3), (3, 3), (5, 3), (3, 30)])
def test_rest_is_slow_while_a_minute_closes(
    start_exchange: Start, tmp_path: Path, delay_s: int, minutes: int
) -> None:
    """The node fetches three minutes; the loader fetches thirty, as the node's stream begins."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))

    async def slow() -> None:
        set_before_the_close(running, 3)
        running.fault(f"delay={delay_s}s@klines")

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(1) and seam.grid.sent and seam.strategies[1].sent)

    seam = asyncio.run(
        start_over(
            running, minutes_config(tmp_path, running), during,
            snapshot_until=f"-{minutes}m", before_loading=slow, impatient=True, faults_stay=True,
        )
    )  # fmt: skip
    assert_whole(seam)
    # On a slow machine another minute may close before the end of the scenario.
    assert len(seam.grid.opens) >= 499 + (4 if minutes == 3 else 1)
    assert seam.runner.delivered.live >= 1


def test_websocket_is_silent_at_first(start_exchange: Start, tmp_path: Path) -> None:
    """The newest bar is held until orders may leave, so that the strategy can act on it."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))

    async def mute(seam: Seam) -> None:
        running.fault("ws-mute")

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.state in {"filling", "degraded"})
        assert not seam.grid.sent
        running.clear_faults()
        await until_async(lambda: seam.grid.sent)

    seam = asyncio.run(
        start_over(
            running, minutes_config(tmp_path, running), during,
            snapshot_until="-2m", after_loading=mute,
        )
    )  # fmt: skip
    assert_whole(seam)
    assert seam.grid.on_bar_opens == seam.grid.opens[-1:]


@pytest.mark.parametrize(
    "faults",
    [
        ("429=1@klines:times=1",),
        ("503@klines:times=2",),
        ("late=2s@klines:times=4",),
        ("truncate@klines:times=1", "empty@klines:times=1", "cut@klines:times=1"),
        ("missing=3@klines:times=1",),
        ("forming@klines:times=1", "duplicate@klines:times=1", "disorder@klines:times=2"),
    ],
    ids=lambda faults: faults[0].split("@")[0],
)
def test_answer_for_the_gap_is_bad(
    start_exchange: Start, tmp_path: Path, faults: tuple[str, ...]
) -> None:
    running = start_exchange()

    async def break_it(seam: Seam) -> None:
        for spec in faults:
            running.fault(spec)

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(3))

    seam = asyncio.run(
        start_over(
            running, spot_config(tmp_path, running), during,
            snapshot_until="-20s", after_loading=break_it,
        )
    )  # fmt: skip
    assert_whole(seam, SPOT_SECONDS)
    assert len(seam.grid.opens) >= 120 + 20 + 3
    assert not any("the venue itself" in line for line in seam.warnings)


def test_websocket_is_down_over_a_close(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    live: list[int] = []

    async def soon() -> None:
        set_before_the_close(running, 8)

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.grid.sent)
        running.fault("ws-drop:for=1h")
        await until_async(lambda: seam.runner.state != "live")
        newest_ms = seam.grid.opens[-1]
        live.append(seam.runner.delivered.live)
        await until_async(lambda: seam.grid.opens[-1] > newest_ms)

    seam = asyncio.run(
        start_over(
            running, minutes_config(tmp_path, running), during,
            before_loading=soon, faults_stay=True,
        )
    )  # fmt: skip
    assert_whole(seam)
    assert [seam.runner.delivered.live] == live
    assert any("the live stream has a gap" in line for line in seam.warnings)


@pytest.mark.parametrize(
    ("fault", "bars"),
    [
        ("ws-drop:for=10s", 11),
        ("refuse:for=8s", 9),
        ("ws-miss=2", 4),
        ("ws-double", 3),
        ("ws-drop:times=0", 3),
    ],
)
def test_broken_live_stream_is_completed(
    start_exchange: Start, tmp_path: Path, fault: str, bars: int
) -> None:
    running = start_exchange()

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(2))
        seen = seam.runner.delivered.all
        running.fault(fault)
        await until_async(lambda: seam.runner.delivered.all >= seen + bars)
        live = seam.runner.delivered.live
        await until_async(lambda: seam.live(live + 2))

    seam = asyncio.run(start_over(running, spot_config(tmp_path, running), during))
    assert_whole(seam, SPOT_SECONDS)


def test_exchange_restarts_over_a_close(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))

    async def soon() -> None:
        set_before_the_close(running, 10)

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.grid.sent and seam.runner.state == "live")
        now_ms = running.now_ms()
        close_ms = MINUTE.next(MINUTE.floor(now_ms))
        running.fault(f"refuse:for={close_ms - now_ms + 5_000}ms")
        await until_async(lambda: seam.runner.state != "live")
        await until_async(lambda: seam.grid.opens[-1] >= close_ms - MINUTE_MS)
        await until_async(lambda: seam.runner.state == "live")

    seam = asyncio.run(
        start_over(
            running, minutes_config(tmp_path, running), during,
            before_loading=soon, faults_stay=True,
        )
    )  # fmt: skip
    assert_whole(seam)
    # Filling; or degraded, if the close was so far away that the silence was noticed first.
    assert {"filling", "degraded"} & {*seam.states[seam.states.index("live") :]}


def test_machine_slept_for_minutes(start_exchange: Start, tmp_path: Path) -> None:
    """Its estimate of the exchange's time is behind, so live bars seem to be from the future."""
    running = start_exchange()

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(2))
        running.fault("ws-drop:for=2s")
        running.fault("skew=+150s")
        seen = seam.runner.delivered.all
        await until_async(lambda: seam.runner.delivered.all > seen + 150)
        live = seam.runner.delivered.live
        await until_async(lambda: seam.live(live + 2))

    seam = asyncio.run(
        start_over(running, spot_config(tmp_path, running), during, faults_stay=True)
    )
    assert_same_state(seam, SPOT_SECONDS)
    assert abs(seam.client.now_ms() - running.now_ms()) < 10_000  # no longer 150 s behind
    assert "filling" in seam.states[seam.states.index("live") :]


OUT_OF_THE_HOLE_MS = 1_679_666_460_000  # 2023-03-24T14:01Z: the first minute after it has closed
INTO_THE_HOLE_MS = OUT_OF_THE_HOLE_MS - 81 * MINUTE_MS


@pytest.mark.parametrize("max_age", ["10m", "3h"], ids=["the loader", "the node"])
@pytest.mark.parametrize("back_s", [-3, 10, 100])
def test_hole_of_the_venue_lies_at_the_handoff(
    start_exchange: Start, tmp_path: Path, recordings: Path, back_s: int, max_age: str
) -> None:
    """Binance lacks 80 minutes: snapshot before them, trader just before or after their end."""
    options: dict[str, Any] = {
        "replay": (str(recordings / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"),)
    }
    running = start_exchange(now_ms=INTO_THE_HOLE_MS - 2000, **options)
    config = spot_config(tmp_path, running, SPOT_MINUTES, bars=150, snapshot={"max_age": max_age})

    async def hours_later() -> None:
        running.stop()
        port = int(running.url.rpartition(":")[2])
        again = start_exchange(port=port, now_ms=OUT_OF_THE_HOLE_MS + back_s * 1000, **options)
        assert again.url == running.url

    async def during(seam: Seam) -> None:
        newest_ms = OUT_OF_THE_HOLE_MS + max(back_s, 0) // 60 * MINUTE_MS - MINUTE_MS
        await until_async(lambda: seam.grid.opens and seam.grid.opens[-1] >= newest_ms)
        await until_async(lambda: seam.runner.state == "live")

    seam = asyncio.run(
        start_over(running, config, during, snapshot_until="-3m", before_loading=hours_later)
    )
    assert_whole(seam, SPOT_MINUTES)
    opens = seam.grid.opens
    steps = [(b - a) // MINUTE_MS for a, b in zip(opens, opens[1:], strict=False)]
    assert sorted(set(steps)) == [1, 81]
    passed = [line for line in seam.warnings if "the venue itself has no bars" in line]
    loaded_ms = open_ms_of(seam.histories[0].bars[-1], MINUTE)
    on_record = loaded_ms > INTO_THE_HOLE_MS  # the loader saw both of its ends
    if max_age == "3h" or back_s > 0:  # otherwise it may have asked before or after the second
        assert on_record == (max_age == "10m")
    assert ["2023-03-24T12:40" in line for line in passed] == ([] if on_record else [True])


# -- strategies of users ---------------------------------------------------------------------------

EMA_CROSS = (
    "nautilus_trader.examples.strategies.ema_cross:EMACross",
    "nautilus_trader.examples.strategies.ema_cross:EMACrossConfig",
    {
        "instrument_id": "BTCUSDT-PERP.BINANCE",
        "bar_type": str(MINUTES),
        "trade_size": "0.010",
        "fast_ema_period": 10,
        "slow_ema_period": 20,
        "oms_type": "HEDGING",
    },
)
GRID_OF_SECONDS = ("Recorder", "warmup_job.hedge_grid.strategy:HedgeGridV1Config", SPOT_GRID)


def average_of_all(
    seam: Seam, bar_type: BarType, period: int, klines: list[Kline] | None = None
) -> float:
    """Return an exponential average of every kline that the exchange has."""
    average = ExponentialMovingAverage(period)
    instrument = seam.strategies[0].cache.instrument(bar_type.instrument_id)
    klines = seam.klines[bar_type] if klines is None else klines
    for bar in instrument_bars(klines, instrument, interval_of(bar_type)):
        average.handle_bar(bar)
    return float(average.value)


def assert_followed(seam: Seam, strategy: Any, *bar_types: BarType) -> None:
    """Assert that a `Follower` and its averages received every bar of each of its types."""
    for bar_type in bar_types:
        seen, had = strategy.seen[bar_type], len(seam.klines[bar_type])
        assert_each_bar_once(seam, bar_type, seen[-had:])
        klines = [each for each in seam.since[bar_type] if each.open_ms >= seen[0]]
        assert seen == [each.open_ms for each in klines]
        average = strategy.averages[bar_type]
        assert average.value == average_of_all(seam, bar_type, average.period, klines)


def klines_of(running: Exchange, bars: int, last_ms: int) -> list[Kline]:
    """Return the exchange's last minutes, up to the one that opens at ``last_ms``."""

    async def ask() -> list[Kline]:
        async with BinanceClient("um", running.url, weight_per_minute=2400) as client:
            await client.sync_clock()
            stream = StreamId("BTCUSDT", MINUTE)
            return await fetch_range(client, stream, MINUTE.shift(last_ms, 1 - bars), last_ms)

    return asyncio.run(ask())


def test_strategy_that_requests_history_gets_each_bar_once_by_our_requests_only(
    start_exchange: Start, tmp_path: Path
) -> None:
    """Nautilus' EMACross requests a day; 60 bars exist, our client fetches the older ones."""
    running = start_exchange(now_ms=before_the_minute(5))
    config = imported_config(tmp_path, running, [EMA_CROSS], streams={"1m": 60})
    before: list[int] = []

    async def loaded(seam: Seam) -> None:
        before.append(len(running.klines()))

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(1))
        before.append(len(running.klines()))

    seam = asyncio.run(
        start_over(running, config, during, snapshot_until="-3m", after_loading=loaded)
    )
    (cross,) = seam.strategies
    cached = seam.klines[MINUTES]
    assert len(cached) >= 60 + 4
    assert_each_bar_once(seam, MINUTES, [k.open_ms for k in cached])
    count = cross.fast_ema.count
    assert count == cross.slow_ema.count >= 24 * 60
    klines = klines_of(running, count, cached[-1].open_ms)
    assert cross.fast_ema.value == average_of_all(seam, MINUTES, 10, klines)
    assert cross.slow_ema.value == average_of_all(seam, MINUTES, 20, klines)
    asked = [int(each["params"]["limit"]) for each in running.klines()[slice(*before)]]
    asked.remove(count - len(cached))
    assert sum(asked) == len(cached) - 60 - seam.runner.delivered.live  # and those before it
    assert cross.cache.orders_total_count() >= 1


def test_two_strategies_on_seconds_and_minutes_in_one_node(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(6))
    config = imported_config(
        tmp_path, running, [GRID_OF_SECONDS, follower(SPOT_SECONDS, SPOT_MINUTES)],
        streams={"1s": 90, "1m": 30}, market="spot",
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        other = seam.strategies[1]
        await until_async(lambda: other.live[SPOT_MINUTES] and len(other.live[SPOT_SECONDS]) > 3)
        running.fault("ws-miss=1")
        seen = seam.runner.delivered.all
        await until_async(
            lambda: seam.runner.delivered.all > seen + 4 and seam.runner.state == "live"
        )

    seam = asyncio.run(start_over(running, config, during))
    assert_whole(seam, SPOT_SECONDS)
    assert_followed(seam, seam.strategies[1], SPOT_SECONDS, SPOT_MINUTES)


@pytest.mark.parametrize("asks_first", [False, True])
def test_strategy_that_subscribes_late_gets_every_bar(
    start_exchange: Start, tmp_path: Path, asks_first: bool
) -> None:
    """Another strategy keeps the stream subscribed; the late one requested history or not."""
    running = start_exchange()
    late = follower(SPOT_SECONDS, subscribe_after_s=3.3, request_first=asks_first)
    config = imported_config(
        tmp_path, running, [GRID_OF_SECONDS, late], streams={"1s": 60}, market="spot"
    )

    async def during(seam: Seam) -> None:
        await until_async(lambda: len(seam.strategies[1].live[SPOT_SECONDS]) >= 2)

    seam = asyncio.run(start_over(running, config, during))
    assert_whole(seam, SPOT_SECONDS)
    assert_followed(seam, seam.strategies[1], SPOT_SECONDS)


def test_strategy_subscribes_to_more_when_its_history_arrives(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    more = follower(SPOT_SECONDS, also="1-MINUTE-LAST-EXTERNAL", also_on_history=True)
    config = imported_config(tmp_path, running, [more], streams={"1s": 60, "1m": 20}, market="spot")

    async def during(seam: Seam) -> None:
        (only,) = seam.strategies
        await until_async(lambda: only.live[SPOT_SECONDS] and only.live.get(SPOT_MINUTES))

    seam = asyncio.run(start_over(running, config, during))
    assert_followed(seam, seam.strategies[0], SPOT_SECONDS)
    assert_each_bar_once(seam, SPOT_MINUTES, seam.strategies[0].seen[SPOT_MINUTES])


@pytest.mark.parametrize("asks_first", [False, True])
def test_order_right_after_subscribing_is_denied_until_the_stream_is_contiguous(
    start_exchange: Start, tmp_path: Path, asks_first: bool
) -> None:
    """Trading is active, but the stream that it has just subscribed to is minutes behind."""
    running = start_exchange(now_ms=before_the_minute(30))
    late = follower(
        SPOT_MINUTES, subscribe_after_s=2.3, request_late=asks_first, order_on_subscribing=True
    )
    config = imported_config(
        tmp_path, running, [GRID_OF_SECONDS, late], streams={"1s": 60, "1m": 20}, market="spot"
    )

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.state == "live")
        await until_async(
            lambda: seam.strategies[1].probe and seam.strategies[1].live[SPOT_MINUTES]
        )

    seam = asyncio.run(start_over(running, config, during, snapshot_until="-3m"))
    assert_followed(seam, seam.strategies[1], SPOT_MINUTES)
    assert seam.strategies[1].probe.status == OrderStatus.DENIED


def test_stream_without_subscribers_does_not_halt_trading(
    start_exchange: Start, tmp_path: Path
) -> None:
    """One strategy unsubscribes from seconds; the other continues with its minutes."""
    running = start_exchange(now_ms=before_the_minute(20))
    config = imported_config(
        tmp_path, running,
        [follower(SPOT_SECONDS, let_go_of=str(SPOT_SECONDS)), follower(SPOT_MINUTES)],
        streams={"1s": 60, "1m": 20}, market="spot",
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        def seconds() -> int:
            return sum(each["params"]["interval"] == "1s" for each in running.klines())

        one, other = seam.strategies
        await until_async(lambda: one.live[SPOT_SECONDS])
        before, let_go_ms = seconds(), running.now_ms()
        await until_async(
            lambda: running.now_ms() > let_go_ms + 8_000
        )  # in which no bar may be requested
        minutes = len(other.live[SPOT_MINUTES])
        await until_async(lambda: len(other.live[SPOT_MINUTES]) > minutes)
        assert seconds() == before
        await until_async(lambda: seam.runner.state == "live")

    asyncio.run(start_over(running, config, during))


@pytest.mark.parametrize("require", ["proven", "bars"])
def test_bars_of_an_unlisted_stream_are_contiguous_after_the_subscription(
    start_exchange: Start, tmp_path: Path, require: str
) -> None:
    """Under `proven` they have no proof: trading stays halted; otherwise a warning is logged."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [follower(SPOT_MINUTES, also="1-SECOND-LAST-EXTERNAL")],
        streams={"1m": 20}, market="spot",
        warmup={"require": require, "indicators": [{"kind": "ema", "period": 10, "bars": 10}]},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: len(strategy.live.get(SPOT_SECONDS, ())) >= 2)
        running.fault("ws-miss=1@btcusdt@kline_1s")
        seen = len(strategy.seen[SPOT_SECONDS])
        await until_async(lambda: len(strategy.seen[SPOT_SECONDS]) > seen + 3)
        if require == "bars":
            await until_async(lambda: seam.runner.state == "live")
        else:
            assert seam.trading == TradingState.HALTED
        seam.klines[SPOT_SECONDS] = await every_kline(seam, SPOT_SECONDS)

    seam = asyncio.run(start_over(running, config, during))
    assert any("warmup.streams does not list it" in line for line in seam.warnings)
    seconds = seam.strategies[0].seen[SPOT_SECONDS]
    assert seconds == list(range(seconds[0], seconds[-1] + 1, 1000))
    assert ("live" in seam.states) == (require == "bars")


# -- strategies that fail --------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["on_start", "on_historical_data", "on_bar"])
def test_strategy_that_raises_ends_the_trader_with_one_clear_line(
    start_exchange: Start, tmp_path: Path, where: str
) -> None:
    running = start_exchange()
    path = imported_file(
        tmp_path, running, [follower(SPOT_SECONDS, fail_in=where)],
        streams={"1s": 30}, market="spot", trade={"state_dir": str(tmp_path / "state")},
    )  # fmt: skip
    done = job("trade", "--config", path, "--root", tmp_path / "none", "--mode", "paper")
    assert done.code == 21, done.err
    logged = [json.loads(line) for line in done.err.splitlines()]  # Nautilus' own errors too
    assert not any("exception" in line for line in logged)
    assert any("a mistake of its own" in line["message"] for line in logged)
    ours = str(Path(warmup_job.__file__).parent)
    assert ours not in done.err  # the traceback of its error is in Nautilus' log
    assert "Follower" in done.messages[-1] or "a mistake of its own" in done.messages[-1]
    report = json.loads((tmp_path / "state" / "paper.json").read_text())
    assert (report["state"], report["orders_open"]) == ("stopping", 0)
    if where == "on_bar":
        assert any("cancelling 1 open order(s)" in line for line in done.messages)


def test_strategy_raises_on_a_late_history(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()
    late = follower(SPOT_SECONDS, subscribe_after_s=2.0, fail_in="on_historical_data")
    config = imported_config(
        tmp_path, running, [GRID_OF_SECONDS, late], streams={"1s": 60}, market="spot"
    )

    async def during(seam: Seam) -> None:
        await until_async(lambda: False)

    with pytest.raises(TraderError, match=r"Follower.*a mistake of its own"):
        asyncio.run(start_over(running, config, during))


def test_trader_ends_when_all_strategies_have_stopped(
    start_exchange: Start, tmp_path: Path
) -> None:
    """The node reports that it runs, although no strategy trades."""
    running = start_exchange()
    stopping = follower(SPOT_SECONDS, stop_on_bar=True)
    config = imported_config(tmp_path, running, [stopping], streams={"1s": 30}, market="spot")

    async def during(seam: Seam) -> None:
        await until_async(lambda: False)

    with pytest.raises(TraderError, match="no longer running"):
        asyncio.run(start_over(running, config, during))


def test_paper_order_is_filled_without_a_quote_subscription_of_its_strategy(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(30))
    buying = follower(MINUTES, buy_on_bar=True)
    config = imported_config(tmp_path, running, [buying], streams={"1m": 30})

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(strategy.cache.orders)
        await until_async(lambda: all(order.is_closed for order in strategy.cache.orders()))

    seam = asyncio.run(start_over(running, config, during))
    assert orders_of(seam) == [(False, OrderStatus.FILLED)]


# -- stopping, gaps, state -------------------------------------------------------------------------


def orders_of(seam: Seam) -> list[tuple[bool, OrderStatus]]:
    (strategy,) = seam.strategies
    return [(order.is_reduce_only, order.status) for order in strategy.cache.orders()]


@pytest.mark.parametrize(
    ("policy", "left"),
    [("keep", [False, True]), ("cancel_entries", [True]), ("cancel_all", [])],
)
def test_open_orders_on_sigterm_follow_on_stop(
    start_exchange: Start, tmp_path: Path, policy: Any, left: list[bool]
) -> None:
    running = start_exchange(now_ms=before_the_minute(30))
    config = imported_config(
        tmp_path, running, [follower(MINUTES, orders=2)], streams={"1m": 30},
        trade={"on_stop": policy},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.report().orders_open == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await until_async(lambda: seam.runner.state == "stopping")

    seam = asyncio.run(start_over(running, config, during))
    assert seam.runner.signalled
    standing = [reduces for reduces, status in orders_of(seam) if status == OrderStatus.ACCEPTED]
    assert standing == left
    assert len(orders_of(seam)) == 2


@pytest.mark.parametrize(
    ("policy", "left"),
    [("keep", [False, True]), ("cancel_entries", [True]), ("cancel_all", [])],
)
def test_unfillable_gap_halts_trading_until_it_is_filled(
    start_exchange: Start, tmp_path: Path, policy: Any, left: list[bool]
) -> None:
    running = start_exchange(now_ms=before_the_minute(4))
    config = imported_config(
        tmp_path, running, [follower(MINUTES, orders=2)], streams={"1m": 30},
        trade={"on_gap": policy, "on_stop": "keep"},
    )  # fmt: skip
    states: list[TradingState] = []

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.report().orders_open == 2)
        states.append(seam.trading)
        running.fault("ws-miss=1")
        running.fault("nan@klines")
        await until_async(lambda: seam.runner.state == "degraded")
        await until_async(lambda: seam.runner.report().orders_open == len(left))
        states.append(seam.trading)
        running.clear_faults()
        await until_async(lambda: seam.runner.state == "live")
        states.append(seam.trading)

    seam = asyncio.run(start_over(running, config, during))
    assert states == [TradingState.ACTIVE, TradingState.HALTED, TradingState.ACTIVE]
    standing = [reduces for reduces, status in orders_of(seam) if status == OrderStatus.ACCEPTED]
    assert standing == left
    assert_followed(seam, seam.strategies[0], MINUTES)
    assert any("cannot be filled yet" in line for line in seam.warnings)


def test_grid_sends_its_ladder_as_soon_as_a_silence_ends(
    start_exchange: Start, tmp_path: Path
) -> None:
    """No bar closes for most of an hour; the announcement that trading is on is enough."""
    now_ms = time.time_ns() // 1_000_000
    running = start_exchange(now_ms=HOUR.floor(now_ms) + 10 * MINUTE_MS, volatility_bps=0.1)
    fields = {"instrument_id": str(HOURS.instrument_id), "bar_type": str(HOURS),
              "max_bar_staleness_seconds": 7200}  # fmt: skip
    config = imported_config(
        tmp_path, running,
        [("Recorder", "warmup_job.hedge_grid.strategy:HedgeGridV1Config", SPOT_GRID | fields)],
        streams={"1h": 120}, trade={"silence": "2s"},
    )  # fmt: skip
    bars: list[int] = []

    async def during(seam: Seam) -> None:
        def is_laid() -> bool:
            report = seam.runner.report()
            return report.ready and report.orders_open >= 3

        await until_async(is_laid)
        bars.append(len(seam.grid.on_bar_opens))
        running.fault("ws-mute")
        await until_async(lambda: seam.runner.state == "degraded")
        await until_async(lambda: not seam.runner.report().orders_open)
        running.clear_faults()
        await until_async(is_laid)
        bars.append(len(seam.grid.on_bar_opens))

    asyncio.run(start_over(running, config, during))
    assert bars[0] == bars[1] == 1


def test_saved_state_survives_a_restart_unless_altered(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    config = imported_config(tmp_path, running, [follower(MINUTES, keep=True)], streams={"1m": 30})

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.strategies[0].live[MINUTES])
        # The state is saved while it runs: a SIGKILL would lose nothing.
        await until_async(lambda: list((tmp_path / "state" / "paper").glob("Follower*.json")))

    def start() -> Seam:
        return asyncio.run(start_over(running, config, during))

    assert start().strategies[0].given is None
    (kept,) = (tmp_path / "state" / "paper").glob("Follower*.json")
    bars = base64.b64decode(json.loads(kept.read_text())["state"]["bars"])
    assert int(bars) >= 30
    assert start().strategies[0].given == {"bars": bars}
    altered = json.loads(kept.read_text())
    altered["state"]["bars"] = "OTk="
    kept.write_text(json.dumps(altered))
    seam = start()
    assert seam.strategies[0].given is None
    assert any("cannot be used and is renamed" in line for line in seam.warnings)
    aside = kept.with_name(kept.name + ".unusable")
    assert json.loads(aside.read_text()) == altered
    restored = json.loads(kept.read_text())["state"]["bars"]
    assert 30 <= int(base64.b64decode(restored)) < 99


# -- reports and logs ------------------------------------------------------------------------------


def probe(url: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url + path, timeout=HANG_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(text: str, name: str) -> float:
    """Check that the whole text is well-formed; return the value of a metric."""
    values = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            found = re.fullmatch(r'(\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})?) (\S+)', line)
            assert found, line
            values[found[1]] = float(found[2])
    return values[name]


@pytest.mark.browser
def test_probes_metrics_page_and_log_show_the_state(
    start_exchange: Start, tmp_path: Path, chromium: Chromium
) -> None:
    running = start_exchange()
    path = imported_file(
        tmp_path, running, [follower(SPOT_SECONDS)], streams={"1s": 30}, market="spot",
        trade={
            "state_dir": str(tmp_path / "state"), "http_port": 0, "http_host": "127.0.0.1",
            "silence": "10m",
        },
    )  # fmt: skip
    running.fault("503@klines")  # until its probe was read
    lines: list[str] = []
    arguments = ("trade", "--config", path, "--root", tmp_path / "none", "--mode", "paper")

    with job_process(*arguments) as trader, chromium.page() as page:

        def read_until(words: str) -> str:
            for line in trader.stderr:
                lines.append(json.loads(line)["message"] if line[:1] == "{" else line)
                if words in lines[-1]:
                    return lines[-1]
            pytest.fail(f"never said: {words}")

        url = read_until("probes and metrics at ").rpartition(" ")[2]
        page.navigate(url)
        page.wait_for("document.querySelector('h1').textContent === 'Not trading yet'")
        assert probe(url, "/healthz")[0] == 200
        early = probe(url, "/readyz")
        running.clear_faults()
        read_until("live: ")
        ready = probe(url, "/readyz")
        metrics = probe(url, "/metrics")[1]
        page.wait_for("document.querySelector('h1').textContent === 'Trading'")
        page.wait_for("document.querySelector('tr.now') && document.querySelector('canvas')")
        assert page.evaluate("document.getElementById('mode').textContent") == "PAPER"
        running.fault("ws-mute")
        read_until("degraded: ")
        gap = probe(url, "/readyz")
        gap_metrics = probe(url, "/metrics")[1]
        page.wait_for("document.querySelector('h1').textContent === 'Not trading'")
        shown = "['why', 'remedy'].map(id => document.getElementById(id).innerText)"
        why, remedy = page.evaluate(shown)
        assert "the websocket did not bring" in why
        assert "warmup-job doctor" in remedy
        assert page.problems == []
        trader.send_signal(signal.SIGSTOP)  # its loop hangs
        page.wait_for("document.documentElement.dataset.link === 'lost'")
        assert "it does not answer" in page.evaluate("document.getElementById('why').innerText")
        trader.send_signal(signal.SIGCONT)
        page.wait_for("document.querySelector('h1').textContent.includes('rading')")
        running.clear_faults()
        read_until("live: ")
        again = probe(url, "/readyz")
        kept = tmp_path / "state" / "paper.json"  # a thread writes it
        until(lambda: json.loads(kept.read_text())["state"] == "live")
        trader.send_signal(signal.SIGTERM)
        lines += [json.loads(line)["message"] for line in trader.communicate()[1].splitlines()]

    assert trader.returncode == 143
    assert early[0] == 503
    assert json.loads(early[1])["state"] in {"starting", "verifying", "warming", "filling"}
    assert (ready[0], json.loads(ready[1])["trading"]) == (200, True)
    assert (gap[0], json.loads(gap[1])["trading"]) == (503, False)
    assert "the websocket did not bring" in json.loads(gap[1])["why"]
    assert again[0] == 200
    assert metric(metrics, "warmup_trader_ready") == 1
    assert metric(metrics, 'warmup_trader_state{state="live"}') == 1
    assert metric(metrics, f'warmup_stream_contiguous{{bar_type="{SPOT_SECONDS}"}}') == 1
    assert metric(gap_metrics, "warmup_trader_ready") == 0
    first_words = [line.partition(": ")[0] for line in lines]
    order = [each for each in first_words if each in STATES]
    assert order[0] == "verifying"
    assert order[1:3] in (["warming", "live"], ["warming", "filling"])
    assert [each for each in order if each != "filling"][-3:] == [
        "degraded",
        "live",
        "stopping",
    ]
    last = json.loads((tmp_path / "state" / "paper.json").read_text())
    assert last["state"] == "stopping"


def test_node_ends_if_its_data_client_never_connects(start_exchange: Start, tmp_path: Path) -> None:
    """Our requests succeed; Nautilus' own request for the instruments never does."""
    running = start_exchange()

    async def break_it() -> None:
        running.fault("503@exchangeInfo")

    async def during(seam: Seam) -> None:
        await until_async(lambda: False)

    with pytest.raises(TraderError, match=r"did not start within|ended while it started"):
        asyncio.run(
            start_over(
                running, spot_config(tmp_path, running), during,
                before_loading=break_it, connect_timeout_s=1.0,
            )
        )  # fmt: skip
    assert any(each["path"].endswith("exchangeInfo") and each["status"] == 503
               for each in running.requests())  # fmt: skip
