"""Bars of one stream that wait for a missing one. Pure: bars, open times and a clock.

Every closed bar is delivered once and in order. A cursor stands at the last bar that was delivered.
A bar that arrives later than the next one is held; the bars that are missing before it are named,
so that they can be fetched; a complete run is taken: the superseded bars as history, the newest
closed one as live.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from warmup_job.market.interval import Interval


def next_due_ms(interval: Interval, now_ms: int, grace_ms: int) -> int:
    """Return when the next bar is due (UTC ms): its close plus the grace.

    A look for missing bars at that moment finds the bar missing if it has not come. A look a moment
    earlier would not, and the next look would come a whole interval later.

    Args:
        interval: of the stream.
        now_ms: the exchange's time, UTC ms.
        grace_ms: how late a live bar may be before it counts as missing.
    """
    return interval.next(interval.floor(now_ms - grace_ms)) + grace_ms


class CompleteRun[BarT](NamedTuple):
    """Bars that may be delivered now, oldest first."""

    superseded: list[BarT]
    """Bars after which a later one has closed: history."""
    newest: BarT | None
    """The newest closed bar, for on_bar; None: it is not here yet."""


class Span(NamedTuple):
    """Open times of the first and the last missing bar, both included, UTC ms."""

    first_ms: int
    last_ms: int


Verdict = Literal["filled", "again", "hole"]
"""The result of an answer to a request for missing bars, see `HeldBars.take_answer`."""


class HeldBars[BarT]:
    """The bars of one stream that are held, and the cursor before them.

    Args:
        interval: of the stream.
        at_ms: open time of the bar that counts as the last one delivered, UTC ms.
    """

    def __init__(self, interval: Interval, at_ms: int) -> None:
        self._interval = interval
        self.at_ms = at_ms
        """Open time of the last bar that was delivered or passed over, UTC ms."""
        self._held: dict[int, BarT] = {}
        self._absent: set[int] = set()
        self._suspect: Span | None = None

    def offer(self, open_ms: int, bar: BarT) -> bool:
        """Hold a bar; return False if it is a duplicate or not after the cursor, and so dropped."""
        if open_ms <= self.at_ms or open_ms in self._held:
            return False
        self._held[open_ms] = bar
        return True

    def missing(self, now_ms: int) -> Span | None:
        """Return the first run of bars that have closed at ``now_ms`` and are not here.

        Returns:
            The run; None: every closed bar was delivered, is held or is known to be absent.
        """
        last_closed_ms = self._interval.last_closed(now_ms)
        first_ms = self._interval.next(self.at_ms)
        while first_ms in self._held or first_ms in self._absent:
            first_ms = self._interval.next(first_ms)
        later = [open_ms for open_ms in self._held if open_ms > first_ms]
        last_ms = self._interval.shift(min(later), -1) if later else last_closed_ms
        return Span(first_ms, last_ms) if first_ms <= last_ms else None

    def take_answer(
        self, asked: Span, answer: Iterable[tuple[int, BarT]], now_ms: int
    ) -> tuple[Verdict, Span]:
        """Hold the bars that REST returned, and judge whether they close the gap.

        Args:
            asked: the gap that was requested.
            answer: open time and bar of everything from the gap's start on.
            now_ms: the exchange's time, UTC ms.

        Returns:
            ``filled`` and the gap; ``again`` and the span to request again; or ``hole`` and the
            span that the venue itself lacks. A hole needs the same two answers in a row, both with
            later bars.
        """
        newest_ms = self.at_ms
        for open_ms, bar in answer:
            self.offer(open_ms, bar)
            newest_ms = max(newest_ms, open_ms)
        left = self.missing(now_ms)
        if left is None or left.first_ms != asked.first_ms:
            self._suspect = None
            return "filled", asked
        if newest_ms <= left.last_ms:  # the venue may only be late
            self._suspect = None
            return "again", left
        if left != self._suspect:
            self._suspect = left
            return "again", left
        self._suspect = None
        return "hole", left

    def covers(self, close_ms: int) -> bool:
        """Return whether every bar that closes up to ``close_ms`` (UTC ms) is here."""
        open_ms = self._interval.next(self.at_ms)
        while open_ms in self._held or open_ms in self._absent:
            open_ms = self._interval.next(open_ms)
        return self._interval.close_ms(open_ms) > close_ms

    def newest_held_ms(self) -> int | None:
        """Return the close time of the newest held bar, UTC ms; None: no bar is held."""
        return self._interval.close_ms(max(self._held)) if self._held else None

    def drop_later(self, last_open_ms: int) -> list[int]:
        """Drop held bars that open after ``last_open_ms`` (UTC ms); return their open times."""
        later = [open_ms for open_ms in self._held if open_ms > last_open_ms]
        for open_ms in later:
            del self._held[open_ms]
        return later

    def move_to(self, at_ms: int) -> None:
        """Move the cursor forward, so that bars up to ``at_ms`` are no longer wanted."""
        if at_ms <= self.at_ms:
            return
        self.at_ms = at_ms
        if self._suspect is not None:  # the rest of it is still suspected
            first_ms = max(self._suspect.first_ms, self._interval.next(at_ms))
            rest = Span(first_ms, self._suspect.last_ms)
            self._suspect = rest if rest.first_ms <= rest.last_ms else None
        self._held = {open_ms: bar for open_ms, bar in self._held.items() if open_ms > at_ms}
        self._absent = {open_ms for open_ms in self._absent if open_ms > at_ms}

    def begin_earlier(self, bars: int) -> None:
        """Move the cursor back by ``bars``. Valid only while no bar was delivered."""
        self.at_ms = self._interval.shift(self.at_ms, -bars)

    def pass_over(self, span: Span) -> None:
        """Stop waiting for the bars of a span: the venue itself does not have them."""
        open_ms = span.first_ms
        while open_ms <= span.last_ms:
            self._absent.add(open_ms)
            open_ms = self._interval.next(open_ms)

    def take_complete(self, now_ms: int) -> CompleteRun[BarT]:
        """Take every bar up to the next missing one, and move the cursor behind them.

        The last of them is ``newest`` only if no later bar has closed at ``now_ms`` (UTC ms).
        """
        run: list[tuple[int, BarT]] = []
        open_ms = self._interval.next(self.at_ms)
        while open_ms in self._held or open_ms in self._absent:
            if open_ms in self._held:
                run.append((open_ms, self._held.pop(open_ms)))
            self._absent.discard(open_ms)
            self.at_ms = open_ms
            open_ms = self._interval.next(open_ms)
        newest = None
        if run and run[-1][0] >= self._interval.last_closed(now_ms):
            newest = run.pop()[1]
        return CompleteRun([bar for _, bar in run], newest)
