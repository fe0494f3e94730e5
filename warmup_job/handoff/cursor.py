"""The seam between history and live: every closed bar once, in order. Pure: bars, opens, a clock.

A cursor stands at the last bar that was handed on. What arrives later than the next one is held;
what is missing before it is named, so that it can be fetched; what is complete is released: the
superseded bars as history, the newest closed one as live.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from warmup_job.market.interval import Interval


def next_due_ms(interval: Interval, now_ms: int, grace_ms: int) -> int:
    """When the next bar is due, that closes after ``now_ms`` − grace: close plus grace.

    Looking for missing bars at that very moment finds it, if it has not come; a moment earlier
    would not, and nobody would look again for a whole interval.
    """
    return interval.next(interval.floor(now_ms - grace_ms)) + grace_ms


class Release[BarT](NamedTuple):
    """Bars that may be handed on now: ``history`` first, then ``newest`` to ``on_bar``."""

    history: list[BarT]
    newest: BarT | None


class Span(NamedTuple):
    """Opens of the first and the last bar that are missing, both included, UTC ms."""

    first_ms: int
    last_ms: int


Verdict = Literal["filled", "again", "hole"]
"""What an answer to a question for missing bars comes to."""


class Handoff[BarT]:
    """One stream's cursor. Opens are UTC ms; ``now_ms`` is the exchange's clock."""

    def __init__(self, interval: Interval, cursor_ms: int) -> None:
        self._interval = interval
        self.cursor_ms = cursor_ms
        """Open of the last bar that was handed on or passed over."""
        self._held: dict[int, BarT] = {}
        self._absent: set[int] = set()
        self._suspect: Span | None = None

    def offer(self, open_ms: int, bar: BarT) -> bool:
        """Take in a bar; False: it is the same as one before, or older, and is dropped."""
        if open_ms <= self.cursor_ms or open_ms in self._held:
            return False
        self._held[open_ms] = bar
        return True

    def missing(self, now_ms: int) -> Span | None:
        """The first run of bars that are closed at ``now_ms`` and neither handed on nor held."""
        last_closed_ms = self._interval.last_closed(now_ms)
        first_ms = self._interval.next(self.cursor_ms)
        while first_ms in self._held or first_ms in self._absent:
            first_ms = self._interval.next(first_ms)
        later = [open_ms for open_ms in self._held if open_ms > first_ms]
        last_ms = self._interval.shift(min(later), -1) if later else last_closed_ms
        return Span(first_ms, last_ms) if first_ms <= last_ms else None

    def take_answer(
        self, asked: Span, answer: Iterable[tuple[int, BarT]], now_ms: int
    ) -> tuple[Verdict, Span]:
        """Take in what REST gave for ``asked`` and all that follows; and whether that will do.

        ``hole``: the venue itself has no bars in the span that comes with it, as it has later ones;
        believed only when it is said twice in a row. ``again``: that span is to be asked for again.
        """
        newest_ms = self.cursor_ms
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
        """Whether every bar that closes up to ``close_ms`` (UTC ms) is here: handed on or held."""
        open_ms = self._interval.next(self.cursor_ms)
        while open_ms in self._held or open_ms in self._absent:
            open_ms = self._interval.next(open_ms)
        return self._interval.close_ms(open_ms) > close_ms

    def newest_held_ms(self) -> int | None:
        """The close of the newest bar that is held, UTC ms; None: none is."""
        return self._interval.close_ms(max(self._held)) if self._held else None

    def drop_later(self, last_open_ms: int) -> list[int]:
        """Drop held bars that open after ``last_open_ms``: they cannot exist yet."""
        later = [open_ms for open_ms in self._held if open_ms > last_open_ms]
        for open_ms in later:
            del self._held[open_ms]
        return later

    def move_to(self, cursor_ms: int) -> None:
        """Begin later: what opens up to ``cursor_ms`` is not wanted any longer."""
        if cursor_ms <= self.cursor_ms:
            return
        self.cursor_ms = cursor_ms
        if self._suspect is not None:  # the rest of it is still suspected
            first_ms = max(self._suspect.first_ms, self._interval.next(cursor_ms))
            rest = Span(first_ms, self._suspect.last_ms)
            self._suspect = rest if rest.first_ms <= rest.last_ms else None
        self._held = {at: bar for at, bar in self._held.items() if at > self.cursor_ms}
        self._absent = {at for at in self._absent if at > self.cursor_ms}

    def begin_earlier(self, bars: int) -> None:
        """Want so many bars more before the first one; nothing was handed on yet."""
        self.cursor_ms = self._interval.shift(self.cursor_ms, -bars)

    def pass_over(self, span: Span) -> None:
        """The venue itself has no bars there: they are not waited for any longer."""
        open_ms = span.first_ms
        while open_ms <= span.last_ms:
            self._absent.add(open_ms)
            open_ms = self._interval.next(open_ms)

    def release(self, now_ms: int) -> Release[BarT]:
        """What is complete from the cursor on; its last goes live only if none closed after it."""
        run: list[tuple[int, BarT]] = []
        open_ms = self._interval.next(self.cursor_ms)
        while open_ms in self._held or open_ms in self._absent:
            if open_ms in self._held:
                run.append((open_ms, self._held.pop(open_ms)))
            self._absent.discard(open_ms)
            self.cursor_ms = open_ms
            open_ms = self._interval.next(open_ms)
        newest = None
        if run and run[-1][0] >= self._interval.last_closed(now_ms):
            newest = run.pop()[1]
        return Release([bar for _, bar in run], newest)
