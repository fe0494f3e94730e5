"""The exits: a take profit and a stop loss at the exchange for every lot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.orders import Order

from warmup_job.hedge_grid.exit_rules import (
    BookPosition,
    Lot,
    OpenExit,
    is_stop_reached,
    maker_target,
    recover_lots,
    stop_price,
    target_price,
)
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.grid_state import SavedLot, by_key
from warmup_job.hedge_grid.ladder import BPS, Book, Rung, min_order_quantity, min_rung_quantity
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient, book_of
from warmup_job.hedge_grid.order_ids import Leg, leg_and_key

_LEGS: tuple[Leg, Leg] = ("S", "T")  # the stop loss is sent first
# Parts of Binance's and Nautilus' rejections; codes:
# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
_TOO_SMALL = ("-4164", "notional must be no smaller")
_STOP_REACHED = ("in the market", "immediately trigger", "-2021")


def is_stop_reached_error(reason: str) -> bool:
    """Return whether a stop was rejected because the market has reached its price."""
    return any(words in reason for words in _STOP_REACHED)


class ExitOrders:
    """The lots, and the orders that close them.

    Args:
        client: Sends and cancels the orders.
        prices: The newest market prices.
        config: The strategy's configuration.
        timers: Delay retries.
        may_send: Returns whether exits may be sent now.
        is_filling: Returns whether the entry with this key may fill further.
    """

    def __init__(
        self,
        client: OrderClient,
        prices: MarketPrices,
        config: HedgeGridV1Config,
        timers: LoopTimers,
        may_send: Callable[[], bool],
        is_filling: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._prices = prices
        self._config = config
        self._grid = grid_settings(config)
        self._timers = timers
        self._may_send = may_send
        self._is_filling = is_filling
        self._lots: dict[str, Lot] = {}
        self._resizing: set[str] = set()  # order ids: cancelled to be sent in another size
        # Binance's futures accept a reduce-only order of any notional, until one is rejected.
        self._may_be_small = isinstance(client.instrument, CryptoPerpetual)

    @property
    def lots(self) -> list[Lot]:
        """The held lots."""
        return list(self._lots.values())

    def quantity(self, book: Book) -> Decimal:
        """Return the total quantity of a book's lots, base currency."""
        return sum((lot.quantity for lot in self.lots if lot.book == book), Decimal(0))

    def find(self, order_id: str) -> tuple[Lot, Leg] | None:
        """Return the lot that this order closes, and which of its exits it is."""
        found = leg_and_key(order_id)
        lot = None if found is None else self._lots.get(found[1])
        return None if found is None or lot is None else (lot, found[0])

    def _is_used(self, order_id: str) -> bool:
        found = self.find(order_id)
        return found is not None and found[0].legs.get(found[1]) == order_id

    def is_near(self, rung: Rung) -> bool:
        """Return whether a lot is held whose entry is within half a grid step of the rung."""
        price = rung.price.as_decimal()
        near = price * self._grid.step_bps / BPS / 2
        return any(
            lot.book == rung.book
            and abs(lot.entry - price) < near
            and not self._is_filling(lot.key)
            for lot in self.lots
        )

    def saved_lots(self) -> list[SavedLot]:
        """Return the held lots as they are saved."""
        return [
            SavedLot(lot.key, lot.book, lot.entry, lot.quantity, *lot.steps) for lot in self.lots
        ]

    def take_over(
        self,
        positions: Mapping[Book, BookPosition],
        orders: Iterable[Order],
        remembered: Iterable[SavedLot],
    ) -> tuple[int, int]:
        """Replace the lots with those that positions, open exits and the saved lots show.

        Surplus exits are cancelled.

        Returns:
            The number of exits found, and of surplus ones.
        """
        exits = [each for each in map(_open_exit, orders) if each is not None]
        known = by_key(self._filled_since(each) for each in remembered)
        lots, surplus = recover_lots(positions, exits, self._grid.exits, self._client.tick, known)
        self._lots = {}
        for lot in lots:
            if lot.key.startswith("kept-"):
                lot.key = self._client.new_key()
            self._lots[lot.key] = lot
        for order_id in surplus:
            self._client.cancel(order_id)
        return len(exits), len(surplus)

    def _filled_since(self, saved: SavedLot) -> SavedLot:
        """Return the lot of an entry that had no fill when it was saved, and has one now."""
        filled = self._client.filled(f"E-{saved.key}")
        if saved.quantity > 0 or filled is None:
            return saved
        return msgspec.structs.replace(saved, quantity=filled.quantity, entry=filled.price)

    # -- fills -----------------------------------------------------------------------------------

    def on_entry_filled(self, key: str, book: Book, price: Decimal, quantity: Decimal) -> None:
        """Add an entry's fill to its lot, and send or resize the lot's exits."""
        lot = self._lots.get(key)
        if lot is None:
            lot = self._lots[key] = Lot(key, book, price, quantity, self._grid.exits)
        else:
            lot.grow(price, quantity)
        self._protect_small(book)
        self.protect(lot)

    def on_exit_filled(self, lot: Lot, leg: Leg, quantity: Decimal, *, is_closed: bool) -> None:
        """Subtract an exit's fill from its lot, and resize or cancel the lot's other exit.

        Args:
            lot: The exit's lot.
            leg: Which exit it is.
            quantity: The fill, base currency.
            is_closed: Whether the exit is filled completely.
        """
        if is_closed:
            lot.legs.pop(leg, None)
        lot.quantity -= quantity
        if lot.quantity > 0:
            self.protect(lot)
            return
        other = lot.legs.get("S" if leg == "T" else "T")
        if other is not None:
            self._client.cancel(other)
        if lot.quantity <= 0:  # still: in a backtest, the cancel's events are processed at once
            self._lots.pop(lot.key, None)

    # -- exits -----------------------------------------------------------------------------------

    def protect_all(self) -> None:
        """Send the missing exits of all lots, and cancel exits that belong to none."""
        for order in self._client.open_orders():
            order_id = order.client_order_id.value
            if leg_and_key(order_id) is not None and not self._is_used(order_id):
                self._client.cancel(order_id)
        for lot in self.lots:
            self.protect(lot)

    def protect_key(self, key: str) -> None:
        """Send or resize the exits of the lot with this key, if there is one."""
        lot = self._lots.get(key)
        if lot is not None:
            self.protect(lot)

    def protect(self, lot: Lot) -> None:
        """Send both exits of a lot, or resize them to the lot's quantity."""
        if not self._may_send() or lot.quantity <= 0:
            return
        small = self._is_small(lot)
        other = self._lot_to_join(lot) if small else None
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
        """Return whether the lot is too small for exits of its own."""
        if self._may_be_small:
            return lot.quantity < min_order_quantity(self._client.instrument)
        return lot.quantity < min_rung_quantity(self._client.instrument, lot.entry, lot.steps)

    def _lot_to_join(self, lot: Lot) -> Lot | None:
        """Return the nearest lot of the book that is large enough together with a small one."""
        if self._is_filling(lot.key):
            return None  # further fills may make it large enough
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
        self._protect_small(lot.book)  # another small lot may fit the larger lot

    def _protect_small(self, book: Book) -> None:
        for lot in self.lots:
            if lot.book == book and self._is_small(lot):
                self.protect(lot)

    def _send(self, lot: Lot, leg: Leg) -> None:
        instrument, mid = self._client.instrument, self._prices.mid
        buffer, factory = self._config.tp_sl_adjustment_buffer_bps, self._client.factory
        fields: dict[str, Any] = {
            "instrument_id": instrument.id,
            "order_side": OrderSide.SELL if lot.book == "LONG" else OrderSide.BUY,
            "quantity": instrument.make_qty(lot.quantity),
            "reduce_only": True,
            "client_order_id": ClientOrderId(self._new_id(lot, leg)),
        }
        if leg == "T":
            price = target_price(lot.book, lot.entry, lot.steps, self._client.tick)
            if leg in lot.reached and mid is not None:
                price = maker_target(lot.book, price, mid, buffer, self._client.tick)
            order = factory.limit(
                price=instrument.make_price(price), post_only=self._config.maker_only, **fields
            )
        else:
            price = stop_price(lot.book, lot.entry, lot.steps, self._client.tick)
            if mid is not None and is_stop_reached(lot.book, price, mid, buffer):
                lot.reached.add(leg)
            if leg in lot.reached:
                order = factory.market(**fields)
            else:
                order = factory.stop_market(trigger_price=instrument.make_price(price), **fields)
        lot.legs[leg] = order.client_order_id.value
        self._client.submit(order, lot.book)

    def _new_id(self, lot: Lot, leg: Leg) -> str:
        """Return an order id that no exit of the lot has used, also before a restart."""
        ids = (f"{leg}{number}-{lot.key}" for number in count(1))
        return next(order_id for order_id in ids if not self._client.is_known(order_id))

    # -- rejections and cancels ------------------------------------------------------------------

    def on_exit_canceled(self, lot: Lot, leg: Leg, order_id: str) -> None:
        """Send an exit again that was cancelled to be resized.

        An exit that another client has cancelled is sent again by the next `protect_all`.
        """
        resized = order_id in self._resizing
        self._forget(lot, leg, order_id)
        if resized:
            self.protect_key(lot.key)

    def on_cancel_rejected(self, order_id: str) -> None:
        """Allow the next `protect_all` to cancel an exit of the wrong size again."""
        self._resizing.discard(order_id)

    def on_exit_rejected(
        self, lot: Lot, leg: Leg, order_id: str, reason: str, *, is_reached: bool
    ) -> None:
        """Handle an exit that was rejected or denied.

        Args:
            lot: The exit's lot.
            leg: Which exit it is.
            order_id: The exit's id.
            reason: The exchange's or Nautilus' reason.
            is_reached: Whether the market has reached the exit's price. An exit that was rejected
                for another reason is sent again after the next bar.
        """
        self._forget(lot, leg, order_id)
        if any(words in reason for words in _TOO_SMALL):
            self._may_be_small = False
            self.protect(lot)
            return
        if not is_reached:
            return
        lot.reached.add(leg)
        if leg == "S":
            self.protect(lot)
            return
        lot.rejections += 1
        if lot.rejections > self._config.retry_attempts:
            lot.rejections = 0  # it is sent again after the next bar
            return
        self._timers.after(
            self._config.retry_delay_ms, f"again-{order_id}", lambda: self.protect_key(lot.key)
        )

    def _forget(self, lot: Lot, leg: Leg, order_id: str) -> None:
        if lot.legs.get(leg) == order_id:
            del lot.legs[leg]
        self._resizing.discard(order_id)


def _joined(lot: Lot, rest: Lot) -> Lot:
    """Return a lot of both quantities at their average price."""
    both = Lot(lot.key, lot.book, lot.entry, lot.quantity, lot.steps)
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
