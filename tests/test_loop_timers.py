"""A strategy's timers act on the event loop's thread, and a failing one ends the run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.common.component import LiveClock

from tests.support.suite import HANG_S
from warmup_job.hedge_grid.loop_timers import LoopTimers


class Trading:
    """What the timers use of a strategy, with Nautilus' live clock."""

    def __init__(self) -> None:
        self.clock = LiveClock()
        self.is_running = True
        self.log = SimpleNamespace(exception=lambda *_: None)
        self.shut_down: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def shutdown_system(self, reason: str) -> None:
        self.shut_down.set_result(reason)


def set_once(timers: LoopTimers, act: Callable[[], None]) -> None:
    timers.after(1, "once", act)


def set_repeatedly(timers: LoopTimers, act: Callable[[], None]) -> None:
    timers.every(1, "again and again", act)


@pytest.mark.parametrize("set_timer", [set_once, set_repeatedly])
def test_loop_timers_act_on_the_thread_of_the_event_loop(set_timer: Any) -> None:
    """Nautilus' clock calls from another thread, which must not touch lots and orders."""

    async def acted_on() -> str:
        strategy: Any = Trading()
        thread = asyncio.get_running_loop().create_future()

        def act() -> None:
            if not thread.done():
                thread.set_result(threading.current_thread().name)

        timers = LoopTimers(strategy)
        set_timer(timers, act)
        try:
            return await asyncio.wait_for(thread, HANG_S)
        finally:
            timers.cancel_all()

    assert asyncio.run(acted_on()) == threading.current_thread().name


def test_loop_timers_failure_shuts_the_trader_down() -> None:
    """Nautilus' clock drops the exception, so the strategy would go on with a broken state."""

    async def reason() -> str:
        strategy: Any = Trading()

        def fail() -> None:
            raise ValueError("made up")

        LoopTimers(strategy).after(1, "retry", fail)
        return await asyncio.wait_for(strategy.shut_down, HANG_S)

    assert asyncio.run(reason()) == "the timer 'retry' failed: ValueError('made up')"


def test_loop_timers_do_not_act_after_the_strategy_has_stopped() -> None:
    async def acted() -> list[str]:
        strategy: Any = Trading()
        done: list[str] = []
        fired = asyncio.Event()
        timers = LoopTimers(strategy)
        timers.after(1, "first", lambda: done.append("running"))
        while not done:
            await asyncio.sleep(0.001)
        strategy.is_running = False
        timers.after(1, "second", lambda: done.append("stopped"))
        loop = asyncio.get_running_loop()
        at_ns = strategy.clock.timestamp_ns() + 20_000_000
        strategy.clock.set_time_alert_ns(
            "later", at_ns, lambda _: loop.call_soon_threadsafe(fired.set)
        )
        await asyncio.wait_for(fired.wait(), HANG_S)
        return done

    assert asyncio.run(acted()) == ["running"]


def test_loop_timers_act_although_the_strategys_clock_stands_still() -> None:
    """Nautilus' clock waits until the machine's has passed the time before it was set back."""

    async def acted() -> bool:
        strategy: Any = Trading()
        strategy.clock = SimpleNamespace(timestamp_ns=lambda: 1)
        done = asyncio.Event()
        LoopTimers(strategy).after(1, "a stop loss", done.set)
        return await asyncio.wait_for(done.wait(), HANG_S)

    assert asyncio.run(acted())


def test_loop_timers_at_a_time_wait_again_if_the_clock_has_not_reached_it() -> None:
    async def acted_at_ns() -> int:
        strategy: Any = Trading()
        times_ns = iter([0, 1_999_999, 2_500_000])  # the timer ends after 2 ms of another clock
        seen: list[int] = []

        def timestamp_ns() -> int:
            seen.append(next(times_ns))
            return seen[-1]

        strategy.clock = SimpleNamespace(timestamp_ns=timestamp_ns)
        done = asyncio.Event()
        LoopTimers(strategy).at(2, "the end of a limit", done.set)
        await asyncio.wait_for(done.wait(), HANG_S)
        return seen[-1]

    assert asyncio.run(acted_at_ns()) == 2_500_000


def test_loop_timers_of_one_name_replace_each_other_and_are_over_when_they_act() -> None:
    async def acted() -> list[str]:
        strategy: Any = Trading()
        timers = LoopTimers(strategy)
        done: list[str] = []
        over = asyncio.Event()

        def act() -> None:
            done.append("set" if timers.is_set("a") else "over")
            over.set()

        timers.after(1, "a", lambda: done.append("first"))
        timers.after(5, "a", act)
        timers.after(1, "b", lambda: done.append("cancelled"))
        timers.cancel("b")
        timers.cancel("no such timer")
        await asyncio.wait_for(over.wait(), HANG_S)
        return done

    assert asyncio.run(acted()) == ["over"]
