"""The stops of a lot follow its quantity in steps, and no step leaves a part without a stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_job.hedge_grid.ladder import round_down
from warmup_job.hedge_grid.stop_cover import (
    MOST_STOPS,
    StopChange,
    StopOrder,
    next_change,
)

LEAST = D(2)


def stop(order_id: str, leaves: int, *flags: str) -> StopOrder:
    """Return a confirmed stop at the present price; ``flags`` say otherwise."""
    return StopOrder(
        order_id, D(leaves), is_confirmed="in flight" not in flags, is_closing="closing" in flags,
        is_current="former price" not in flags,
    )  # fmt: skip


def step(
    quantity: int, *stops: StopOrder, may_overlap: bool = True, has_room: bool = True,
    merge: bool = False,
) -> object:  # fmt: skip
    return next_change(
        D(quantity), stops, step=D(1), least=LEAST, may_overlap=may_overlap, has_room=has_room,
        merge=merge,
    )  # fmt: skip


def test_stop_cover_new_lot_gets_one_stop() -> None:
    assert step(10) == StopChange(send=D(10))


def test_stop_cover_growing_lot_gets_a_stop_for_the_difference() -> None:
    assert step(10, stop("a", 6)) == StopChange(send=D(4))
    assert step(10, stop("a", 6, "in flight")) == StopChange(send=D(4))


def test_stop_cover_difference_below_the_minimum_is_part_of_a_stop_for_the_whole() -> None:
    assert step(7, stop("a", 6)) == StopChange(send=D(7), replaces=("a",))


def test_stop_cover_many_stops_are_replaced_by_one() -> None:
    several = [stop(letter, 3) for letter in "abc"]
    assert len(several) == MOST_STOPS
    assert step(12, *several) == StopChange(send=D(12), replaces=("a", "b", "c"))


def test_stop_cover_shrinking_lot_gets_the_new_stop_before_the_old_one_is_cancelled() -> None:
    assert step(4, stop("a", 6)) == StopChange(send=D(4), replaces=("a",))


def test_stop_cover_exchange_without_room_for_both_cancels_first() -> None:
    assert step(4, stop("a", 6), may_overlap=False) == StopChange(cancel=("a",))


def test_stop_cover_without_room_for_one_more_stop_the_former_one_goes_first() -> None:
    assert step(10, stop("a", 6), has_room=False) == StopChange(cancel=("a",))
    assert step(4, stop("a", 6), has_room=False) == StopChange(cancel=("a",))
    assert step(6, stop("a", 2), stop("b", 4), has_room=False, merge=True) == StopChange()
    assert step(10, has_room=False) == StopChange(send=D(10))


def test_stop_cover_surplus_stop_is_cancelled_if_the_others_are_enough() -> None:
    assert step(4, stop("a", 6), stop("b", 4)) == StopChange(cancel=("a",))


def test_stop_cover_one_change_of_size_at_a_time() -> None:
    assert step(4, stop("a", 6, "in flight")) == StopChange()


def test_stop_cover_stop_at_a_former_price_is_replaced() -> None:
    assert step(6, stop("a", 6, "former price")) == StopChange(send=D(6), replaces=("a",))
    assert step(6, stop("a", 6)) == StopChange()


@pytest.mark.parametrize(("merge", "sent"), [(False, 0), (True, 6)])
def test_stop_cover_several_stops_become_one_when_asked(merge: bool, sent: int) -> None:
    change = step(6, stop("a", 2), stop("b", 4), merge=merge)
    assert change == (StopChange(D(sent), replaces=("a", "b")) if sent else StopChange())


def test_stop_cover_what_closes_already_is_not_touched() -> None:
    assert step(6, stop("a", 6, "closing")) == StopChange()
    assert step(4, stop("a", 6, "closing")) == StopChange()
    assert step(6, stop("a", 2, "closing"), stop("b", 4)) == StopChange()
    assert step(9, stop("a", 2, "closing"), stop("b", 4)) == StopChange(send=D(3))


def coarse(quantity: str, *stops: StopOrder, merge: bool = False) -> object:
    return next_change(
        D(quantity), stops, step=D(2), least=LEAST, may_overlap=True, has_room=True, merge=merge
    )


def test_stop_cover_coarser_step_leaves_stops_that_cover_exactly_and_rounds_new_ones_down() -> None:
    assert coarse("7", stop("a", 7)) == StopChange()
    assert coarse("7", stop("a", 3), stop("b", 4), merge=True) == StopChange()
    assert coarse("7") == StopChange(send=D(6))
    assert coarse("7", stop("a", 6)) == StopChange(), "no order can cover the rest"
    assert coarse("7", stop("a", 7, "former price")) == StopChange(send=D(6), replaces=("a",))
    assert coarse("5", stop("a", 7)) == StopChange(send=D(4), replaces=("a",))
    assert coarse("1", stop("a", 7)) == StopChange(cancel=("a",))


@dataclass
class Exchange:
    """An exchange that confirms orders and cancels when told to, and a lot that follows."""

    quantity: D = D(0)
    step: D = D(1)
    open: dict[str, D] = field(default_factory=dict)
    sent: dict[str, D] = field(default_factory=dict)
    replaces: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cancelling: set[str] = field(default_factory=set)
    made: int = 0

    def stops(self) -> list[StopOrder]:
        gone = {old for ids in self.replaces.values() for old in ids} | self.cancelling
        return [
            StopOrder(each, leaves, each in self.open, is_closing=False, is_current=True)
            for each, leaves in {**self.open, **self.sent}.items()
            if each not in gone
        ]

    def act(self, *, merge: bool = False) -> None:
        change = next_change(
            self.quantity, self.stops(), step=self.step, least=LEAST, may_overlap=True,
            has_room=True, merge=merge,
        )  # fmt: skip
        assert change.send % self.step == 0, "the exchange refuses it"
        if change.send:
            self.made += 1
            self.sent[str(self.made)] = change.send
            if change.replaces:
                self.replaces[str(self.made)] = change.replaces
        self.cancelling |= set(change.cancel)

    def confirm(self, pick: int, *, is_rejected: bool = False) -> None:
        if not self.sent:
            return
        order_id = sorted(self.sent)[pick % len(self.sent)]
        leaves, replaced = self.sent.pop(order_id), self.replaces.pop(order_id, ())
        if not is_rejected:
            self.open[order_id] = leaves
            self.cancelling |= set(replaced)
        self.act()

    def cancel(self, pick: int) -> None:
        known = sorted(self.cancelling & self.open.keys())
        if known:
            order_id = known[pick % len(known)]
            del self.open[order_id]
            self.cancelling.discard(order_id)
            self.act()

    def on_its_way(self) -> D:
        """Return what is sent for a quantity that has no stop yet."""
        return sum((leaves for leaves in self.sent.values()), D(0))


EVENTS = st.tuples(
    st.sampled_from(
        ["grow", "grow", "shrink", "confirm", "confirm", "reject", "cancel", "check", "coarser"]
    ),
    st.integers(0, 5),
)


@given(st.lists(EVENTS, max_size=60))
def test_stop_cover_nothing_is_without_a_stop_that_is_not_on_its_way(
    events: list[tuple[str, int]],
) -> None:
    exchange = Exchange()
    for event, number in events:
        if event == "grow":
            exchange.quantity += LEAST + number
            exchange.act()
        elif event == "shrink" and exchange.quantity:
            exchange.quantity -= min(exchange.quantity - 1, D(number))
            exchange.act()
        elif event in {"confirm", "reject"}:
            exchange.confirm(number, is_rejected=event == "reject")
        elif event == "cancel":
            exchange.cancel(number)
        elif event == "coarser":
            exchange.step = LEAST
            exchange.act()
        else:
            exchange.act(merge=True)
        staying = [leaves for key, leaves in exchange.open.items()
                   if key not in exchange.cancelling]  # fmt: skip
        least = round_down(exchange.quantity, exchange.step)
        assert sum(staying, D(0)) + exchange.on_its_way() >= least
    for _ in range(40):  # then nothing more happens
        exchange.confirm(0)
        exchange.cancel(0)
        exchange.act(merge=True)
    assert not exchange.sent
    stops, quantity = exchange.open.values(), exchange.quantity
    if exchange.step == 1:
        assert list(stops) == ([quantity] if quantity else [])
    else:
        assert sum(stops, D(0)) in {quantity, round_down(quantity, exchange.step)}
