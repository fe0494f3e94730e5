"""Where what was filled is closed, and what of it already is: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

from warmup_job.hedge_grid.ladder import BOOKS, BPS, Book, step_ratio, to_multiple

Leg = Literal["T", "S"]
"""Take profit, stop loss."""


@dataclass(slots=True)
class Lot:
    """What one rung has bought or sold and has not closed yet."""

    key: str
    book: Book
    entry: Decimal
    """The average price of its fills."""
    quantity: Decimal
    """What is still held, base currency."""
    legs: dict[Leg, str] = field(default_factory=dict)
    """The client order ids of its exits."""
    passed: set[Leg] = field(default_factory=set)
    """The legs whose price the market has run past."""
    tries: int = 0
    """Times in a row that its target was turned down."""

    def grow(self, price: Decimal, quantity: Decimal) -> None:
        """Another part of the rung was filled."""
        both = self.quantity + quantity
        self.entry = (self.entry * self.quantity + price * quantity) / both
        self.quantity = both


def target_price(
    book: Book, entry: Decimal, *, step_bps: Decimal, tp_steps: int, tick: Decimal
) -> Decimal:
    """``tp_steps`` grid steps in the lot's favour, rounded outwards to the tick."""
    up = book == "LONG"
    wanted = entry * step_ratio(step_bps, up=up) ** tp_steps
    return max(tick, to_multiple(wanted, tick, ROUND_CEILING if up else ROUND_FLOOR))


def stop_price(
    book: Book, entry: Decimal, *, step_bps: Decimal, sl_steps: int, tick: Decimal
) -> Decimal:
    """``sl_steps`` grid steps against the lot, rounded outwards to the tick."""
    up = book == "SHORT"
    wanted = entry * step_ratio(step_bps, up=up) ** sl_steps
    return max(tick, to_multiple(wanted, tick, ROUND_CEILING if up else ROUND_FLOOR))


def maker_target(
    book: Book, target: Decimal, mid: Decimal, buffer_bps: Decimal, tick: Decimal
) -> Decimal:
    """A target that the market has run past, on the maker's side of it."""
    if book == "LONG":
        return max(target, to_multiple(mid * (1 + buffer_bps / BPS), tick, ROUND_CEILING) + tick)
    nearest = to_multiple(mid * (1 - buffer_bps / BPS), tick, ROUND_FLOOR) - tick
    return max(tick, min(target, nearest))


def is_stop_reached(book: Book, stop: Decimal, mid: Decimal, buffer_bps: Decimal) -> bool:
    """Whether the market is at a stop, or so near that the exchange might refuse it."""
    if book == "LONG":
        return mid * (1 - buffer_bps / BPS) <= stop
    return mid * (1 + buffer_bps / BPS) >= stop


class OpenExit(NamedTuple):
    """An exit that is found at the exchange after a restart."""

    order_id: str
    key: str
    leg: Leg
    book: Book
    price: Decimal
    leaves: Decimal


class BookPosition(NamedTuple):
    """A position: quantity in base currency, average price."""

    quantity: Decimal
    price: Decimal


def entry_price_of(
    exits: Mapping[Leg, OpenExit],
    *,
    step_bps: Decimal,
    tp_steps: int,
    sl_steps: int,
    tick: Decimal,
) -> Decimal:
    """The tick that a lot's exits were made for.

    Below the entry two ticks can have the same exit, as a step is less there; then it is the one
    that fits both exits. A stop comes first, as a target moves when the market has run past it.
    """
    stop, target = exits.get("S"), exits.get("T")
    one = stop or exits["T"]
    above = (one.book == "LONG") == (one.leg == "T")
    exact = one.price / step_ratio(step_bps, up=above) ** (sl_steps if stop else tp_steps)
    tick_here = to_multiple(exact, tick, ROUND_FLOOR if above else ROUND_CEILING)
    if stop is None or target is None or above:
        return tick_here

    def fits(entry: Decimal) -> bool:
        steps = {"step_bps": step_bps, "tick": tick}
        return (
            stop_price(one.book, entry, sl_steps=sl_steps, **steps) == stop.price
            and target_price(one.book, entry, tp_steps=tp_steps, **steps) == target.price
        )

    return next(filter(fits, (tick_here, tick_here + tick)), tick_here)


def recover_lots(
    held: Mapping[Book, BookPosition],
    exits: Iterable[OpenExit],
    *,
    step_bps: Decimal,
    tp_steps: int,
    sl_steps: int,
    tick: Decimal,
) -> tuple[list[Lot], list[str]]:
    """The lots that positions and open exits tell of, and the exits that are too many.

    The lots of a book together are its position, never more; what no exit stands for is one more
    lot, at the position's average price.
    """
    pairs: dict[tuple[Book, str], dict[Leg, OpenExit]] = {}
    too_many = []
    for each in exits:
        pair = pairs.setdefault((each.book, each.key), {})
        if each.leg in pair:
            too_many.append(each.order_id)
        else:
            pair[each.leg] = each
    lots = []
    for book in BOOKS:
        position = held.get(book, BookPosition(Decimal(0), Decimal(0)))
        left = position.quantity
        # Whole pairs first: an exit alone may be what the other one has left behind.
        mine = [(-len(pair), key, pair) for (of, key), pair in pairs.items() if of == book]
        for _, key, pair in sorted(mine, key=lambda each: each[:2]):
            first = pair.get("T") or pair["S"]
            if left <= 0:
                too_many += [each.order_id for each in pair.values()]
                continue
            entry = entry_price_of(
                pair, step_bps=step_bps, tp_steps=tp_steps, sl_steps=sl_steps, tick=tick
            )
            quantity = min(first.leaves, left)
            legs = {leg: each.order_id for leg, each in pair.items()}
            lots.append(Lot(key, book, entry, quantity, legs))
            left -= quantity
        if left > 0:
            lots.append(Lot(f"kept-{book}", book, position.price, left))
    return lots, too_many
