"""The exits: a take profit and a stop loss at the exchange for every lot."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.orders import Order

from warmup_job.binance.order_rejections import limited_until_ms, rejection_error
from warmup_job.catalog.instruments import largest_market_order
from warmup_job.errors import ExchangeUnreachableError
from warmup_job.hedge_grid.exit_rejections import is_too_small_error
from warmup_job.hedge_grid.exit_rules import (
    BookPosition,
    Lot,
    OpenExit,
    maker_target,
    recover_lots,
    target_price,
)
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.grid_order_ids import Leg, leg_and_key
from warmup_job.hedge_grid.grid_state import SavedLot, by_key, filled_since
from warmup_job.hedge_grid.ladder import (
    Book,
    Rung,
    half_step,
    min_order_quantity,
    min_rung_quantity,
    round_down,
)
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient, book_of
from warmup_job.hedge_grid.stop_cover import covered
from warmup_job.hedge_grid.stop_orders import StopOrders
from warmup_job.market.times import utc_text

LIMIT_SPREAD_MS = 500
"""So that traders behind one IP do not all send at the end of a ban."""


class ExitOrders:
    """The lots, and the orders that close them.

    Args:
        client: Sends and cancels the orders.
        prices: The newest market prices.
        config: The strategy's configuration.
        timers: Delay retries.
        may_send: Returns whether exits may be sent now.
        held: Returns a book's position, base currency.
        is_filling: Returns whether the entry with this key may fill further.
    """

    def __init__(
        self,
        client: OrderClient,
        prices: MarketPrices,
        config: HedgeGridV1Config,
        timers: LoopTimers,
        may_send: Callable[[], bool],
        held: Callable[[Book], Decimal],
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
        self._resizing: set[str] = set()  # take profits, cancelled to be sent in another size
        self._stops = StopOrders(
            client, prices, config, timers, held, lambda: self.lots, self.protect_key
        )
        # Binance's futures accept a reduce-only order of any notional, until one is rejected.
        self._may_be_small = isinstance(client.instrument, CryptoPerpetual)

    @property
    def lots(self) -> list[Lot]:
        """The held lots."""
        return list(self._lots.values())

    @property
    def are_owed(self) -> bool:
        """Whether a lot is being closed, or a stop loss that was refused is to be repeated."""
        return any(
            self._stops.is_closing(lot) or (self._stops.is_owed(lot) and not self._is_small(lot))
            for lot in self.lots
        )

    def room(self) -> int:
        """Return how many more lots the exchange has stop losses for."""
        return self._stops.room()

    def quantity(self, book: Book) -> Decimal:
        """Return the total quantity of a book's lots, base currency."""
        return sum((lot.quantity for lot in self.lots if lot.book == book), Decimal(0))

    def find(self, order_id: str) -> tuple[Lot, Leg] | None:
        """Return the lot that this order closes, and which of its exits it is."""
        found = leg_and_key(order_id)
        lot = None if found is None else self._lots.get(found[1])
        return None if found is None or lot is None else (lot, found[0])

    def is_used(self, order_id: str) -> bool:
        """Return whether an exit is one that its lot counts on."""
        found = self.find(order_id)
        if found is None:
            return False
        lot, leg = found
        return order_id == lot.target if leg == "T" else order_id in lot.stops

    def is_near(self, rung: Rung) -> bool:
        """Return whether a lot is held whose entry is within half a grid step of the rung."""
        price = rung.price.as_decimal()
        near = half_step(price, self._grid.step_bps)
        return any(
            lot.book == rung.book
            and abs(lot.entry - price) < near
            and not self._is_filling(lot.key)
            for lot in self.lots
        )

    def saved_lots(self) -> list[SavedLot]:
        """Return the held lots as they are saved."""
        return [
            SavedLot(lot.key, lot.book, lot.entry, lot.quantity, *lot.steps, exits=lot.exits)
            for lot in self.lots
        ]

    def take_over(
        self,
        positions: Mapping[Book, BookPosition],
        orders: Iterable[Order],
        remembered: Iterable[SavedLot],
    ) -> tuple[int, int]:
        """Replace the lots with those that positions, open exits and the saved lots show.

        A lot of the same key continues its retries. Surplus exits are cancelled.

        Returns:
            The number of exits found, and of surplus ones.
        """
        exits = [each for each in map(_open_exit, orders) if each is not None]
        known = {key: self._filled_since(each) for key, each in by_key(remembered).items()}
        lots, surplus = recover_lots(positions, exits, self._grid.exits, self._client.tick, known)
        former, self._lots = self._lots, {}
        self._stops.forget_all()
        for lot in lots:
            if lot.key.startswith("kept-"):
                self._add_unexplained(lot)
                continue
            if lot.key in former:
                lot.take_over_retries(former[lot.key])
            self._lots[lot.key] = lot
            self._split(lot)
        for order_id in surplus:
            self._client.cancel(order_id)
        return len(exits), len(surplus)

    def _add_unexplained(self, lot: Lot) -> None:
        """Add a position that nothing explains, with a key that an order id can have."""
        lot.key = self._client.new_key()
        self._lots[lot.key] = lot
        self._split(lot)

    def _split(self, lot: Lot) -> None:
        """Leave to a lot what one order can close, or its open stops do; add lots for the rest.

        Binance may have lowered its limit for market orders since the lot was opened.
        """
        most = largest_market_order(self._client.instrument)
        kept = min(lot.quantity, max(most, covered(self._stops.orders(lot))))
        left, lot.quantity = lot.quantity - kept, kept
        while left > 0:
            key, quantity = self._client.new_key(), min(left, most)
            self._lots[key] = Lot(key, lot.book, lot.entry, quantity, lot.steps)
            left -= quantity

    def _filled_since(self, saved: SavedLot) -> SavedLot:
        order = self._client.open_order(f"E-{saved.key}")
        return filled_since(saved, Decimal(0) if order is None else order.leaves_qty.as_decimal())

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

    def on_exit_filled(
        self, lot: Lot, leg: Leg, order_id: str, quantity: Decimal, *, is_closed: bool
    ) -> None:
        """Subtract an exit's fill from its lot, and resize or cancel the lot's other exits.

        Args:
            lot: The exit's lot.
            leg: Which exit it is.
            order_id: The exit's id.
            quantity: The fill, base currency.
            is_closed: Whether the exit is filled completely.
        """
        lot.quantity -= quantity
        if leg == "S":
            self._stops.on_filled(lot, order_id, is_closed=is_closed)
        elif is_closed:
            self._forget_target(lot, order_id)
        if lot.quantity > 0:
            self.protect(lot)
            return
        for other in (lot.target, *lot.stops):
            if other is not None:
                self._client.cancel(other)
        was_closing, lot.is_closing = lot.is_closing, False
        if lot.quantity <= 0:  # still: in a backtest, the cancel's events are processed at once
            self._lots.pop(lot.key, None)
        if was_closing:
            self._protect_book(lot.book)  # its take profits may have made room

    # -- exits -----------------------------------------------------------------------------------

    def protect_all(self) -> None:
        """Send the missing exits of all lots, and cancel exits that belong to none."""
        if self._client.is_limited:
            return
        for order in self._client.own_orders():
            order_id = order.client_order_id.value
            if leg_and_key(order_id) is not None and not self.is_used(order_id):
                self._client.cancel(order_id)
        for lot in self.lots:
            self.protect(lot, merge=not self._is_filling(lot.key))

    def protect_key(self, key: str) -> None:
        """Send or resize the exits of the lot with this key, if there is one."""
        lot = self._lots.get(key)
        if lot is not None:
            self.protect(lot)

    def protect(self, lot: Lot, *, merge: bool = False) -> None:
        """Send the exits of a lot, or resize them to the lot's quantity.

        Args:
            lot: The lot.
            merge: Whether one stop loss may replace several.
        """
        if self._client.is_limited or not self._may_send() or lot.quantity <= 0:
            return
        if self._is_small(lot):
            self._protect_small_lot(lot)
            return
        self._stops.fit(lot, self._least(lot), merge=merge)  # the stop loss is sent first
        if lot.quantity > 0:
            self._fit_target(lot)

    def _protect_small_lot(self, lot: Lot) -> None:
        """Join a lot that is too small for exits with another; keep a take profit of its size."""
        other = self._lot_to_join(lot)
        if other is not None and lot.target is None and not lot.stops:
            self._join(other, lot)
            return
        if other is not None or covered(self._stops.orders(lot)) != lot.quantity:
            for order_id in list(lot.stops):
                self._stops.cancel(order_id)
        target = self._open_target(lot)
        if target is not None and (
            other is not None or target.leaves_qty.as_decimal() != lot.quantity
        ):
            self._cancel_target(lot)

    def _fit_target(self, lot: Lot) -> None:
        is_closing = any(each.is_closing for each in self._stops.orders(lot))
        if is_closing or lot.is_closing or self._stops.is_crowded(lot.book):
            if lot.target is not None:
                self._client.cancel(lot.target)
            return
        if lot.target is None:
            self._send_target(lot)
            return
        target = self._open_target(lot)
        if target is not None and target.leaves_qty.as_decimal() not in {
            lot.quantity,
            round_down(lot.quantity, self._client.step),
        }:
            self._cancel_target(lot)

    def _open_target(self, lot: Lot) -> Order | None:
        """Return the take profit unless it is closed or being cancelled."""
        order = None if lot.target is None else self._client.open_order(lot.target)
        if order is None or order.is_pending_cancel or lot.target in self._resizing:
            return None
        return order

    def _cancel_target(self, lot: Lot) -> None:
        """Cancel the take profit, to be sent again."""
        if lot.target is not None:
            self._resizing.add(lot.target)
            self._client.cancel(lot.target)

    def _is_small(self, lot: Lot) -> bool:
        """Return whether the lot is too small for exits of its own."""
        return lot.quantity < self._least(lot)

    def _least(self, lot: Lot) -> Decimal:
        """Return the smallest quantity of an exit at the lot's price."""
        if self._may_be_small:
            return min_order_quantity(self._client.instrument)
        return min_rung_quantity(self._client.instrument, lot.entry, lot.steps)

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

    def _protect_book(self, book: Book) -> None:
        for lot in self.lots:
            if lot.book == book:
                self.protect(lot)

    def _send_target(self, lot: Lot) -> None:
        instrument, mid, tick = self._client.instrument, self._prices.mid, self._client.tick
        price = target_price(lot.book, lot.entry, lot.steps, tick)
        if lot.is_target_passed and mid is not None:
            buffer = self._config.tp_sl_adjustment_buffer_bps
            price = maker_target(lot.book, price, mid, buffer, tick)
        order = self._client.factory.limit(
            price=instrument.make_price(price),
            post_only=self._config.maker_only,
            **self._client.exit_fields("T", lot, round_down(lot.quantity, self._client.step)),
        )
        lot.target = order.client_order_id.value
        self._client.submit(order, lot.book)

    # -- confirmations, rejections and cancels ---------------------------------------------------

    def on_exit_accepted(self, lot: Lot, leg: Leg, order_id: str) -> None:
        """Cancel the stop losses that an accepted one replaces."""
        if leg == "S":
            self._stops.on_accepted(lot, order_id)

    def adopt(self, lot: Lot, leg: Leg, order_id: str) -> bool:
        """Add a resting exit to its lot, and cancel what is too much then.

        Returns:
            Whether it is the lot's; a second take profit is not.
        """
        if leg == "S":
            lot.stops.append(order_id)
        elif lot.target is None:
            lot.target = order_id
        else:
            return False
        self.on_exit_accepted(lot, leg, order_id)
        return True

    def on_exit_canceled(self, lot: Lot, leg: Leg, order_id: str) -> None:
        """Take the next step after a cancel of ours.

        A stop loss that nobody here has cancelled is sent again at once, a take profit by the next
        `protect_all`.
        """
        if leg == "S":
            self._stops.on_canceled(lot, order_id)
            return
        resized = order_id in self._resizing
        self._forget_target(lot, order_id)
        if resized or lot.is_closing:
            self.protect_key(lot.key)

    def on_exit_expired(self, lot: Lot, leg: Leg, order_id: str) -> None:
        """Close the lot at market if it was a stop loss."""
        if leg == "S":
            self._stops.on_expired(lot, order_id)
        else:
            self.on_exit_canceled(lot, leg, order_id)

    def on_cancel_rejected(self, order_id: str, reason: str) -> None:
        """Repeat the cancel of an exit if it did not reach the exchange.

        It leaves after a wait that `CancelGate` decides on. The next `protect_all` repeats it
        otherwise, if the exit is still open then.
        """
        self._resizing.discard(order_id)
        if self.note_limit(reason):
            return
        if not isinstance(rejection_error(reason, self._client.now_ms), ExchangeUnreachableError):
            return
        found = self.find(order_id)
        if found is not None and self.is_used(order_id):
            self.protect(found[0])
        else:
            self._client.cancel(order_id)

    def on_exit_rejected(
        self,
        lot: Lot,
        leg: Leg,
        order_id: str,
        reason: str,
        *,
        is_reached: bool = False,
        is_denied: bool = False,
    ) -> None:
        """Handle an exit that was rejected or denied.

        Args:
            lot: The exit's lot.
            leg: Which exit it is.
            order_id: The exit's id.
            reason: The exchange's or Nautilus' reason.
            is_reached: Whether the market has reached a take profit's price. One that was rejected
                for another reason is sent again after the next bar.
            is_denied: Whether Nautilus denied it.
        """
        if self.note_limit(reason):  # all exits are sent again at its end
            if leg == "S":
                self._stops.forget(lot, order_id)
            else:
                self._forget_target(lot, order_id)
            return
        if leg == "S":
            outcome = self._stops.on_rejected(lot, order_id, reason, is_denied=is_denied)
            is_small = outcome == "too_small"
        else:
            self._forget_target(lot, order_id)
            is_small = is_too_small_error(reason)
        if is_small:
            self._may_be_small = False
            self.protect(lot)
        elif leg == "T" and is_reached:
            self._retry_target(lot, order_id)

    def note_limit(self, reason: str) -> bool:
        """Hold back all orders until a limit or ban of this IP ends, if ``reason`` tells of one.

        Then all exits are brought up to date.

        Args:
            reason: Of a rejected order or cancel.

        Returns:
            Whether it tells of one.
        """
        client, now_ms = self._client, self._client.now_ms
        until_ms = limited_until_ms(reason, now_ms)
        if until_ms is None:
            return False
        if until_ms > client.send_from_ms:
            if not client.is_limited:
                client.log_error(
                    f"Binance limits or bans this IP until {utc_text(until_ms)}: no order leaves "
                    "before, stop losses included. See above which requests were refused, and what "
                    "else behind this IP sends requests"
                )
            client.send_from_ms = until_ms + round(LIMIT_SPREAD_MS * random.random())
            self._timers.at(client.send_from_ms, "limit", self.protect_all)
        return True

    def _retry_target(self, lot: Lot, order_id: str) -> None:
        lot.is_target_passed = True
        lot.target_rejections += 1
        config = self._config
        if not config.use_post_only_retries or lot.target_rejections > config.retry_attempts:
            lot.target_rejections = 0  # it is sent again after the next bar
            return
        self._timers.after(
            config.retry_delay_ms, f"again-{order_id}", lambda: self.protect_key(lot.key)
        )

    def _forget_target(self, lot: Lot, order_id: str) -> None:
        if lot.target == order_id:
            lot.target = None
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
    price = None
    if order.has_price or order.has_trigger_price:
        price = (order.price if order.has_price else order.trigger_price).as_decimal()
    return OpenExit(
        order_id, key, leg, book_of(order, closes=True), price, order.leaves_qty.as_decimal()
    )
