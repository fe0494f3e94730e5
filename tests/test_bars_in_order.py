"""The order in which bars of several streams are delivered."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from warmup_job.handoff.live_bars.bars_in_order import DueBar, grouped, in_order, plan_delivery

MINUTE_MS = 60_000


def due(minutes: int, closes_at: int, *, newest: bool = True) -> DueBar[str]:
    """Return a bar of this interval (minutes) that closes at this minute."""
    close_ms, open_ms = closes_at * MINUTE_MS - 1, (closes_at - minutes) * MINUTE_MS
    return DueBar(close_ms, open_ms, f"{minutes}m", f"{minutes}m@{closes_at}", newest)


def names(steps: list[tuple[DueBar[str], list[str]]]) -> list[tuple[str, list[str]]]:
    return [(step.bar, there) for step, there in steps if there]


def test_delivery_order_earlier_close_comes_first() -> None:
    plan = plan_delivery([due(5, 510), due(60, 480)], {"5m": ["one"], "60m": ["one"]})
    assert names(plan.before) == [("60m@480", ["one"])]
    assert names(plan.after) == [("5m@510", ["one"])]


def test_delivery_order_longer_interval_comes_first_at_the_same_close() -> None:
    assert [each.bar for each in in_order([due(1, 60), due(60, 60), due(5, 60)])] == [
        "60m@60", "5m@60", "1m@60",
    ]  # fmt: skip


def test_delivery_order_superseded_bars_come_before_any_strategy_may_act() -> None:
    bars = [due(1, 1, newest=False), due(1, 2, newest=False), due(1, 3)]
    plan = plan_delivery(bars, {"1m": ["one"]})
    assert names(plan.before) == [("1m@1", ["one"]), ("1m@2", ["one"])]
    assert names(plan.after) == [("1m@3", ["one"])]


def test_delivery_order_superseded_last_bar_is_not_acted_on() -> None:
    plan = plan_delivery([due(1, 1, newest=False)], {"1m": ["one"]})
    assert names(plan.before) == [("1m@1", ["one"])]
    assert plan.after == []


def test_delivery_order_last_bar_is_per_strategy() -> None:
    plan = plan_delivery([due(5, 60), due(60, 60)], {"5m": ["both"], "60m": ["both", "slow"]})
    assert names(plan.before) == [("60m@60", ["both"])]
    assert names(plan.after) == [("60m@60", ["slow"]), ("5m@60", ["both"])]


def test_delivery_order_bar_without_receiver_goes_to_the_cache() -> None:
    no_receivers: dict[Hashable, list[str]] = {}
    plan = plan_delivery([due(1, 1)], no_receivers)
    assert [step.bar for step, _ in plan.before] == ["1m@1"]
    assert plan.after == []


@given(
    st.lists(st.tuples(st.sampled_from([1, 5, 60]), st.integers(1, 200)), max_size=12, unique=True),
    st.dictionaries(st.sampled_from(["1m", "5m", "60m"]), st.sets(st.sampled_from("abc"))),
)
def test_delivery_order_each_receiver_gets_each_bar_once_in_order(
    bars: list[tuple[int, int]], subscribers: dict[Hashable, set[str]]
) -> None:
    plan = plan_delivery([due(*each) for each in bars], subscribers)
    for one in "abc":
        before = [step for step, there in plan.before if one in there]
        after = [step for step, there in plan.after if one in there]
        wanted = sorted(f"{m}m@{at}" for m, at in bars if one in subscribers.get(f"{m}m", ()))
        assert sorted(step.bar for step in before + after) == wanted
        assert all(a.close_ms <= b.close_ms for a, b in pairwise(before + after))
        assert len(after) == min(1, len(wanted))


def test_delivery_order_streams_with_a_shared_follower_wait_for_each_other() -> None:
    groups = grouped({"a": {1}, "b": {2}, "c": {1, 3}, "d": {3}, "e": set()})
    assert sorted(map(sorted, groups)) == [["a", "c", "d"], ["b"], ["e"]]
