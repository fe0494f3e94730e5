"""How a lot's stop losses are brought to its quantity without a moment that has none. Pure.

Binance's conditional orders cannot be amended, so a new order always comes before a cancel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import combinations
from typing import NamedTuple

from warmup_job.hedge_grid.ladder import round_down

MOST_STOPS = 3
"""So many stops may protect one lot; then one new stop replaces them."""


class StopOrder(NamedTuple):
    """An order that closes a lot at its stop price, or at once."""

    order_id: str
    leaves: Decimal
    """The unfilled quantity, base currency."""
    is_confirmed: bool
    """Whether the exchange has confirmed it; otherwise it is on its way."""
    is_closing: bool
    """Whether it closes now: a market order, or a stop that was triggered."""
    is_current: bool
    """Whether it has the lot's present stop price."""


class StopChange(NamedTuple):
    """What to do next. It is a step: after each event the next one is computed."""

    send: Decimal = Decimal(0)
    """The quantity of one new stop; 0: none."""
    replaces: tuple[str, ...] = ()
    """The ids of the stops to cancel as soon as the new one is confirmed."""
    cancel: tuple[str, ...] = ()
    """The ids of the stops to cancel now."""


def covered(stops: Sequence[StopOrder]) -> Decimal:
    """Return the quantity that the stops close, base currency."""
    return sum((each.leaves for each in stops), Decimal(0))


def next_change(
    quantity: Decimal,
    stops: Sequence[StopOrder],
    *,
    step: Decimal,
    least: Decimal,
    may_overlap: bool,
    has_room: bool,
    merge: bool,
) -> StopChange:
    """Return the next step towards stops for exactly ``quantity``.

    If Binance has made the step size larger, ``quantity`` may be no multiple of it. Then new stops
    are for the multiple below, and open stops that cover ``quantity`` exactly stay.

    - Too little is covered: send a stop for the difference. If that is below ``least``, or there
      are `MOST_STOPS` already, send one for the whole and cancel the others afterwards.
    - Too much is covered: cancel stops if the others cover exactly ``quantity``; otherwise send
      one for the whole and cancel the others afterwards.
    - Stops at a former price are replaced, and with ``merge`` also several by one.
    - Without room for one more stop, the former ones are cancelled before the new one is sent.

    Args:
        quantity: What the lot holds, base currency.
        stops: The lot's stops that are neither replaced nor being cancelled.
        step: The instrument's quantity increment.
        least: The smallest quantity of an order.
        may_overlap: Whether the exchange accepts the new stop beside those it replaces; otherwise
            they are cancelled first.
        has_room: Whether the exchange accepts one more stop.
        merge: Whether to replace several stops by one.
    """
    closing = covered([each for each in stops if each.is_closing])
    resting = [each for each in stops if not each.is_closing]
    wanted, resting_quantity = quantity - closing, covered(resting)
    whole = round_down(wanted, step)
    may_overlap = may_overlap and has_room
    if resting_quantity < whole:
        missing = round_down(wanted - resting_quantity, step)
        is_enough = missing >= least and resting_quantity + missing >= whole
        if not resting or (has_room and is_enough and len(resting) < MOST_STOPS):
            return StopChange(send=missing)
        return _replace(whole, resting, may_overlap=may_overlap)
    if wanted <= 0 or not all(each.is_confirmed for each in resting):
        return StopChange()  # what closes now cannot be changed, and the rest is on its way
    if resting_quantity > wanted:
        kept = _exactly(wanted, resting) or _exactly(whole, resting)
        if kept:
            return StopChange(cancel=_ids(each for each in resting if each not in kept))
        return _replace(whole, resting, may_overlap=may_overlap)
    merge = merge and has_room and len(resting) > 1 and resting_quantity == whole
    if merge or not all(each.is_current for each in resting):
        return _replace(whole, resting, may_overlap=may_overlap)
    return StopChange()


def _replace(quantity: Decimal, stops: Sequence[StopOrder], *, may_overlap: bool) -> StopChange:
    ids = _ids(stops)
    if may_overlap and quantity > 0:
        return StopChange(quantity, replaces=ids)
    return StopChange(cancel=ids)


def _exactly(quantity: Decimal, stops: Sequence[StopOrder]) -> tuple[StopOrder, ...]:
    """Return the fewest current stops that cover exactly ``quantity``; empty: there are none."""
    current = [each for each in stops if each.is_current]
    for count in range(1, len(current) + 1):
        for some in combinations(current, count):
            if covered(some) == quantity:
                return some
    return ()


def _ids(stops: Iterable[StopOrder]) -> tuple[str, ...]:
    return tuple(each.order_id for each in stops)
