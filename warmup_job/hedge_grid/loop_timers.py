"""Timers of a strategy that act where its events arrive: on the event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nautilus_trader.common.events import TimeEvent
from nautilus_trader.trading.strategy import Strategy

from warmup_job.market.times import NS_PER_MS


class LoopTimers:
    """A strategy's timers, each with a name.

    They are the event loop's that was running when this object was made, and end the run if they
    fail. Nautilus' live clock would call from a thread of its own, up to a millisecond too early,
    drop what the callback raises, and stand still while the machine's clock is behind. Without a
    running loop, as in a backtest, they are the strategy's clock's.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._handles: dict[str, asyncio.TimerHandle | None] = {}  # None: set on the clock
        self._loop: asyncio.AbstractEventLoop | None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def every(self, seconds: int, name: str, act: Callable[[], None]) -> None:
        """Call ``act`` every ``seconds``, until it is cancelled or the strategy stops."""

        def act_and_go_on() -> None:
            self.every(seconds, name, act)
            act()

        self.after(seconds * 1000, name, act_and_go_on)

    def after(self, delay_ms: int, name: str, act: Callable[[], None]) -> None:
        """Call ``act`` once after ``delay_ms``; at once if it is 0. An earlier one is replaced."""
        self.cancel(name)
        if not delay_ms:
            act()
        elif self._loop is None:
            clock = self._strategy.clock
            at_ns = clock.timestamp_ns() + delay_ms * NS_PER_MS

            def on_alert(_: TimeEvent) -> None:
                del self._handles[name]
                act()

            self._handles[name] = None
            clock.set_time_alert_ns(name, at_ns, on_alert)
        else:
            self._handles[name] = self._loop.call_later(delay_ms / 1000, self._run, name, act)

    def at(self, time_ms: int, name: str, act: Callable[[], None]) -> None:
        """Call ``act`` once when the strategy's clock has reached ``time_ms``, Unix ms."""
        remaining_ms = time_ms - self._strategy.clock.timestamp_ns() // NS_PER_MS
        if remaining_ms > 0:  # the machine's clock may have been set back meanwhile
            self.after(remaining_ms, name, lambda: self.at(time_ms, name, act))
        else:
            self.cancel(name)
            act()

    def is_set(self, name: str) -> bool:
        """Return whether a timer of this name is still to act."""
        return name in self._handles

    def cancel(self, name: str) -> None:
        """Do not call; nothing happens if no timer has this name."""
        if name not in self._handles:
            return
        handle = self._handles.pop(name)
        if handle is None:
            self._strategy.clock.cancel_timer(name)
        else:
            handle.cancel()

    def cancel_all(self) -> None:
        """Do not call any more."""
        for name in list(self._handles):
            self.cancel(name)

    def _run(self, name: str, act: Callable[[], None]) -> None:
        del self._handles[name]
        if not self._strategy.is_running:
            return
        try:
            act()
        except Exception as error:  # the event loop would only log it
            text = f"the timer {name!r} failed"
            self._strategy.log.exception(text, error)
            self._strategy.shutdown_system(f"{text}: {error!r}")
