"""Timers of a strategy that act where its events arrive: on the event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nautilus_trader.common.events import TimeEvent
from nautilus_trader.trading.strategy import Strategy

from warmup_job.market.times import NS_PER_MS


class LoopTimers:
    """Sets timers on a strategy's clock.

    Nautilus' live clock calls from a thread of its own, and drops what the callback raises. These
    timers act on the event loop that was running when this object was made, and end the run if
    that fails. Without a running loop, as in a backtest, they act at once.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._loop: asyncio.AbstractEventLoop | None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def every(self, seconds: int, name: str, act: Callable[[], None]) -> None:
        """Call ``act`` every ``seconds``, until the strategy stops."""
        interval_ns = seconds * 1000 * NS_PER_MS
        self._strategy.clock.set_timer_ns(name, interval_ns, 0, 0, self._callback(name, act))

    def after(self, delay_ms: int, name: str, act: Callable[[], None]) -> None:
        """Call ``act`` once after ``delay_ms``; at once if it is 0."""
        if not delay_ms:
            act()
            return
        clock = self._strategy.clock
        at_ns = clock.timestamp_ns() + delay_ms * NS_PER_MS
        clock.set_time_alert_ns(name, at_ns, self._callback(name, act))

    def is_set(self, name: str) -> bool:
        """Return whether a timer of this name is still to act."""
        return name in self._strategy.clock.timer_names

    def _callback(self, name: str, act: Callable[[], None]) -> Callable[[TimeEvent], None]:
        loop = self._loop
        if loop is None:
            return lambda _: act()

        def run() -> None:
            if not self._strategy.is_running:
                return
            try:
                act()
            except Exception as error:  # the event loop would only log it
                text = f"the timer {name!r} failed"
                self._strategy.log.exception(text, error)
                self._strategy.shutdown_system(f"{text}: {error!r}")

        def hand_over(_: TimeEvent) -> None:
            loop.call_soon_threadsafe(run)

        return hand_over
