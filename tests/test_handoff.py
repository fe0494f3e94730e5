"""The seam: history and live together are the exchange's closed bars, each once, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from warmup_job.market.interval import INTERVAL_NAMES, Interval
from warmup_job.trading.handoff import Handoff, Span, next_due_ms

MINUTE = Interval.parse("1m")
M = 60_000
START = 1_700_000_040_000


def at(minute: int) -> int:
    return START + minute * M


def handoff(cursor: int = 0) -> Handoff[int]:
    return Handoff(MINUTE, at(cursor))


def offer(gate: Handoff[int], *minutes: int) -> list[bool]:
    return [gate.offer(at(minute), minute) for minute in minutes]


def test_the_next_bar_goes_live_at_once() -> None:
    gate = handoff()
    assert offer(gate, 1) == [True]
    assert gate.release(at(2) + 5) == ([], 1)
    assert gate.cursor_ms == at(1)


def test_the_same_bar_and_older_ones_are_dropped() -> None:
    gate = handoff(5)
    assert offer(gate, 5, 4, 6, 6) == [False, False, True, False]
    gate.release(at(7))
    assert offer(gate, 6) == [False]


def test_a_later_bar_waits_for_the_one_that_is_missing() -> None:
    gate = handoff()
    offer(gate, 3)
    assert gate.release(at(4)) == ([], None)
    assert gate.missing(at(4)) == Span(at(1), at(2))
    offer(gate, 2, 1)
    assert gate.missing(at(4)) is None
    assert gate.release(at(4)) == ([1, 2], 3)


def test_superseded_bars_are_history_only() -> None:
    gate = handoff()
    offer(gate, 1, 2)
    assert gate.release(at(4)) == ([1, 2], None)  # bar 3 closed meanwhile
    offer(gate, 3)
    assert gate.release(at(4)) == ([], 3)


def test_a_kline_that_arrives_before_our_clock_says_it_closed_is_live() -> None:
    gate = handoff()
    offer(gate, 1)
    assert gate.release(at(2) - 40) == ([], 1)


def test_what_has_closed_and_did_not_come_is_missing() -> None:
    gate = handoff()
    assert gate.missing(at(1) + M - 1) is None  # still forming
    assert gate.missing(at(2)) == Span(at(1), at(1))
    assert gate.missing(at(9)) == Span(at(1), at(8))


def test_the_venues_own_hole_is_passed() -> None:
    gate = handoff()
    offer(gate, 1, 4)
    hole = gate.missing(at(5))
    assert hole == Span(at(2), at(3))
    gate.pass_over(hole)
    assert gate.missing(at(5)) is None
    assert gate.release(at(5)) == ([1], 4)
    assert offer(gate, 2, 3) == [False, False]


@dataclass
class Consumer:
    """What a strategy would have seen."""

    seen: list[int] = field(default_factory=list)
    live: list[int] = field(default_factory=list)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_interleaving_ends_contiguous_in_order_and_once(data: st.DataObject) -> None:
    """Duplicates, reordering, outages and partial answers, with a clock that runs on."""
    cursor = data.draw(st.integers(0, 5))
    holes = data.draw(st.sets(st.integers(cursor + 1, 25), max_size=4))
    exist = [minute for minute in range(cursor + 1, 30) if minute not in holes]
    gate, consumer = handoff(cursor), Consumer()

    def hand_on(now_ms: int) -> None:
        released = gate.release(now_ms)
        consumer.seen += released.history
        if released.newest is not None:
            consumer.seen.append(released.newest)
            consumer.live.append(released.newest)
            assert at(released.newest) >= MINUTE.last_closed(now_ms)

    for now in range(cursor + 2, 31):
        closed = [minute for minute in exist if minute < now]
        arrivals = data.draw(st.lists(st.sampled_from(closed), max_size=3)) if closed else []
        for minute in arrivals:
            gate.offer(at(minute), minute)
            if gate.missing(at(now)) is None:
                hand_on(at(now))
    while (span := gate.missing(at(30))) is not None:
        first, last = (span.first_ms - START) // M, (span.last_ms - START) // M
        there = [minute for minute in exist if first <= minute <= last]
        if there:
            offer(gate, *data.draw(st.lists(st.sampled_from(there), min_size=1)))
        if gate.missing(at(30)) == span and first not in exist:
            gone = next((m for m in exist if m > first), 30) - 1
            gate.pass_over(Span(at(first), at(min(gone, last))))
    hand_on(at(30))
    assert consumer.seen == exist


@given(
    st.sampled_from(INTERVAL_NAMES),
    st.integers(1_600_000_000_000, 2_000_000_000_000),
    st.integers(0, 2_000),
)
def test_the_next_look_is_when_a_bar_is_due_and_not_a_moment_earlier(
    name: str, now_ms: int, grace_ms: int
) -> None:
    interval = Interval.parse(name)
    due_ms = next_due_ms(interval, now_ms, grace_ms)
    assert due_ms > now_ms
    known = interval.last_closed(now_ms - grace_ms)
    gate: Handoff[int] = Handoff(interval, known)
    assert gate.missing(due_ms - 1 - grace_ms) is None
    assert gate.missing(due_ms - grace_ms) == Span(interval.next(known), interval.next(known))
