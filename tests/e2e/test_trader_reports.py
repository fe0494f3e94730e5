"""What the trader claims is what it has observed: live, warm, in order, and why not."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderStatus, TradingState

from tests.support.commands import job, job_process
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.relay import Rows, relaying
from tests.support.seam import (
    HERE,
    MINUTE_MS,
    MINUTES,
    SPOT_MINUTES,
    SPOT_SECONDS,
    Seam,
    assert_same_state,
    imported_config,
    imported_file,
    minutes_config,
    spot_config,
    start_over,
)
from tests.support.waiting import until_async
from warmup_job.catalog.nautilus_bars import instrument_bars
from warmup_job.errors import TraderError
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.live_bars.composite_bars import CompositeSeries
from warmup_job.market.interval import Interval
from warmup_job.plan.warmup_plan import WarmupPlan

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]

HOUR_MS = 60 * MINUTE_MS
FIVE_MINUTES = BarType.from_str("BTCUSDT-PERP.BINANCE-5-MINUTE-LAST-EXTERNAL")
HOURS = BarType.from_str("BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL")
FOUR_HOURS = BarType.from_str("BTCUSDT-PERP.BINANCE-4-HOUR-LAST-EXTERNAL")


def witness(
    *bar_types: BarType, name: str = "Witness", **fields: Any
) -> tuple[str, str, dict[str, Any]]:
    """A `Witness` (or `ByHand`) of these bar types, for `imported_config`."""
    named = {
        "instrument_id": str(bar_types[0].instrument_id),
        "bar_types": [str(each) for each in bar_types],
        "oms_type": "HEDGING",
    }
    return (name, f"{HERE}:WitnessConfig", named | fields)


def half_past_eight() -> int:
    """A day's 08:31:10, UTC ms: 5m bars closed 70 s ago, 1h bars 31 min ago."""
    return 1_795_737_600_000 // (24 * HOUR_MS) * 24 * HOUR_MS + 8 * HOUR_MS + 1_870_000


# -- several timeframes ----------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["5m", "1h"])
def test_held_bars_come_by_close_time_and_only_the_last_one_may_be_acted_on(
    start_exchange: Start, tmp_path: Path, slow: str
) -> None:
    """Whichever stream the exchange answers late."""
    running = start_exchange(now_ms=half_past_eight())
    config = imported_config(
        tmp_path, running, [witness(FIVE_MINUTES, HOURS, orders=True)],
        streams={"5m": 20, "1h": 20}, trade={"first_bar": "on_bar"},
        snapshot={"max_age": "1d"},
    )  # fmt: skip

    async def delay() -> None:
        running.fault(f"delay=1s@klines/BTCUSDT/{slow}")

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: len(strategy.closes("on_bar")) == 2)
        await until_async(lambda: all(each.order.status_string() != "INITIALIZED"
                                for each in strategy.given if each.order))  # fmt: skip
        await until_async(lambda: strategy.given[-1].order.status == OrderStatus.ACCEPTED)

    seam = asyncio.run(
        start_over(running, config, during, snapshot_until="-3h", before_loading=delay)
    )
    (strategy,) = seam.strategies
    on_bar = [each for each in strategy.given if each.way == "on_bar"]
    assert [each.bar_type for each in on_bar] == [str(HOURS), str(FIVE_MINUTES)]
    assert on_bar[0].close_ms == half_past_eight() // HOUR_MS * HOUR_MS - 1
    assert on_bar[0].order.status == OrderStatus.DENIED
    closes = [each.close_ms for each in strategy.given[-20:]]
    assert closes == sorted(closes)  # the filled ones of both streams, too


def test_bars_that_close_together_are_acted_on_together(
    start_exchange: Start, tmp_path: Path
) -> None:
    """A minute and its last second, though the websocket has lost the minute."""
    running = start_exchange(now_ms=before_the_minute(10))
    closes_ms: list[int] = []
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, SPOT_MINUTES)],
        streams={"1s": 30, "1m": 10}, market="spot",
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live" and strategy.closes("on_bar"))
        running.fault("ws-miss=1@btcusdt@kline_1m")
        before = strategy.closes("on_bar", SPOT_MINUTES)
        await until_async(lambda: strategy.closes("on_bar", SPOT_MINUTES) != before)
        closes_ms.append(strategy.closes("on_bar", SPOT_MINUTES)[-1])
        seen = seam.runner.delivered.all
        await until_async(lambda: seam.runner.delivered.all > seen + 1)

    seam = asyncio.run(start_over(running, config, during))
    (strategy,) = seam.strategies
    order = [(each.close_ms, each.bar_type != str(SPOT_MINUTES)) for each in strategy.given]
    after_start = order[30 + 10 - 2 :]
    assert after_start == sorted(after_start)
    assert ((closes_ms[0], False), (closes_ms[0], True)) in pairwise(after_start)


# -- live ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("muted", ["ws-mute", "ws-mute@btcusdt@bookTicker", "ws-drop:for=1h"])
def test_silence_of_bars_or_quotes_halts_within_seconds_whatever_the_interval(
    start_exchange: Start, tmp_path: Path, muted: str
) -> None:
    """With 4h bars nothing is due for hours."""
    running = start_exchange(now_ms=half_past_eight())
    config = imported_config(
        tmp_path, running, [witness(FOUR_HOURS)], streams={"4h": 20}, trade={"silence": "5s"}
    )
    states: list[TradingState] = []
    reported: list[str] = []

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.state == "live")
        states.append(seam.trading)
        before = len(seam.warnings)
        running.fault(muted)
        await until_async(lambda: seam.runner.state == "degraded")
        states.append(seam.trading)
        words = "no websocket message for"
        await until_async(lambda: any(words in line for line in seam.warnings[before:]))
        reported.extend(line for line in seam.warnings[before:] if words in line)
        running.clear_faults()
        await until_async(lambda: seam.runner.state == "live")
        states.append(seam.trading)

    asyncio.run(start_over(running, config, during))
    assert states == [TradingState.ACTIVE, TradingState.HALTED, TradingState.ACTIVE]
    if "bookTicker" in muted:
        assert all(line.startswith("btcusdt@bookTicker") for line in reported)
    assert len(reported) == 1, "the change of the state does not warn of it again"


def test_a_websocket_that_lives_and_says_nothing_is_connected_again(
    start_exchange: Start, tmp_path: Path
) -> None:
    """The muted connections stay open; only new ones deliver anything."""
    running = start_exchange(now_ms=half_past_eight())

    with relaying(running) as relay:
        through = dataclasses.replace(running, ws_url=relay.ws_url)
        config = imported_config(
            tmp_path, through, [witness(FOUR_HOURS)], streams={"4h": 20}, trade={"silence": "1s"}
        )

        async def during(seam: Seam) -> None:
            await until_async(lambda: seam.runner.state == "live")
            relay.silence()
            await until_async(lambda: seam.runner.state == "degraded")
            await until_async(lambda: seam.runner.state == "live")
            assert any("connecting again" in line for line in seam.warnings)

        asyncio.run(start_over(running, config, during))


def test_exchange_clock_set_back_is_synchronised_again(
    start_exchange: Start, tmp_path: Path
) -> None:
    """Its messages seem to be old until then, so they are no sign of life."""
    running = start_exchange()
    config = spot_config(tmp_path, running, trade={"silence": "2s"})

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(2))
        running.fault("skew=-60s")
        await until_async(lambda: seam.runner.state == "degraded")
        await until_async(lambda: abs(seam.client.now_ms() - running.now_ms()) < 10_000)
        await until_async(lambda: not seam.runner.websockets.first_silent(["btcusdt@kline_1s"]))

    asyncio.run(start_over(running, config, during, faults_stay=True))


def test_recovered_rest_alone_does_not_make_the_trader_live(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = spot_config(tmp_path, running)

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(2))
        seen = seam.runner.delivered.all
        running.fault("ws-drop:for=1h")
        running.fault("refuse:for=2s")
        await until_async(lambda: seam.runner.delivered.all > seen + 5)  # REST has filled these
        assert seam.runner.state != "live"
        assert seam.trading == TradingState.HALTED
        assert not seam.runner.report().ready
        orders = len(seam.grid.sent)
        seen = seam.runner.delivered.all
        await until_async(lambda: seam.runner.delivered.all > seen + 3)
        assert len(seam.grid.sent) == orders
        running.clear_faults()
        await until_async(lambda: seam.runner.state == "live")

    asyncio.run(start_over(running, config, during))


def test_trader_that_was_never_live_exits_with_21_and_the_reason(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    running.fault("ws-mute")
    path = imported_file(
        tmp_path, running, [witness(MINUTES)], streams={"1m": 30},
        trade={"state_dir": str(tmp_path / "state")},
    )  # fmt: skip
    done = job(
        "trade", "--config", path, "--root", tmp_path / "none", "--mode", "paper",
        "--stop-after", "4s",
    )  # fmt: skip
    assert done.code == 21, done.err
    assert "before it was ever live" in done.messages[-1]
    assert re.search(
        r"\(last state: (starting|verifying|warming|filling|degraded): .+\)", done.messages[-1]
    )


def test_normal_stop_logs_no_error(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()
    path = imported_file(
        tmp_path, running, [witness(MINUTES)], streams={"1m": 30},
        trade={"state_dir": str(tmp_path / "state")},
    )  # fmt: skip
    arguments = ("trade", "--config", path, "--root", tmp_path / "none", "--mode", "paper")
    with job_process(*arguments) as trader:
        for line in trader.stderr:
            if "live: " in line:
                break
        trader.send_signal(signal.SIGTERM)
        _, err = trader.communicate()
    assert trader.returncode == 143
    levels = {json.loads(line)["level"] for line in err.splitlines()}
    assert not levels & {"ERROR", "CRITICAL"}, err


@pytest.mark.parametrize("policy", ["cancel_entries", "cancel_all"])
def test_order_in_flight_at_the_stop_is_cancelled(
    start_exchange: Start, tmp_path: Path, policy: str
) -> None:
    """Its cancel comes before it is accepted, so that it is asked for once more."""
    running = start_exchange(now_ms=before_the_minute(40))
    config = imported_config(
        tmp_path, running, [witness(MINUTES, orders=True, terminate=True)], streams={"1m": 20},
        trade={"on_stop": policy},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.state == "stopping")

    seam = asyncio.run(start_over(running, config, during))
    (strategy,) = seam.strategies
    statuses = [each.order.status for each in strategy.given if each.order]
    assert statuses
    assert set(statuses) <= {OrderStatus.CANCELED, OrderStatus.DENIED}


def test_order_accepted_after_bars_went_missing_is_cancelled(
    start_exchange: Start, tmp_path: Path
) -> None:
    """It had left before, so that on_gap found nothing of it."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, orders=True)], streams={"1s": 30}, market="spot"
    )

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live" and strategy.closes("on_bar"))
        running.fault("ws-mute@btcusdt@kline_1s")
        running.fault("503@klines")
        await until_async(lambda: seam.runner.state == "degraded")
        bar = strategy.cache.bar(SPOT_SECONDS)
        seam.runner.set_trading(TradingState.ACTIVE)  # as it was when the order left
        strategy.note("on_bar", bar)
        order = strategy.given[-1].order
        await until_async(lambda: order.status != OrderStatus.INITIALIZED)
        seam.runner.set_trading(TradingState.HALTED)
        await until_async(lambda: order.status == OrderStatus.CANCELED)
        assert seam.runner.state == "degraded"

    asyncio.run(start_over(running, config, during))


def test_order_in_nautilus_queues_counts_as_in_flight(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(40))
    config = imported_config(tmp_path, running, [witness(MINUTES, orders=True)], streams={"1m": 20})

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live" and strategy.given)
        own = OwnOrders(strategy.cache, [strategy], seam.runner.settings.identity)
        await until_async(lambda: not own.are_under_way())
        strategy.note("on_bar", strategy.cache.bar(MINUTES))  # sends an order
        order = strategy.given[-1].order
        assert own.are_under_way()
        assert order not in [each for _, each in own.select("cancel_all")]
        await until_async(lambda: order.status == OrderStatus.ACCEPTED)
        assert not own.are_under_way()

    asyncio.run(start_over(running, config, during))


def test_strategy_that_raises_on_the_first_websocket_message_ends_the_trader(
    start_exchange: Start, tmp_path: Path
) -> None:
    """The first bars are delivered from within a message handler of Nautilus'."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, name="FailingOnce")], streams={"1s": 20},
        market="spot",
    )  # fmt: skip

    async def mute(seam: Seam) -> None:
        running.fault("ws-mute")

    async def during(seam: Seam) -> None:
        await until_async(lambda: "websocket" in seam.runner.why)
        running.clear_faults()
        await until_async(lambda: False)

    with pytest.raises(TraderError, match="a mistake of its own"):
        asyncio.run(start_over(running, config, during, after_loading=mute))


def test_emulated_orders_are_not_sent_while_halted(start_exchange: Start, tmp_path: Path) -> None:
    """Nautilus' emulator sends them past its risk engine."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, name="Emulating")], streams={"1s": 30},
        market="spot", trade={"on_gap": "keep"},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live" and seam.runner.delivered.live > 1)
        running.fault("ws-mute@btcusdt@kline_1s")
        running.fault("503@klines")
        await until_async(lambda: seam.trading == TradingState.HALTED)
        strategy.events.clear()
        assert not strategy.cache.orders_emulated()
        await let_through(seam, strategy.place)
        await until_async(lambda: "OrderDenied" in strategy.events)
        assert "OrderFilled" not in strategy.events

    asyncio.run(start_over(running, config, during))


async def let_through(seam: Seam, work: Callable[[], object]) -> None:
    """Do it as if trading were on; what is triggered later is another matter."""
    seam.runner.set_trading(TradingState.ACTIVE)
    work()
    seam.runner.set_trading(TradingState.HALTED)


@pytest.mark.parametrize("policy", ["cancel_entries", "cancel_all"])
def test_emulated_orders_follow_on_gap(start_exchange: Start, tmp_path: Path, policy: str) -> None:
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, name="Emulating")], streams={"1s": 30},
        market="spot", trade={"on_gap": policy},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live" and seam.runner.delivered.live > 1)
        strategy.place()
        await until_async(strategy.cache.orders_emulated)
        running.fault("ws-mute@btcusdt@kline_1s")
        running.fault("503@klines")
        await until_async(lambda: seam.runner.state == "degraded")
        await until_async(lambda: not strategy.cache.orders_emulated())

    asyncio.run(start_over(running, config, during))


def test_resubscribed_stream_does_not_count_as_silent(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, SPOT_MINUTES)], streams={"1s": 30, "1m": 10},
        market="spot",
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live")
        strategy.unsubscribe_bars(SPOT_SECONDS)
        await until_async(lambda: not seam.runner.websockets.heard.has("btcusdt@kline_1s"))
        seen = len(seam.states)
        strategy.subscribe_bars(SPOT_SECONDS)
        # It may be over in a few milliseconds: every state is reported, not every one is seen.
        await until_async(lambda: "filling" in seam.states[seen:])
        begun = seam.states.index("filling", seen)
        await until_async(lambda: "live" in seam.states[begun:])
        assert "degraded" not in seam.states[seen:]

    asyncio.run(start_over(running, config, during))


def test_volume_bars_get_their_source_stream(start_exchange: Start, tmp_path: Path) -> None:
    """Only Nautilus' aggregator follows the seconds, which warmup.streams names."""
    running = start_exchange()
    ticks = BarType.from_str("BTCUSDT.BINANCE-1-TICK-LAST-INTERNAL@1-SECOND-EXTERNAL")
    config = imported_config(
        tmp_path, running, [witness(SPOT_MINUTES, ticks)], streams={"1s": 30, "1m": 10},
        market="spot",
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: len(strategy.closes("on_bar", ticks.standard())) >= 2)

    seam = asyncio.run(start_over(running, config, during))
    assert not seam.runner.started_warm


# -- warm ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requests", ["before", "after", "both"])
@pytest.mark.parametrize("name", ["Witness", "ByHand"])
def test_strategy_that_requests_and_subscribes_gets_each_bar_once(
    start_exchange: Start, tmp_path: Path, requests: str, name: str
) -> None:
    """In either order; its average is fed once, and each request is answered once."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    config = imported_config(
        tmp_path, running, [witness(MINUTES, name=name, requests=requests, period=10)],
        streams={"1m": 30},
    )  # fmt: skip
    asked: list[int] = []

    async def loaded(seam: Seam) -> None:
        asked.append(len(running.klines()))

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live")
        await until_async(lambda: strategy.answered == (2 if requests == "both" else 1))
        asked.append(len(running.klines()))

    seam = asyncio.run(start_over(running, config, during, after_loading=loaded))
    (strategy,) = seam.strategies
    klines = seam.klines[MINUTES]
    newest_ms, closed = klines[-1].close_ms, len(klines) - 30  # since the start
    (average,) = strategy.averages.values()
    history = strategy.closes("history")
    assert strategy.closes("on_bar") == [each.close_ms for each in klines[29:]]
    if name == "Witness":
        # An hour by this machine's clock, which may be in the next minute; but for the newest.
        assert 57 <= len(history) <= 60
        assert average.count == len(history) + len(strategy.closes("on_bar"))
        assert history == list(range(history[0], newest_ms - closed * MINUTE_MS, MINUTE_MS))
    assert 58 <= average.count - closed <= 61
    (fetched,) = running.klines()[slice(*asked)]  # only what lies before the window
    assert int(fetched["params"]["limit"]) == average.count - closed - 30
    assert seam.runner.started_warm


def test_older_bars_that_cannot_be_fetched_are_reported_and_the_callback_is_called(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    config = imported_config(
        tmp_path, running, [witness(MINUTES, requests="before", period=10)], streams={"1m": 30}
    )

    async def break_it(seam: Seam) -> None:
        running.fault("nan@klines")

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: strategy.answered)
        await until_async(lambda: seam.runner.state == "live")

    seam = asyncio.run(start_over(running, config, during, after_loading=break_it))
    assert len(seam.strategies[0].closes("history")) == 29
    assert any("cannot fetch the bars" in line for line in seam.warnings)


def test_strategy_without_a_way_to_warm_up_stays_cold_and_logs_the_remedy(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, name="ByHand", orders=True)],
        streams={"1s": 15}, market="spot",
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: len(strategy.closes("on_bar")) >= 2)
        assert seam.trading == TradingState.HALTED
        assert "updates itself in on_bar" in seam.runner.why
        await until_async(lambda: seam.runner.state == "live")
        assert len(strategy.closes("on_bar")) >= 14

    seam = asyncio.run(start_over(running, config, during))
    (strategy,) = seam.strategies
    assert not seam.runner.started_warm
    assert any("COLD START" in line and "trade.replay" in line for line in seam.warnings)
    assert all(each.order.status == OrderStatus.DENIED for each in strategy.given[:4])


def test_history_is_replayed_through_on_bar_with_orders_denied(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    config = imported_config(
        tmp_path, running, [witness(MINUTES, name="ByHand", orders=True)], streams={"1m": 30},
        trade={"replay": "on_bar"},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live")
        await until_async(lambda: strategy.given[-1].order.status == OrderStatus.ACCEPTED)

    seam = asyncio.run(start_over(running, config, during, snapshot_until="-3m"))
    (strategy,) = seam.strategies
    assert strategy.closes("on_bar") == [each.close_ms for each in seam.klines[MINUTES]]
    assert len(strategy.given) >= 33
    statuses = {each.order.status for each in strategy.given[:32]}
    assert statuses == {OrderStatus.DENIED}
    assert seam.runner.started_warm


def test_late_replay_denies_its_orders_although_trading_is_active(
    start_exchange: Start, tmp_path: Path
) -> None:
    """Another strategy keeps the seconds going, and nothing halts for the one that joins."""
    running = start_exchange()
    late = witness(SPOT_MINUTES, name="ByHand", orders=True)
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS), late], streams={"1s": 20, "1m": 5},
        market="spot", trade={"replay": "on_bar"},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        joining = seam.strategies[1]
        await until_async(lambda: seam.runner.state == "live")
        states = len(seam.states)
        joining.subscribe_bars(SPOT_SECONDS)

        def statuses() -> list[OrderStatus]:
            return [
                each.order.status for each in joining.given if each.bar_type == str(SPOT_SECONDS)
            ]

        # A slow start makes the replay longer, so wait for an order on a bar that came after it.
        await until_async(lambda: len(statuses()) >= 22 and statuses()[-1] == OrderStatus.ACCEPTED)
        assert set(seam.states[states:]) <= {"live"}
        assert set(statuses()[:19]) == {OrderStatus.DENIED}

    asyncio.run(start_over(running, config, during))


def test_missed_bars_reach_a_strategy_with_only_on_bar(
    start_exchange: Start, tmp_path: Path
) -> None:
    """As history it would not receive the superseded ones."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, name="ByHand")], streams={"1s": 10},
        market="spot", trade={"replay": "on_bar"},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.live(2))
        seen = seam.runner.delivered.all
        running.fault("ws-drop:for=1h")
        await until_async(
            lambda: seam.runner.state != "live" and seam.runner.delivered.all > seen + 3
        )
        running.clear_faults()
        await until_async(lambda: seam.runner.state == "live")
        live = seam.runner.delivered.live
        await until_async(lambda: seam.live(live + 1))

    seam = asyncio.run(start_over(running, config, during))
    closes = seam.strategies[0].closes("on_bar")
    assert closes == list(range(closes[0], closes[-1] + 1, 1000))


def test_uninitialized_indicator_is_not_warm(start_exchange: Start, tmp_path: Path) -> None:
    """An average of 45 bars on 30: live when it has had the rest."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, period=45)], streams={"1s": 30}, market="spot"
    )

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        (average,) = strategy.averages.values()
        await until_async(lambda: "is not initialized" in seam.runner.why)
        assert seam.trading == TradingState.HALTED
        await until_async(lambda: seam.runner.state == "live")
        assert average.initialized

    seam = asyncio.run(start_over(running, config, during))
    assert not seam.runner.started_warm


def test_composite_bars_have_a_history_and_continue_without_a_gap(
    start_exchange: Start, tmp_path: Path
) -> None:
    """Each is what Nautilus' aggregator makes of the venue's seconds, missed ones included."""
    running = start_exchange()
    made_of = BarType.from_str("BTCUSDT.BINANCE-5-SECOND-LAST-INTERNAL@1-SECOND-EXTERNAL")
    config = imported_config(
        tmp_path, running, [witness(made_of, period=6)], streams={"1s": 60}, market="spot"
    )

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live" and strategy.closes("on_bar"))
        running.fault("ws-miss=2@btcusdt@kline_1s")
        seen = len(strategy.closes("on_bar"))
        await until_async(lambda: len(strategy.closes("on_bar")) >= seen + 2)

    seam = asyncio.run(start_over(running, config, during))
    (strategy,) = seam.strategies
    instrument = strategy.cache.instrument(made_of.instrument_id)
    seconds = instrument_bars(seam.klines[SPOT_SECONDS], instrument, Interval.parse("1s"))
    built = CompositeSeries(made_of, instrument, Interval.parse("1s")).add_all(seconds)
    closes = [round(bar.ts_event / 1e6) for bar in built]
    assert [each.close_ms for each in strategy.given] == closes
    cached = strategy.cache.bars(made_of.standard())[::-1]
    assert [values(bar) for bar in cached] == [values(bar) for bar in built]
    (average,) = strategy.averages.values()
    assert average.count == len(built)
    assert len(strategy.closes("history")) >= 10
    assert seam.runner.started_warm


def test_unsubscribing_one_composite_series_keeps_the_other(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    fives, tens = (
        BarType.from_str(f"BTCUSDT.BINANCE-{n}-SECOND-LAST-INTERNAL@1-SECOND-EXTERNAL")
        for n in (5, 10)
    )
    config = imported_config(
        tmp_path, running, [witness(fives, tens)], streams={"1s": 60}, market="spot"
    )

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live")
        strategy.unsubscribe_bars(tens)
        live = seam.runner.delivered.live
        await until_async(lambda: seam.live(live + 12))

    seam = asyncio.run(start_over(running, config, during))
    closes = [each.close_ms for each in seam.strategies[0].given if "5-SEC" in each.bar_type]
    assert closes == list(range(closes[0], closes[-1] + 1, 5000))


def test_late_request_holds_no_bar_back(start_exchange: Start, tmp_path: Path) -> None:
    """The older bars go to on_historical_data alone; the strategy has had newer ones."""
    running = start_exchange()
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, period=5)], streams={"1s": 30}, market="spot"
    )

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        (average,) = strategy.averages.values()
        await until_async(lambda: seam.live(1))
        running.fault("delay=3s@klines")
        strategy._request()
        seen, live = len(seam.states), seam.runner.delivered.live
        await until_async(lambda: seam.live(live + 2))
        assert not strategy.answered
        running.clear_faults()
        await until_async(lambda: strategy.answered)
        assert "filling" not in seam.states[seen:]
        assert average.count == len(strategy.given) - len(older(strategy))

    seam = asyncio.run(start_over(running, config, during))
    (strategy,) = seam.strategies
    late = older(strategy)
    assert late == list(range(late[0], late[-1] + 1, 1000))
    assert late[-1] == strategy.given[0].close_ms - 1000


def older(strategy: Any) -> list[int]:
    """When the bars closed that are older than the first one that was given."""
    first_ms = strategy.given[0].close_ms
    return [each.close_ms for each in strategy.given if each.close_ms < first_ms]


def values(bar: Bar) -> tuple[str, ...]:
    return tuple(map(str, (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.ts_event)))


def test_bars_built_from_ticks_are_reported_as_cold(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()
    ticks = BarType.from_str("BTCUSDT.BINANCE-1-SECOND-LAST-INTERNAL")
    config = imported_config(
        tmp_path, running, [witness(SPOT_SECONDS, ticks)], streams={"1s": 30}, market="spot"
    )

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.state == "live")

    seam = asyncio.run(start_over(running, config, during))
    assert not seam.runner.started_warm
    assert any("1-SECOND-LAST-INTERNAL" in line and "no history" in line for line in seam.warnings)


# -- an old bar is not news ------------------------------------------------------------------------


@pytest.mark.parametrize("first_bar", ["history", "on_bar"])
def test_bar_that_closed_long_ago_is_history_at_the_start(
    start_exchange: Start, tmp_path: Path, first_bar: str
) -> None:
    running = start_exchange(now_ms=half_past_eight())
    config = imported_config(
        tmp_path, running, [witness(FOUR_HOURS)], streams={"4h": 20},
        trade={"first_bar": first_bar},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.runner.state == "live")

    seam = asyncio.run(start_over(running, config, during))
    (strategy,) = seam.strategies
    assert len(strategy.given) == 20
    assert len(strategy.closes("on_bar")) == (first_bar == "on_bar")
    (stream,) = seam.runner.report().streams
    assert (stream.history_bars, stream.filled_bars, stream.live_bars) == (20, 0, 0)
    closes = [each.close_ms for each in strategy.given]
    assert closes == sorted(set(closes))


def test_hedge_grid_acts_on_its_first_bar_regardless_of_trade_first_bar(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(30))
    config = minutes_config(tmp_path, running, trade={"first_bar": "history"})

    async def during(seam: Seam) -> None:
        await until_async(lambda: seam.grid.sent)

    seam = asyncio.run(start_over(running, config, during))
    assert seam.grid.on_bar_opens == seam.grid.opens[-1:]


# -- faults that last ------------------------------------------------------------------------------


def test_lasting_fault_in_an_old_part_of_a_cold_window_leaves_the_window(
    start_exchange: Start, tmp_path: Path
) -> None:
    """Rows of before the node starts are damaged for good: the window moves past them."""
    running = start_exchange()
    damaged_ms = running.now_ms() // 1000 * 1000 - 1000  # not the forming one: it may be heard

    def damage(rows: Rows) -> Rows:
        return [[*row[:3], "0", *row[4:]] if row[0] <= damaged_ms else row for row in rows]

    with relaying(running) as relay:
        relay.change = damage
        config = spot_config(tmp_path, running, bars=20, warmup={"deadline": "2s"})
        config = through(config, relay.url, running.ws_url)

        async def during(seam: Seam) -> None:
            await until_async(lambda: seam.runner.state == "live")

        seam = asyncio.run(start_over(running, config, during, publish=False))
    opens = seam.grid.opens
    assert opens[0] > damaged_ms
    assert opens == list(range(opens[0], opens[-1] + 1, 1000))
    assert len(opens) >= 20
    assert not seam.runner.started_warm


def garbage(now_ms: int) -> list[str]:
    """What a websocket could say that Binance does not."""
    open_ms = now_ms // 1000 * 1000

    def kline(symbol: str = "BTCUSDT", **changes: Any) -> str:
        row = {
            "t": open_ms, "T": open_ms + 999, "s": symbol, "i": "1s", "f": 1, "L": 2,
            "o": "100.00", "c": "100.00", "h": "100.00", "l": "100.00", "v": "1.0", "n": 1,
            "x": True, "q": "100.0", "V": "1.0", "Q": "100.0", "B": "0",
        }  # fmt: skip
        event = {"e": "kline", "E": now_ms, "s": symbol, "k": row | changes}
        return json.dumps({"stream": "btcusdt@kline_1s", "data": event})

    def quote(**changes: Any) -> str:
        top = {"u": 1, "s": "BTCUSDT", "b": "1.00", "B": "1", "a": "2.00", "A": "1"}
        return json.dumps({"stream": "btcusdt@bookTicker", "data": top | changes})

    future_ms = open_ms + 86_400_000
    return [
        "", "garbage", "[]", "{}", "\x00", '{"stream":"btcusdt@kline_1s","data":null}',
        '{"stream":"nosuch@kline_1s","data":{}}',
        kline(o="NaN"), kline(h="Infinity"), kline(h="1" + "0" * 40), kline(l="-5"),
        kline(l="200.00"), kline(t=open_ms + 1), kline(i="1m"), kline(symbol="ETHUSDT"),
        kline(t=future_ms, T=future_ms + 999),  # a day ahead, and sound otherwise
        kline(t=open_ms - 60_000, T=open_ms - 59_001),  # long delivered, with other values
        quote(b="NaN"), quote(b="3.00"), quote(s="ETHUSDT"), quote(a="-1"),
    ]  # fmt: skip


def test_garbage_websocket_messages_change_nothing(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()
    with relaying(running) as relay:
        config = through(spot_config(tmp_path, running), relay.url, relay.ws_url)

        async def during(seam: Seam) -> None:
            await until_async(lambda: seam.live(2))
            for _ in range(3):
                await asyncio.to_thread(relay.say, *garbage(running.now_ms()))
                seen = seam.runner.delivered.all
                await more_bars(seam, seen + 1)
            await until_async(lambda: seam.runner.state == "live")

        seam = asyncio.run(start_over(running, config, during))
    assert_same_state(seam, SPOT_SECONDS)
    assert any("dropped" in line and "websocket message" in line for line in seam.warnings)


def test_ten_thousand_messages_at_once_neither_lose_nor_repeat_a_bar(
    start_exchange: Start, tmp_path: Path
) -> None:
    """Quotes, and the last closed kline over and over."""
    running = start_exchange()
    with relaying(running) as relay:
        config = through(spot_config(tmp_path, running), relay.url, relay.ws_url)

        async def during(seam: Seam) -> None:
            await until_async(lambda: seam.live(2))
            top = {"u": 1, "s": "BTCUSDT", "b": "31000.00", "B": "1", "a": "31000.01", "A": "1"}
            quote = json.dumps({"stream": "btcusdt@bookTicker", "data": top})
            await asyncio.to_thread(relay.say, *[quote] * 10_000)
            seen = seam.runner.delivered.live
            await until_async(lambda: seam.live(seen + 3))

        seam = asyncio.run(start_over(running, config, during))
    assert_same_state(seam, SPOT_SECONDS)


async def more_bars(seam: Seam, than: int) -> None:
    await until_async(lambda: seam.runner.delivered.all > than)


def through(plan: WarmupPlan, url: str, ws_url: str) -> WarmupPlan:
    """The same plan with other endpoints."""
    ws_url = f"{ws_url}/spot"
    venue = dataclasses.replace(
        plan.venue,
        rest_url=url, own_rest_url=url, websocket_url=ws_url, own_websocket_url=ws_url,
    )  # fmt: skip
    return msgspec.structs.replace(plan, venue=venue)
