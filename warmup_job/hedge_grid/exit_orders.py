"""The exits: a take profit and a stop loss at the exchange for every lot that is held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.orders import Order

from warmup_job.hedge_grid.exit_rules import (
    BookPosition,
    Leg,
    Lot,
    OpenExit,
    is_stop_reached,
    maker_target,
    recover_lots,
    stop_price,
    target_price,
)
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.ladder import BPS, Book, Rung, min_order_quantity, min_rung_quantity
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient, book_of

_LEGS: tuple[Leg, Leg] = ("S", "T")  # what protects goes first
_TOO_SMALL = ("-4164", "notional must be no smaller")
_PASSED = ("in the market", "immediately trigger", "-2021")  # how a stop is refused that is passed


def is_stop_reached_error(reason: str) -> bool:
    """Whether a stop was refused because the market is past it."""
    return any(word in reason for word in _PASSED)


class ExitOrders:
    """The lots, and the orders that close them.

    Args:
        may_leave: whether exits may leave now.
        is_filling: whether more of what has this key may be filled.
    """

    def __init__(
        self,
        desk: OrderClient,
        prices: MarketPrices,
        config: HedgeGridV1Config,
        may_leave: Callable[[], bool],
        is_filling: Callable[[str], bool],
    ) -> None:
        self._client = desk
        self._prices = prices
        self._config = config
        self._grid = grid_settings(config)
        self._may_leave = may_leave
        self._is_filling = is_filling
        self._lots: dict[str, Lot] = {}
        self._resizing: set[str] = set()  # cancelled to come back in another size
        # On futures what closes is let through however little it is worth, unless that is refused.
        self._may_be_small = isinstance(desk.instrument, CryptoPerpetual)

    @property
    def lots(self) -> list[Lot]:
        """What is held."""
        return list(self._lots.values())

    def held(self, book: Book) -> Decimal:
        """All that a book's lots hold, base currency."""
        return sum((lot.quantity for lot in self.lots if lot.book == book), Decimal(0))

    def of(self, order_id: str) -> tuple[Lot, Leg] | None:
        """The lot that this order closes, and as which of its exits."""
        found = leg_and_key(order_id)
        lot = None if found is None else self._lots.get(found[1])
        return None if found is None or lot is None else (lot, found[0])

    def _is_used(self, order_id: str) -> bool:
        found = self.of(order_id)
        return found is not None and found[0].legs.get(found[1]) == order_id

    def is_near(self, rung: Rung) -> bool:
        """Whether something is still held that was filled within half a step of the rung."""
        price = rung.price.as_decimal()
        near = price * self._grid.step_bps / BPS / 2
        return any(
            lot.book == rung.book
            and abs(lot.entry - price) < near
            and not self._is_filling(lot.key)
            for lot in self.lots
        )

    # -- what was found --------------------------------------------------------------------------

    def take_over(self, held: Mapping[Book, BookPosition], orders: Iterable[Order]) -> str:
        """Make lots of the positions and of those among the orders that an earlier run has left.

        Returns: how much that was, in words.
        """
        exits = [each for each in map(_open_exit, orders) if each is not None]
        lots, too_many = recover_lots(
            held,
            exits,
            step_bps=self._grid.step_bps,
            tp_steps=self._grid.tp_steps,
            sl_steps=self._grid.sl_steps,
            tick=self._client.tick,
        )
        self._lots = {}
        for lot in lots:
            if lot.key.startswith("kept-"):
                lot.key = self._client.new_key()
            self._lots[lot.key] = lot
        for order_id in too_many:
            self._client.cancel(order_id)
        return f"{len(exits)} exits and {len(lots)} lots; {len(too_many)} exits too many"

    # -- what was filled -------------------------------------------------------------------------

    def opened(self, key: str, book: Book, price: Decimal, quantity: Decimal) -> None:
        """An entry was filled, in whole or in part: protect that at once."""
        lot = self._lots.get(key)
        if lot is None:
            lot = self._lots[key] = Lot(key, book, price, quantity)
        else:
            lot.grow(price, quantity)
        self._protect_small(book)
        self.protect(lot)

    def closed(self, lot: Lot, leg: Leg, quantity: Decimal, *, whole: bool) -> None:
        """An exit was filled, as a whole or in part: the other one has to go, or to shrink."""
        if whole:
            lot.legs.pop(leg, None)
        lot.quantity -= quantity
        if lot.quantity > 0:
            self.protect(lot)
            return
        other = lot.legs.get("S" if leg == "T" else "T")
        if other is not None:
            self._client.cancel(other)
        if lot.quantity <= 0:
            self._lots.pop(lot.key, None)

    # -- protecting ------------------------------------------------------------------------------

    def protect_all(self) -> None:
        """Have every lot's exits stand, and none but those."""
        for order in self._client.open_orders():
            order_id = order.client_order_id.value
            if leg_and_key(order_id) is not None and not self._is_used(order_id):
                self._client.cancel(order_id)
        for lot in self.lots:
            self.protect(lot)

    def protect_key(self, key: str) -> None:
        """Have the exits of the lot with this key stand, if there is one."""
        lot = self._lots.get(key)
        if lot is not None:
            self.protect(lot)

    def protect(self, lot: Lot) -> None:
        """Have both exits of a lot stand for as much as is held of it."""
        if not self._may_leave() or lot.quantity <= 0:
            return
        small = self._is_small(lot)
        other = self._to_join(lot) if small else None
        if other is not None and not lot.legs:
            self._join(other, lot)
            return
        for leg in _LEGS:
            order_id = lot.legs.get(leg)
            if order_id is None:
                if not small:
                    self._send(lot, leg)
                continue
            order = self._client.open_order(order_id)
            if order is None or order.is_pending_cancel or order_id in self._resizing:
                continue
            if other is not None or order.leaves_qty.as_decimal() != lot.quantity:
                self._resizing.add(order_id)
                self._client.cancel(order_id)

    def _is_small(self, lot: Lot) -> bool:
        """Whether it is not enough for an order of its own."""
        if self._may_be_small:
            return lot.quantity < min_order_quantity(self._client.instrument)
        return lot.quantity < min_rung_quantity(self._client.instrument, lot.entry, self._grid)

    def _to_join(self, lot: Lot) -> Lot | None:
        """Where a small lot is protected: in the nearest lot of its book that is enough with it."""
        if self._is_filling(lot.key):
            return None  # it may yet be enough by itself
        others = [
            each
            for each in self.lots
            if each.book == lot.book and each is not lot and not self._is_small(_joined(each, lot))
        ]
        return min(others, key=lambda each: (abs(each.entry - lot.entry), each.key), default=None)

    def _join(self, lot: Lot, rest: Lot) -> None:
        self._lots.pop(rest.key, None)
        lot.grow(rest.entry, rest.quantity)
        rest.quantity = Decimal(0)
        self.protect(lot)
        self._protect_small(lot.book)  # what was too small with each of the two may fit both

    def _protect_small(self, book: Book) -> None:
        for lot in self.lots:
            if lot.book == book and self._is_small(lot):
                self.protect(lot)

    def _send(self, lot: Lot, leg: Leg) -> None:
        instrument, mid = self._client.instrument, self._prices.mid
        fields: dict[str, Any] = {
            "instrument_id": instrument.id,
            "order_side": OrderSide.SELL if lot.book == "LONG" else OrderSide.BUY,
            "quantity": instrument.make_qty(lot.quantity),
            "reduce_only": True,
            "client_order_id": ClientOrderId(self._new_id(lot, leg)),
        }
        price = self._price(lot, leg)
        buffer, make = self._config.tp_sl_adjustment_buffer_bps, self._client.make
        if leg == "T":
            if leg in lot.passed and mid is not None:
                price = maker_target(lot.book, price, mid, buffer, self._client.tick)
            order = make.limit(
                price=instrument.make_price(price), post_only=self._config.maker_only, **fields
            )
        elif leg in lot.passed or (
            mid is not None and is_stop_reached(lot.book, price, mid, buffer)
        ):
            lot.passed.add(leg)
            order = make.market(**fields)
        else:
            order = make.stop_market(trigger_price=instrument.make_price(price), **fields)
        lot.legs[leg] = order.client_order_id.value
        self._client.submit(order, lot.book)

    def _new_id(self, lot: Lot, leg: Leg) -> str:
        """One that no exit of the lot has had, be it before the lot was taken over."""
        ids = (f"{leg}{number}-{lot.key}" for number in count(1))
        return next(order_id for order_id in ids if not self._client.is_known(order_id))

    def _price(self, lot: Lot, leg: Leg) -> Decimal:
        step_bps, tick = self._grid.step_bps, self._client.tick
        if leg == "T":
            steps = self._grid.tp_steps
            return target_price(lot.book, lot.entry, step_bps=step_bps, tp_steps=steps, tick=tick)
        steps = self._grid.sl_steps
        return stop_price(lot.book, lot.entry, step_bps=step_bps, sl_steps=steps, tick=tick)

    # -- what went wrong -------------------------------------------------------------------------

    def gone(self, lot: Lot, leg: Leg, order_id: str) -> None:
        """An exit was cancelled; one that was for another size comes back now.

        What somebody else has cancelled comes back when all is looked at the next time.
        """
        resized = order_id in self._resizing
        self._lose(lot, leg, order_id)
        if resized:
            self.protect_key(lot.key)

    def still_there(self, order_id: str) -> None:
        """An exit could not be cancelled: if it is of the wrong size, that is tried again."""
        self._resizing.discard(order_id)

    def refused(self, lot: Lot, leg: Leg, order_id: str, reason: str, *, passed: bool) -> None:
        """An exit did not come to stand.

        Args:
            passed: because the market is past its price. All else is tried again with the next bar.
        """
        self._lose(lot, leg, order_id)
        if any(word in reason for word in _TOO_SMALL):
            self._may_be_small = False
            self.protect(lot)
            return
        if not passed:
            return
        lot.passed.add(leg)
        if leg == "S":
            self.protect(lot)
            return
        lot.tries += 1
        if lot.tries > self._config.retry_attempts:
            lot.tries = 0  # with the next bar
            return
        self._client.after(
            self._config.retry_delay_ms, f"again-{order_id}", lambda: self.protect_key(lot.key)
        )

    def _lose(self, lot: Lot, leg: Leg, order_id: str) -> None:
        if lot.legs.get(leg) == order_id:
            del lot.legs[leg]
        self._resizing.discard(order_id)


def leg_and_key(order_id: str) -> tuple[Leg, str] | None:
    """What an exit's id tells: which of the two it is, and of what; None: it is no exit's."""
    kind, _, key = order_id.partition("-")
    if not kind[1:].isdigit():
        return None
    if kind[0] == "T":
        return "T", key
    return ("S", key) if kind[0] == "S" else None


def _joined(lot: Lot, rest: Lot) -> Lot:
    """What both together would be: of their average price."""
    both = Lot(lot.key, lot.book, lot.entry, lot.quantity)
    both.grow(rest.entry, rest.quantity)
    return both


def _open_exit(order: Order) -> OpenExit | None:
    order_id = order.client_order_id.value
    found = leg_and_key(order_id)
    if found is None or order.is_pending_cancel:
        return None
    leg, key = found
    price = order.price if order.has_price else order.trigger_price
    return OpenExit(
        order_id, key, leg, book_of(order, closes=True), price.as_decimal(),
        order.leaves_qty.as_decimal(),
    )  # fmt: skip
