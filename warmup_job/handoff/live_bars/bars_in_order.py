"""The order in which bars of several streams reach their subscribers. Pure: values in, values out.

Bars are ordered by close time. Of bars that close together the longer interval comes first, so that
a strategy that acts on 5m bars has seen the 1h bar of the same moment.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import NamedTuple


class DueBar[BarT](NamedTuple):
    """One bar that is ready to be delivered. Times are UTC ms."""

    close_ms: int
    open_ms: int
    stream: Hashable
    bar: BarT
    newest: bool
    """Whether no later bar of its stream has closed."""


class DeliveryPlan[BarT, SubscriberT](NamedTuple):
    """Which subscribers get which bar before orders may leave, and which get one afterwards."""

    before: list[tuple[DueBar[BarT], list[SubscriberT]]]
    after: list[tuple[DueBar[BarT], list[SubscriberT]]]


def in_order[BarT](due: Iterable[DueBar[BarT]]) -> list[DueBar[BarT]]:
    """Sort bars by close time; of bars that close together the longer interval comes first."""
    return sorted(due, key=lambda each: (each.close_ms, each.open_ms))


def plan_delivery[BarT, SubscriberT: Hashable](
    due: Iterable[DueBar[BarT]], subscribers: Mapping[Hashable, Collection[SubscriberT]]
) -> DeliveryPlan[BarT, SubscriberT]:
    """Split a delivery so that no subscriber may act before it has had all but its last bar.

    Args:
        due: bars of any streams, in any order.
        subscribers: the subscribers of each stream.

    Returns:
        Every (bar, subscriber) pair once, in order of close time. ``after`` has the last bar of
        each subscriber, if it is the newest one of its stream, and nothing else.
    """
    ordered = in_order(due)
    last: dict[SubscriberT, int] = {}
    for at, each in enumerate(ordered):
        for subscriber in subscribers.get(each.stream, ()):
            last[subscriber] = at
    plan: DeliveryPlan[BarT, SubscriberT] = DeliveryPlan([], [])
    for at, each in enumerate(ordered):
        there = subscribers.get(each.stream, ())
        final = [one for one in there if each.newest and last[one] == at]
        plan.before.append((each, [one for one in there if one not in final]))
        plan.after.append((each, final))
    return DeliveryPlan(plan.before, [step for step in plan.after if step[1]])


def grouped[StreamT: Hashable, SubscriberT: Hashable](
    subscribers: Mapping[StreamT, Collection[SubscriberT]],
) -> list[list[StreamT]]:
    """Group the streams that wait for each other: those that share a subscriber, also indirectly.

    Args:
        subscribers: the subscribers of each stream.
    """
    groups: list[tuple[list[StreamT], set[SubscriberT]]] = []
    for stream, there in subscribers.items():
        streams, sharing = [stream], set(there)
        apart = []
        for group in groups:
            if group[1] & sharing:
                streams = group[0] + streams
                sharing |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (streams, sharing)]
    return [streams for streams, _ in groups]
