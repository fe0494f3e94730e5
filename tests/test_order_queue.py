"""The queue of orders: never above the rates, stops first, and nothing waits without a reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warmup_job.handoff.outgoing_orders.order_queue import OrderQueue, OrderRates, Urgency

Put = tuple[int, Urgency]


def left(rates: OrderRates, puts: list[Put]) -> list[tuple[int, Urgency, int]]:
    """Put orders at their times (ms), and return when each left, by its number."""
    queue: OrderQueue[tuple[Urgency, int]] = OrderQueue(rates)
    found: list[tuple[int, Urgency, int]] = []
    waiting = sorted(enumerate(puts), key=lambda each: each[1][0])
    now_ms = 0
    while waiting or len(queue):
        while waiting and waiting[0][1][0] <= now_ms:
            number, (_, urgency) = waiting.pop(0)
            queue.put((urgency, number), urgency)
        found += [(now_ms, *each) for each in queue.take(now_ms)]
        times = [each for each in (queue.next_ms(now_ms),) if each is not None]
        assert all(each > now_ms for each in times), "what may leave has left"
        times += [waiting[0][1][0]] if waiting else []
        now_ms = min(times, default=now_ms)
    return found


def most_in(times: list[int], window_ms: int) -> int:
    return max(sum(0 <= at - first < window_ms for at in times) for first in times)


@given(
    st.builds(OrderRates, st.integers(1, 20), st.integers(1, 60)),
    st.lists(st.tuples(st.integers(0, 90_000), st.sampled_from(Urgency)), min_size=1, max_size=150),
)
def test_order_queue_keeps_both_rates_and_loses_nothing(rates: OrderRates, puts: list[Put]) -> None:
    found = left(rates, puts)
    assert sorted(number for _, _, number in found) == list(range(len(puts)))
    assert all(at_ms >= puts[number][0] for at_ms, _, number in found)
    stops = [(at_ms, number) for at_ms, urgency, number in found if urgency == Urgency.STOP]
    assert all(at_ms == puts[number][0] for at_ms, number in stops), "a stop never waits"
    others = [at_ms for at_ms, urgency, _ in found if urgency != Urgency.STOP]
    if others:
        assert most_in(others, 1_000) <= rates.per_second
    entries = [at_ms for at_ms, urgency, _ in found if urgency == Urgency.ENTRY]
    if entries:
        assert most_in(entries, 60_000) <= rates.per_minute


def test_order_queue_of_150_entries_lets_a_stop_leave_within_a_second() -> None:
    puts = [(0, Urgency.ENTRY)] * 150 + [(9_000, Urgency.STOP), (9_000, Urgency.EXIT)]
    found = left(OrderRates(10, 1_000), puts)
    at = {number: at_ms for at_ms, _, number in found}
    assert at[150] == at[151] == 9_000, "entries leave a fifth of the rate"
    assert max(at.values()) > 15_000


def test_order_queue_sends_stops_first_and_in_order() -> None:
    kinds = [Urgency.ENTRY, Urgency.EXIT, Urgency.STOP, Urgency.ENTRY, Urgency.STOP]
    queue: OrderQueue[int] = OrderQueue(OrderRates(5, 100))
    for number, urgency in enumerate(kinds):
        queue.put(number, urgency)
    assert queue.take(0) == [2, 4, 1, 0]
    queue.put(5, Urgency.STOP)
    assert queue.take(999) == [5], "a stop does not wait for the second's rate"
    assert queue.next_ms(999) == 1_000
    assert queue.take(1_000) == [3]


def test_order_queue_lets_30_stops_leave_at_once_and_300_within_ten_seconds() -> None:
    """A fast market fills a whole ladder; each of its lots needs its stop loss now."""
    assert {at_ms for at_ms, _, _ in left(OrderRates(), [(0, Urgency.STOP)] * 30)} == {0}
    found = left(OrderRates(), [(0, Urgency.STOP)] * 301)
    assert [at_ms for at_ms, _, _ in found] == [0] * 300 + [10_000]


def test_order_queue_full_minute_holds_targets_and_no_stop() -> None:
    queue: OrderQueue[str] = OrderQueue(OrderRates(100, 10))
    for _ in range(10):
        queue.put("exit", Urgency.EXIT)
    assert len(queue.take(0)) == 10
    queue.put("target", Urgency.EXIT)
    queue.put("stop", Urgency.STOP)
    assert queue.take(5_000) == ["stop"]
    assert queue.take(59_999) == []
    assert queue.take(60_000) == ["target"]


def test_order_queue_list_that_is_larger_than_the_rate_leaves_alone() -> None:
    queue: OrderQueue[str] = OrderQueue(OrderRates(2, 100))
    queue.put("one", Urgency.ENTRY)
    queue.put("three", Urgency.ENTRY, orders=3)
    assert queue.take(0) == ["one"]
    assert queue.take(1_000) == ["three"]


def test_order_queue_forgets_what_is_removed() -> None:
    queue: OrderQueue[str] = OrderQueue(OrderRates(1, 100))
    for each in ("a", "b", "c"):
        queue.put(each, Urgency.ENTRY)
    assert queue.take(0) == ["a"]
    assert queue.remove(lambda each: each == "b") == ["b"]
    assert queue.take(1_000) == ["c"]
