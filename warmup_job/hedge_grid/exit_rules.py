"""Prices of take profits and stop losses, and lots recovered from open exits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

import msgspec

from warmup_job.hedge_grid.grid_order_ids import Leg
from warmup_job.hedge_grid.grid_state import SavedLot
from warmup_job.hedge_grid.ladder import (
    BOOKS,
    BPS,
    Book,
    ExitSteps,
    step_ratio,
    to_multiple,
)


class Lot(msgspec.Struct):
    """The filled quantity of one rung that is still held."""

    key: str
    book: Book
    entry: Decimal
    """Average price of its fills."""
    quantity: Decimal
    """Base currency."""
    steps: ExitSteps
    """Where its exits are: as the strategy file was when it was opened."""
    exits: int = 0
    """The highest number in the order ids of its exits."""
    target: str | None = None
    """The order id of its take profit."""
    target_rejections: int = 0
    """How many times in a row its take profit was rejected."""
    is_target_passed: bool = False
    """Whether the market has passed the take profit's price."""
    stops: list[str] = msgspec.field(default_factory=list)
    """The order ids of its stop losses, and of the market orders that close it."""
    stop_failures: int = 0
    """How many times in a row a stop loss or a closing order was not accepted."""
    stop_refusal: str = ""
    """Why the newest of them was not accepted; empty: the newest stop loss was."""
    may_overlap: bool = True
    """Whether a stop loss may be sent before those that it replaces are cancelled.

    False from the refusal of such a stop until the next one is accepted."""
    is_closing: bool = False
    """Whether what has no stop loss is closed at market."""
    close_from_ms: int = 0
    """From when on it is closed although its take profit is still open, Unix ms."""

    def take_over_retries(self, former: Lot) -> None:
        """Continue the retries of the lot that had this key before."""
        self.target_rejections = former.target_rejections
        self.is_target_passed = former.is_target_passed
        self.stop_failures = former.stop_failures
        self.stop_refusal = former.stop_refusal
        self.may_overlap = former.may_overlap
        self.is_closing = self.is_closing or former.is_closing
        self.close_from_ms = former.close_from_ms

    def grow(self, price: Decimal, quantity: Decimal) -> None:
        """Add a fill."""
        total = self.quantity + quantity
        self.entry = (self.entry * self.quantity + price * quantity) / total
        self.quantity = total


class OpenExit(NamedTuple):
    """An open exit order, or one on its way."""

    order_id: str
    key: str
    leg: Leg
    book: Book
    price: Decimal | None
    """None: a market order, which closes its lot now."""
    leaves: Decimal
    """The unfilled quantity, base currency."""


class BookPosition(NamedTuple):
    """A book's position."""

    quantity: Decimal
    """Base currency."""
    price: Decimal
    """Average entry price."""


class _Exits(msgspec.Struct):
    """The open exits of one lot."""

    target: OpenExit | None = None
    stops: list[OpenExit] = msgspec.field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return self.target is not None and bool(self.stops)

    @property
    def prices(self) -> dict[Leg, Decimal]:
        """The prices of the take profit and of the first stop."""
        exits = [*reversed(self.stops)] + ([] if self.target is None else [self.target])
        return {each.leg: each.price for each in exits if each.price is not None}

    @property
    def is_closing(self) -> bool:
        """Whether a market order closes the lot."""
        return any(each.price is None for each in self.stops)

    @property
    def order_ids(self) -> list[str]:
        return [each.order_id for each in self.stops] + (
            [] if self.target is None else [self.target.order_id]
        )

    @property
    def leaves(self) -> Decimal:
        """The quantity that they close; several stops together protect one lot."""
        if self.target is not None:
            return self.target.leaves
        return sum((each.leaves for each in self.stops), Decimal(0))


def target_price(book: Book, entry: Decimal, steps: ExitSteps, tick: Decimal) -> Decimal:
    """Return the take profit: ``tp_steps`` grid steps in the lot's favour, rounded outward."""
    return _steps_away(entry, steps.step_bps, steps.tp_steps, tick, up=book == "LONG")


def stop_price(book: Book, entry: Decimal, steps: ExitSteps, tick: Decimal) -> Decimal:
    """Return the stop loss: ``sl_steps`` grid steps against the lot, rounded outward."""
    return _steps_away(entry, steps.step_bps, steps.sl_steps, tick, up=book == "SHORT")


def _steps_away(
    price: Decimal, step_bps: Decimal, steps: int, tick: Decimal, *, up: bool
) -> Decimal:
    wanted = price * step_ratio(step_bps, up=up) ** steps
    return max(tick, to_multiple(wanted, tick, ROUND_CEILING if up else ROUND_FLOOR))


def maker_target(
    book: Book, target: Decimal, mid: Decimal, buffer_bps: Decimal, tick: Decimal
) -> Decimal:
    """Move a take profit that the market has reached to the maker's side of the market.

    Args:
        book: The lot's book.
        target: The take profit's price.
        mid: The market's middle price.
        buffer_bps: Least distance from ``mid``, in bps of it.
        tick: The instrument's price increment.
    """
    if book == "LONG":
        return max(target, to_multiple(mid * (1 + buffer_bps / BPS), tick, ROUND_CEILING) + tick)
    nearest = to_multiple(mid * (1 - buffer_bps / BPS), tick, ROUND_FLOOR) - tick
    return max(tick, min(target, nearest))


def is_stop_reached(book: Book, stop: Decimal, mid: Decimal, buffer_bps: Decimal) -> bool:
    """Return whether ``mid`` is at or beyond a stop, or within ``buffer_bps`` of it.

    Binance rejects a stop order that would trigger at once (-2021).
    """
    if book == "LONG":
        return mid * (1 - buffer_bps / BPS) <= stop
    return mid * (1 + buffer_bps / BPS) >= stop


def entry_price_of(
    book: Book, prices: Mapping[Leg, Decimal], steps: ExitSteps, tick: Decimal
) -> Decimal:
    """Return the entry price (a multiple of the tick) that a lot's exits were computed from.

    The stop counts first, because a take profit is moved when the market has reached it. Below the
    entry a grid step is smaller, so two entry prices can have the same exit; then the one that fits
    both exits is returned.
    """
    stop, target = prices.get("S"), prices.get("T")
    above = (book == "LONG") == (stop is None)
    count = steps.tp_steps if stop is None else steps.sl_steps
    exact = prices["T" if stop is None else "S"] / step_ratio(steps.step_bps, up=above) ** count
    nearest = to_multiple(exact, tick, ROUND_FLOOR if above else ROUND_CEILING)
    if stop is None or target is None or above:
        return nearest
    for entry in (nearest, nearest + tick):
        both = stop_price(book, entry, steps, tick), target_price(book, entry, steps, tick)
        if both == (stop, target):
            return entry
    return nearest


def _lot_of(
    key: str,
    book: Book,
    exits: _Exits,
    held: BookPosition,
    saved: SavedLot | None,
    steps: ExitSteps,
    tick: Decimal,
) -> Lot:
    """Return the lot that has these exits, at most as large as what is held and was saved."""
    quantity = min(exits.leaves, held.quantity)
    if saved is not None and saved.quantity > 0:  # a new stop may stand beside those it replaces
        quantity = min(quantity, saved.quantity)
    lot = Lot(key, book, held.price, quantity, steps)
    lot.target = None if exits.target is None else exits.target.order_id
    lot.stops = [stop.order_id for stop in exits.stops]
    lot.is_closing = exits.is_closing
    if saved is not None:
        lot.entry, lot.steps, lot.exits = saved.entry, saved.steps, saved.exits
    elif exits.prices:
        lot.entry = entry_price_of(book, exits.prices, steps, tick)
    return lot


def recover_lots(
    positions: Mapping[Book, BookPosition],
    exits: Iterable[OpenExit],
    steps: ExitSteps,
    tick: Decimal,
    remembered: Mapping[str, SavedLot] | None = None,
) -> tuple[list[Lot], list[str]]:
    """Rebuild the lots from positions, open exits and what is remembered of each lot.

    The quantities of a book's lots add up to its position. A remembered lot keeps its entry price
    and its steps, and is not larger than saved. The entry price of any other lot is computed from
    its exits with the present ``steps``; without a price there, it is the position's. What then
    remains of a position is first that of remembered lots that were larger than their open exits;
    the rest becomes one more lot, with the key ``kept-<book>`` and the position's average price.

    Args:
        positions: The positions.
        exits: The open exits.
        steps: The exits of new lots.
        tick: The instrument's price increment.
        remembered: The lots before the restart, by key.

    Returns:
        The lots, and the order ids of surplus exits.
    """
    known = remembered or {}
    found: dict[tuple[Book, str], _Exits] = {}
    surplus = []
    for each in exits:
        mine = found.setdefault((each.book, each.key), _Exits())
        if each.leg == "S":
            mine.stops.append(each)
        elif mine.target is None:
            mine.target = each
        else:
            surplus.append(each.order_id)
    lots = []
    for book in BOOKS:
        position = positions.get(book, BookPosition(Decimal(0), Decimal(0)))
        left = position.quantity
        # First the lots that a market order closes: what it fills is theirs. Then lots with both
        # exits: the other exit of a single one may have been filled.
        rows = [
            (not of.is_closing, not of.is_complete, key, of)
            for (side, key), of in found.items()
            if side == book
        ]
        for *_, key, mine in sorted(rows, key=lambda row: row[:3]):
            if left <= 0:
                surplus += mine.order_ids
                continue
            held = BookPosition(left, position.price)
            lot = _lot_of(key, book, mine, held, known.get(key), steps, tick)
            lots.append(lot)
            left -= lot.quantity
        of_book = {lot.key: lot for lot in lots if lot.book == book}
        # Lots without an open exit first: a lot may be smaller than saved because an exit filled.
        for key, saved in sorted(known.items(), key=lambda row: (row[0] in of_book, row[0])):
            lot = of_book.get(
                key, Lot(key, book, saved.entry, Decimal(0), saved.steps, saved.exits)
            )
            more = min(saved.quantity - lot.quantity, left)
            if saved.book != book or more <= 0:
                continue
            lot.quantity += more
            left -= more
            if key not in of_book:
                lots.append(lot)
        if left > 0:
            lots.append(Lot(f"kept-{book}", book, position.price, left, steps))
    return lots, surplus
