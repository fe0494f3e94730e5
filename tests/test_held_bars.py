"""History and live bars together are the exchange's closed bars, each once, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.suite import SCALE
from warmup_job.handoff.live_bars.held_bars import HeldBars, Span, next_due_ms
from warmup_job.market.interval import INTERVAL_NAMES, Interval

MINUTE = Interval.parse("1m")
M = 60_000
START = 1_700_000_040_000


def at(minute: int) -> int:
    return START + minute * M


def handoff(cursor: int = 0) -> HeldBars[int]:
    return HeldBars(MINUTE, at(cursor))


def offer(gate: HeldBars[int], *minutes: int) -> list[bool]:
    return [gate.offer(at(minute), minute) for minute in minutes]


def test_held_bars_passes_the_next_bar_on_at_once() -> None:
    gate = handoff()
    assert offer(gate, 1) == [True]
    assert gate.take_complete(at(2) + 5) == ([], 1)
    assert gate.at_ms == at(1)


def test_held_bars_drops_duplicate_and_older_bars() -> None:
    gate = handoff(5)
    assert offer(gate, 5, 4, 6, 6) == [False, False, True, False]
    gate.take_complete(at(7))
    assert offer(gate, 6) == [False]


def test_held_bars_holds_a_later_bar_until_the_missing_one_arrives() -> None:
    gate = handoff()
    offer(gate, 3)
    assert gate.take_complete(at(4)) == ([], None)
    assert gate.missing(at(4)) == Span(at(1), at(2))
    offer(gate, 2, 1)
    assert gate.missing(at(4)) is None
    assert gate.take_complete(at(4)) == ([1, 2], 3)


def test_held_bars_marks_superseded_bars_as_history() -> None:
    gate = handoff()
    offer(gate, 1, 2)
    assert gate.take_complete(at(4)) == ([1, 2], None)  # bar 3 closed meanwhile
    offer(gate, 3)
    assert gate.take_complete(at(4)) == ([], 3)


def test_held_bars_accepts_a_kline_that_arrives_before_the_clock_says_it_closed() -> None:
    gate = handoff()
    offer(gate, 1)
    assert gate.take_complete(at(2) - 40) == ([], 1)


def test_held_bars_reports_closed_bars_that_did_not_arrive_as_missing() -> None:
    gate = handoff()
    assert gate.missing(at(1) + M - 1) is None  # still forming
    assert gate.missing(at(2)) == Span(at(1), at(1))
    assert gate.missing(at(9)) == Span(at(1), at(8))


def test_held_bars_skips_a_hole_of_the_venue() -> None:
    gate = handoff()
    offer(gate, 1, 4)
    hole = gate.missing(at(5))
    assert hole == Span(at(2), at(3))
    gate.pass_over(hole)
    assert gate.missing(at(5)) is None
    assert gate.take_complete(at(5)) == ([1], 4)
    assert offer(gate, 2, 3) == [False, False]


@dataclass
class Consumer:
    """Bars that a strategy would have received."""

    seen: list[int] = field(default_factory=list)
    live: list[int] = field(default_factory=list)


@settings(max_examples=300 * SCALE, deadline=None)
@given(st.data())
def test_held_bars_come_once_and_in_order_for_any_interleaving(
    data: st.DataObject,
) -> None:
    """Test duplicates, reordering, outages and partial responses while the clock runs."""
    cursor = data.draw(st.integers(0, 5))
    holes = data.draw(st.sets(st.integers(cursor + 1, 25), max_size=4))
    exist = [minute for minute in range(cursor + 1, 30) if minute not in holes]
    gate, consumer = handoff(cursor), Consumer()

    def hand_on(now_ms: int) -> None:
        released = gate.take_complete(now_ms)
        consumer.seen += released.superseded
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
def test_held_bars_next_check_is_exactly_when_a_bar_is_due(
    name: str, now_ms: int, grace_ms: int
) -> None:
    interval = Interval.parse(name)
    due_ms = next_due_ms(interval, now_ms, grace_ms)
    assert due_ms > now_ms
    known = interval.last_closed(now_ms - grace_ms)
    gate: HeldBars[int] = HeldBars(interval, known)
    assert gate.missing(due_ms - 1 - grace_ms) is None
    assert gate.missing(due_ms - grace_ms) == Span(interval.next(known), interval.next(known))


@dataclass
class Venue:
    """A venue whose REST shows a kline ``late`` ms after its close."""

    holes: set[int]
    late_ms: int

    def exist(self, now_ms: int) -> list[int]:
        """Return the minutes whose klines have closed."""
        last = (MINUTE.last_closed(now_ms) - START) // M
        return [minute for minute in range(1, last + 1) if minute not in self.holes]

    def rest(self, span: Span, last_ms: int, now_ms: int) -> list[int]:
        """Return the bars from the span's start to the newest one at the time of the request."""
        shown = self.exist(now_ms - self.late_ms)
        return [minute for minute in shown if span.first_ms <= at(minute) <= last_ms]


@dataclass
class Stream:
    """The handoff with the events of a feed, and the bars that a strategy receives."""

    venue: Venue
    gate: HeldBars[int]
    known: int
    """The snapshot's last minute."""
    now_ms: int
    grace_ms: int = 0
    contiguous: bool = False
    asked: Span | None = None
    asked_ms: int = 0
    seen: list[int] = field(default_factory=list)
    passed: list[Span] = field(default_factory=list)

    def arrived(self, minute: int) -> None:
        """Deliver these bars by the websocket: once, twice, or out of order."""
        if not self.gate.offer(at(minute), minute):
            return
        if self.contiguous and self.gate.missing(self.now_ms - self.grace_ms) is None:
            self.hand_on()

    def hand_on(self) -> None:
        """Hand on the complete bars: all that have closed, except within the grace period."""
        assert self.gate.missing(self.now_ms - self.grace_ms) is None
        released = self.gate.take_complete(self.now_ms)
        self.contiguous, self.grace_ms = True, 2_000
        self.seen += released.superseded
        if released.newest is not None:
            self.seen.append(released.newest)
            assert at(released.newest) >= MINUTE.last_closed(self.now_ms)
        due = [m for m in self.venue.exist(self.now_ms - self.grace_ms) if m > self.known]
        assert set(due) <= set(self.seen)

    def rows(self) -> list[int]:
        """Return a complete response to the request."""
        if self.asked is None:
            return []
        return self.venue.rest(self.asked, MINUTE.last_closed(self.asked_ms), self.now_ms)

    def turn(self, rows: list[int] | None) -> None:
        """Process the response to the last request (None: there is none), then send the next."""
        if self.asked is not None and rows is not None:
            answer = [(at(minute), minute) for minute in rows]
            verdict, left = self.gate.take_answer(self.asked, answer, self.now_ms - self.grace_ms)
            if verdict == "hole":
                self.passed.append(left)
                self.gate.pass_over(left)
        self.asked, self.asked_ms = self.gate.missing(self.now_ms - self.grace_ms), self.now_ms
        if self.asked is None:
            self.hand_on()
        else:
            self.contiguous = False


@settings(max_examples=400 * SCALE, deadline=None)
@given(st.data())
def test_held_bars_any_events_end_with_the_bars_of_the_venue(data: st.DataObject) -> None:
    """A snapshot of any age; answers that are slow, late, partial, or fail; a stream that brings
    bars, loses, repeats and reorders them, is cut and comes back; and holes that the venue itself
    has, which alone are ever passed over.

    Of rows that an answer lacks in its midst, the next one has some: twice the same lack is what
    tells a hole, by design.
    """
    holes = data.draw(st.sets(st.integers(2, 24), max_size=8), "holes")
    venue = Venue(holes, data.draw(st.sampled_from([0, 900, 70_000]), "late"))
    end = data.draw(st.sampled_from([m for m in range(1, 20) if m not in holes]), "snapshot")
    age_ms = data.draw(st.integers(0, 8 * M), "age")
    stream = Stream(venue, handoff(end), end, at(end + 1) + age_ms)
    lacked: set[int] = set()
    connected = True
    steps = st.tuples(
        st.sampled_from([1, 500, 2_000, 20_000, M, 3 * M]),
        st.sampled_from(["answer", "wait", "partial", "fail", "cut", "turn"]),
        st.booleans(),
        st.booleans(),
        st.sets(st.integers(2, 26), max_size=3),
    )
    for passes_ms, event, loses, reorders, gaps in data.draw(st.lists(steps, max_size=30), "steps"):
        before = venue.exist(stream.now_ms)
        stream.now_ms += passes_ms
        fresh = [minute for minute in venue.exist(stream.now_ms) if minute not in before]
        if event == "cut":
            connected = not connected
        if connected:
            again = data.draw(st.lists(st.sampled_from(before[-6:]), max_size=3)) if before else []
            for minute in [*fresh[loses:], *again][:: -1 if reorders else 1]:
                stream.arrived(minute)
        if event == "answer":
            stream.turn(stream.rows())
        elif event == "partial" and stream.asked is not None:
            gone = {each for each in gaps if each not in lacked}
            lacked |= gone
            stream.turn([minute for minute in stream.rows() if minute not in gone])
        elif event == "fail" or (event == "turn" and stream.asked is None):
            stream.turn(None)

    # The faults end: REST answers, and a kline after any hole has closed.
    venue.late_ms, stream.now_ms = 0, max(stream.now_ms, at(27))
    for _ in range(2 * len(holes) + 4):
        if stream.asked is not None or not stream.contiguous:
            stream.turn(stream.rows())
    assert stream.asked is None
    assert stream.seen == [m for m in venue.exist(stream.now_ms) if m > end][: len(stream.seen)]
    for span in stream.passed:
        passed = range((span.first_ms - START) // M, (span.last_ms - START) // M + 1)
        assert set(passed) <= holes


def test_held_bars_moving_window_forgets_only_older_bars() -> None:
    gate = handoff()
    offer(gate, 1, 2, 7)
    gate.pass_over(Span(at(3), at(3)))
    gate.move_to(at(2))
    assert gate.at_ms == at(2)
    assert gate.missing(at(9)) == Span(at(4), at(6))
    gate.move_to(at(1))  # never back
    assert gate.at_ms == at(2)
    gate.move_to(at(4))
    assert gate.missing(at(9)) == Span(at(5), at(6))


def test_held_bars_confirms_a_hole_although_the_window_moves_between_two_answers() -> None:
    gate = handoff()
    asked = Span(at(2), at(4))
    answer = [(at(1), 1), (at(5), 5)]
    assert gate.take_answer(Span(at(1), at(5)), answer, at(6)) == ("filled", Span(at(1), at(5)))
    assert gate.take_answer(asked, [(at(5), 5)], at(6)) == ("again", asked)
    gate.move_to(at(1))
    assert gate.take_answer(asked, [(at(5), 5)], at(6)) == ("hole", asked)


def test_held_bars_tells_whether_all_bars_up_to_a_time_are_here() -> None:
    gate = handoff()
    offer(gate, 1, 3)
    assert gate.covers(at(2) - 1)  # the close of bar 1
    assert not gate.covers(at(3) - 1)  # bar 2 is missing
    gate.pass_over(Span(at(2), at(2)))
    assert gate.covers(at(4) - 1)
    assert not gate.covers(at(5) - 1)


def test_held_bars_drops_bars_of_the_future() -> None:
    gate = handoff()
    offer(gate, 1, 50)
    assert gate.drop_later(at(10)) == [at(50)]
    assert gate.newest_held_ms() == at(2) - 1
    assert gate.missing(at(2)) is None


def test_held_bars_window_before_the_listing_may_move() -> None:
    gate = handoff()
    assert gate.take_answer(Span(at(1), at(8)), [(at(9), 9)], at(10)) == (
        "again",
        Span(at(1), at(8)),
    )
    gate.move_to(at(2))
    asked = Span(at(3), at(8))
    assert gate.take_answer(asked, [(at(9), 9)], at(10)) == ("hole", asked)


def test_held_bars_cold_window_may_begin_earlier() -> None:
    gate = handoff(5)
    offer(gate, 6)
    gate.begin_earlier(3)
    assert gate.missing(at(7)) == Span(at(3), at(5))
