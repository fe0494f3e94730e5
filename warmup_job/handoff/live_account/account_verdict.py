"""What to do about differences between account and cache. Pure: readings in, steps out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from warmup_job.handoff.live_account.account_differences import Difference

type AccountState = Literal["ok", "differs", "unknown"]

UNREAD_MS = 15_000
"""How long an account may stay unread before entries stop."""
EXIT_MS = 30_000
"""How long a difference may remain after its first repair that succeeded; the trader then exits."""
FAILING_EXIT_MS = 60_000
"""How long a difference may remain while every repair fails; a new start asks for other things."""
REPAIR_AGAIN_MS = 5_000
"""The shortest time between two repairs of a difference that remains."""
REPEATED, REPEATED_WITHIN_MS = 2, 120_000
"""So many repairs within so long mean that events do not arrive; entries stop."""
QUIET_MS = 60_000
"""How long no repair may have been necessary before entries are allowed again."""


class Step(NamedTuple):
    """What follows from a reading."""

    state: AccountState
    reason: str
    """Why entries must not leave; empty: they may."""
    action: Literal["wait", "look again", "repair", "repair positions", "exit"]
    """The first repair asks for the orders; a later one also sets the positions."""


class AccountVerdict:
    """Judges the readings of an account, one after another.

    A difference counts when two readings in a row show it and Nautilus has learnt nothing about it
    in between. It is repaired first. If it remains, entries stop, and after `EXIT_MS` the trader
    must exit; while every repair fails, after `FAILING_EXIT_MS`. If repairs are needed again and
    again, events do not arrive, and entries stop too.

    Args:
        now_ms: the time of the start; as all times here, ms of one monotonic clock.
    """

    def __init__(self, now_ms: int) -> None:
        self._read_ms: int | None = None
        self._started_ms = now_ms
        self._previous: frozenset[tuple[str, str]] = frozenset()
        self._tried: dict[str, int] = {}  # when the first repair of what began, until it is gone
        self._repaired: dict[str, int] = {}  # when its first repair that succeeded ended
        self._remaining: dict[str, str] = {}  # the reason for what has remained after a repair
        self._last_repair_ms: int | None = None
        self._missed_events = False  # before the repair that follows
        self._repairs_ms: list[int] = []  # of differences that no event had announced

    @property
    def has_read(self) -> bool:
        """Whether the account has been read since the start."""
        return self._read_ms is not None

    def is_overdue(self, now_ms: int) -> bool:
        """Return whether the first reading has failed for `UNREAD_MS`."""
        return not self.has_read and now_ms - self._started_ms >= UNREAD_MS

    def judge(self, found: Sequence[Difference], now_ms: int, stream_problem: str = "") -> Step:
        """Judge a reading.

        Args:
            found: the differences that it shows.
            now_ms: when it was made.
            stream_problem: why the user data stream delivers nothing; empty: no reason is known.
        """
        self._read_ms = now_ms
        known, self._previous = self._previous, frozenset((each.what, each.here) for each in found)
        there = {each.what for each in found}
        if stream_problem:
            there.add(stream_problem)
        self._tried = {what: at for what, at in self._tried.items() if what in there}
        self._repaired = {what: at for what, at in self._repaired.items() if what in there}
        self._remaining = {what: why for what, why in self._remaining.items() if what in there}
        lasting = {each.what: str(each) for each in found if (each.what, each.here) in known}
        if lasting or stream_problem:
            return self._act(lasting, stream_problem, now_ms)
        if self._remaining:  # seen once since its last repair, which may not have helped either
            return Step("differs", next(iter(self._remaining.values())), "look again")
        return self._settled("look again" if found else "wait", now_ms)

    def _act(self, lasting: dict[str, str], stream_problem: str, now_ms: int) -> Step:
        remaining = self._tried.keys() & {*lasting, stream_problem}
        for what in filter(None, (*lasting, stream_problem)):
            self._tried.setdefault(what, now_ms)
        self._missed_events = bool(lasting) and not stream_problem
        if not remaining:
            return self._settled("repair", now_ms)
        reason = f"the account differs from what the trader believes: {_some([*lasting.values()])}"
        if not lasting:  # without events it is still repaired by comparing
            reason = stream_problem
        self._remaining = dict.fromkeys(remaining, reason)
        if any(self._is_hopeless(what, now_ms) for what in lasting):
            return Step("differs", reason, "exit")
        last_ms = self._last_repair_ms
        is_due = last_ms is None or now_ms - last_ms >= REPAIR_AGAIN_MS
        if not is_due:
            return Step("differs", reason, "look again")
        # The orders come first: they explain most positions.
        positions = any(what in self._repaired for what in lasting)
        return Step("differs", reason, "repair positions" if positions else "repair")

    def _is_hopeless(self, what: str, now_ms: int) -> bool:
        if what in self._repaired:
            return now_ms - self._repaired[what] >= EXIT_MS
        return now_ms - self._tried[what] >= FAILING_EXIT_MS

    def _settled(self, action: Literal["wait", "look again", "repair"], now_ms: int) -> Step:
        """Return the step while no difference has remained after a repair."""
        recent = [at for at in self._repairs_ms if now_ms - at < REPEATED_WITHIN_MS]
        self._repairs_ms = recent
        if len(recent) >= REPEATED and now_ms - recent[-1] < QUIET_MS:
            reason = (
                f"the account had to be repaired {len(recent)} times within "
                f"{REPEATED_WITHIN_MS // 60_000} minutes: the user data stream seems to be silent"
            )
            return Step("differs", reason, action)
        return Step("ok", "", action)

    def on_repair(self, now_ms: int, *, succeeded: bool = True) -> None:
        """Note that a repair has ended; the next readings show whether it helped.

        Args:
            now_ms: when it ended.
            succeeded: whether the account was reconciled; a failed repair says nothing about the
                difference.
        """
        self._last_repair_ms = now_ms
        if succeeded:
            self._repaired = dict.fromkeys(self._tried, now_ms) | self._repaired
            if self._missed_events:
                self._repairs_ms.append(now_ms)
        self._previous = frozenset()

    def on_unread(self, why: str, now_ms: int) -> Step | None:
        """Judge a failure to read the account.

        Returns:
            None: the last reading is young enough, so its step still holds.
        """
        since_ms = self._started_ms if self._read_ms is None else self._read_ms
        if self._read_ms is not None and now_ms - since_ms < UNREAD_MS:
            return None
        seconds = (now_ms - since_ms) // 1000
        return Step("unknown", f"the account cannot be read for {seconds} s: {why}", "wait")


def _some(lines: list[str]) -> str:
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return "; ".join(lines[:3]) + more
