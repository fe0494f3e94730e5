"""The stop losses of lots: sent, resized without a gap, repeated, or replaced by a market order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from decimal import Decimal

from nautilus_trader.model.enums import OrderStatus, OrderType
from nautilus_trader.model.orders import Order

from warmup_job.catalog.instruments import largest_market_order
from warmup_job.hedge_grid.exit_rejections import (
    LOUD_ATTEMPT,
    StopOutcome,
    close_wait_ms,
    judge_stop,
)
from warmup_job.hedge_grid.exit_rules import Lot, is_stop_reached, stop_price
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config
from warmup_job.hedge_grid.ladder import Book, round_down
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient
from warmup_job.hedge_grid.stop_cover import StopChange, StopOrder, covered, next_change
from warmup_job.process.refusal_text import plain_refusal

_CANCELED_WAIT_MS = 250
"""A stop that nobody here has cancelled is sent again after this time."""
_SMALL_WAIT_MS = 1000
"""A stop that is too small a second time in a row is sent again after this time."""
MOST_STOPS_IN_ACCOUNT = 200
"""Conditional orders that Binance allows in an account, for all symbols together:
https://developers.binance.com/docs/derivatives/change-log (2025-12-29)"""
_FULL_MS = 600_000
"""How long the number of stops counts at which the exchange refused one more."""
TARGET_WAIT_MS = 500
"""A lot is closed at market after this time at the latest, although its take profit is open."""


class StopOrders:
    """Keeps the stop losses of lots at the exchange, and closes at market what cannot have one.

    Args:
        client: Sends and cancels the orders.
        prices: The newest market prices.
        config: The strategy's configuration.
        timers: Delay what is tried again.
        held: Returns a book's position, base currency.
        lots: Returns all lots.
        protect: Brings the exits of the lot with this key up to date.
        jitter: Returns a random number in [0, 1).
    """

    def __init__(
        self,
        client: OrderClient,
        prices: MarketPrices,
        config: HedgeGridV1Config,
        timers: LoopTimers,
        held: Callable[[Book], Decimal],
        lots: Callable[[], Iterable[Lot]],
        protect: Callable[[str], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._prices = prices
        self._config = config
        self._timers = timers
        self._held = held
        self._lots = lots
        self._protect = protect
        self._jitter = jitter
        self._replaces: dict[str, tuple[str, ...]] = {}  # a new stop → those that it replaces
        self._cancelling: set[str] = set()
        self._most = MOST_STOPS_IN_ACCOUNT
        self._full_until_ms = 0

    def forget_all(self) -> None:
        """Forget what was known of the orders of former lots."""
        self._replaces.clear()
        self._cancelling.clear()

    def orders(self, lot: Lot) -> list[StopOrder]:
        """Return a lot's open stops that are neither replaced nor being cancelled."""
        replaced = {old for ids in self._replaces.values() for old in ids}
        price = self._price(lot)
        found = []
        for order_id in lot.stops:
            order = self._client.open_order(order_id)
            if order is None or order.is_pending_cancel or order_id in replaced:
                continue
            is_market = order.order_type == OrderType.MARKET
            is_triggered = order.filled_qty > 0 or order.status == OrderStatus.TRIGGERED
            found.append(
                StopOrder(
                    order_id,
                    order.leaves_qty.as_decimal(),
                    is_confirmed=bool(order.is_open),
                    is_closing=is_market or is_triggered,
                    is_current=is_market or order.trigger_price.as_decimal() == price,
                )
            )
        return found

    def is_closing(self, lot: Lot) -> bool:
        """Return whether an order closes the lot now: a market order, or a triggered stop."""
        return any(each.is_closing for each in self.orders(lot))

    def is_owed(self, lot: Lot) -> bool:
        """Return whether an order must follow one that was refused, expired or was cancelled."""
        is_retried = lot.is_closing or lot.stop_failures > 0
        return is_retried and lot.quantity - covered(self.orders(lot)) >= self._client.step

    def is_crowded(self, book: Book) -> bool:
        """Return whether take profits of the book keep the exchange from closing one of its lots.

        Binance rejects a closing order (-4118) that exceeds the position together with others.
        """
        return any(lot.book == book and lot.is_closing and lot.stop_failures > 1
                   for lot in self._lots())  # fmt: skip

    def fit(self, lot: Lot, least: Decimal, *, merge: bool) -> None:
        """Take the next step to stops for exactly what the lot holds.

        Args:
            lot: The lot.
            least: The smallest quantity of a stop that the exchange accepts.
            merge: Whether one stop may replace several.
        """
        stops = self.orders(lot)
        if lot.is_closing:
            self._close(lot, stops)
            return
        change = self._next_change(lot, stops, least, merge=merge, has_room=True)
        if change.send > 0 and not self.room():
            change = self._next_change(lot, stops, least, merge=merge, has_room=False)
        if change.send > 0 and self._is_reached(lot):
            if lot.quantity - covered(stops) >= self._client.step:
                self._begin_to_close(lot, wait_ms=0)
            return
        if change.send > 0 and not self._is_waiting(lot):
            self._send(lot, change.send, change.replaces)
        for order_id in change.cancel:
            self.cancel(order_id)

    def _next_change(
        self, lot: Lot, stops: list[StopOrder], least: Decimal, *, merge: bool, has_room: bool
    ) -> StopChange:
        return next_change(
            lot.quantity,
            stops,
            step=self._client.step,
            least=least,
            may_overlap=lot.may_overlap,
            has_room=has_room,
            merge=merge,
        )

    def room(self) -> int:
        """Return how many more stops the exchange accepts, as far as it is known."""
        if self._client.now_ms >= self._full_until_ms:
            self._most = MOST_STOPS_IN_ACCOUNT
        return max(0, self._most - self._client.count_stops())

    def _price(self, lot: Lot) -> Decimal:
        return stop_price(lot.book, lot.entry, lot.steps, self._client.tick)

    def _is_reached(self, lot: Lot) -> bool:
        mid, buffer = self._prices.mid, self._config.tp_sl_adjustment_buffer_bps
        return mid is not None and is_stop_reached(lot.book, self._price(lot), mid, buffer)

    def _send(self, lot: Lot, quantity: Decimal, replaces: tuple[str, ...]) -> None:
        order = self._client.factory.stop_market(
            trigger_price=self._client.instrument.make_price(self._price(lot)),
            **self._client.exit_fields("S", lot, quantity),
        )
        if replaces:
            self._replaces[order.client_order_id.value] = replaces
        self._submit(lot, order)

    def _submit(self, lot: Lot, order: Order) -> None:
        lot.stops.append(order.client_order_id.value)  # before its events, which may come at once
        self._client.submit(order, lot.book)

    # -- closing at market -----------------------------------------------------------------------

    def _begin_to_close(self, lot: Lot, wait_ms: int) -> None:
        """Close at market what has no stop; first wait for the end of an open take profit."""
        lot.is_closing = True
        lot.close_from_ms = self._client.now_ms + wait_ms
        self._protect(lot.key)

    def _close(self, lot: Lot, stops: list[StopOrder]) -> None:
        missing, step = lot.quantity - covered(stops), self._client.step
        if missing < step:  # no order can close less
            if not any(each.is_closing for each in stops):  # the rest has its stop
                lot.is_closing, lot.stop_failures = False, 0
            return
        now_ms = self._client.now_ms
        target = None if lot.target is None else self._client.open_order(lot.target)
        if target is not None:
            self._client.cancel(lot.target or "")
            if now_ms < lot.close_from_ms:
                name = f"close-{lot.key}"
                self._timers.at(lot.close_from_ms, name, lambda: self._protect(lot.key))
                return
        # Never more than the book's position: another client may have closed a part of it.
        closing = [each.leaves for one in self._lots() if one.book == lot.book
                   for each in self.orders(one) if each.is_closing]  # fmt: skip
        quantity = min(
            missing,
            self._held(lot.book) - sum(closing, Decimal(0)),
            largest_market_order(self._client.instrument),  # the rest follows its acceptance
        )
        if quantity >= step and not self._is_waiting(lot):
            fields = self._client.exit_fields("S", lot, round_down(quantity, step))
            self._submit(lot, self._client.factory.market(**fields))

    def _is_waiting(self, lot: Lot) -> bool:
        """Return whether its next stop loss or closing order is sent by a timer."""
        return self._timers.is_set(_repeat_timer(lot))

    def _repeat_after(self, lot: Lot, wait_ms: int) -> None:
        self._timers.after(wait_ms, _repeat_timer(lot), lambda: self._protect(lot.key))

    def _do_not_wait(self, lot: Lot) -> None:
        self._timers.cancel(_repeat_timer(lot))

    # -- events ----------------------------------------------------------------------------------

    def on_accepted(self, lot: Lot, order_id: str) -> None:
        """Cancel the stops that this one replaces, and take the next step."""
        if not self._client.is_market(order_id):  # which can still expire without a fill
            lot.stop_failures = 0
            self._do_not_wait(lot)
            lot.stop_refusal = ""
            lot.may_overlap = True  # the refusal of the one before may have passed
        self._cancel_replaced(order_id)
        self._protect(lot.key)

    def on_filled(self, lot: Lot, order_id: str, *, is_closed: bool) -> None:
        """Note a fill of a stop or of a closing order."""
        lot.stop_failures = 0
        self._cancel_replaced(order_id)
        if is_closed:
            self.forget(lot, order_id)

    def _cancel_replaced(self, order_id: str) -> None:
        for each in self._replaces.pop(order_id, ()):
            self.cancel(each)

    def cancel(self, order_id: str) -> None:
        """Cancel a stop; the lot's next step follows the cancel's confirmation."""
        self._cancelling.add(order_id)
        self._client.cancel(order_id)

    def forget(self, lot: Lot, order_id: str) -> None:
        """Forget an order that is closed."""
        self._replaces.pop(order_id, None)
        self._cancelling.discard(order_id)
        if order_id in lot.stops:
            lot.stops.remove(order_id)

    def on_rejected(
        self, lot: Lot, order_id: str, reason: str, *, is_denied: bool = False
    ) -> StopOutcome:
        """Repeat an order that was not accepted, or close the lot at market.

        Args:
            lot: The order's lot.
            order_id: The order's id.
            reason: The exchange's or Nautilus' reason.
            is_denied: Whether Nautilus denied it.
        """
        replaced = order_id in self._replaces
        was_market = self._client.is_market(order_id)
        self.forget(lot, order_id)
        lot.stop_failures += 1
        now_ms, jitter = self._client.now_ms, self._jitter()
        verdict = judge_stop(reason, lot.stop_failures, now_ms, jitter, is_denied=is_denied)
        lot.stop_refusal = reason = plain_refusal(reason)
        if verdict.outcome == "later":
            return verdict.outcome
        if verdict.outcome == "too_small":
            if lot.stop_failures > 1:
                self._repeat(lot, _SMALL_WAIT_MS, reason)
        elif was_market:
            self._on_close_failed(lot, reason)
        elif verdict.outcome == "repeat":
            self._repeat(lot, verdict.wait_ms, reason)
        elif verdict.outcome == "full" and self.orders(lot):
            self._note_limit()  # cancels the lot's stops before it sends one for the whole
            self._repeat(lot, 0, reason)
        elif verdict.outcome == "reached":
            self._begin_to_close(lot, wait_ms=0)
        elif replaced:
            lot.may_overlap = False  # the former stops are still there
            self._repeat(lot, 0, reason)
        else:
            if verdict.outcome == "full":
                self._note_limit()
            self._close_after(lot, f"rejected: {reason}")
        return verdict.outcome

    def _note_limit(self) -> None:
        self._most = self._client.count_stops()
        self._full_until_ms = self._client.now_ms + _FULL_MS

    def _repeat(self, lot: Lot, wait_ms: int, reason: str) -> None:
        if lot.stop_failures == LOUD_ATTEMPT:
            self._client.log_error(
                f"{lot.quantity} of the {lot.book} position may have no stop loss: it was not "
                f"accepted {lot.stop_failures} times ({reason}); it is tried again every few "
                "seconds"
            )
        self._repeat_after(lot, wait_ms)

    def on_expired(self, lot: Lot, order_id: str) -> None:
        """Close at market what an expired stop or closing order has left."""
        was_market = self._client.is_market(order_id)
        self.forget(lot, order_id)
        lot.stop_refusal = "expired"
        if was_market:
            lot.stop_failures += 1
            self._on_close_failed(lot, "expired")
        else:
            self._close_after(lot, "expired")

    def on_canceled(self, lot: Lot, order_id: str) -> None:
        """Take the next step after a cancel; send again what nobody here has cancelled."""
        if self._client.is_market(order_id):
            self.on_expired(lot, order_id)
            return
        is_ours = order_id in self._cancelling
        self.forget(lot, order_id)
        if is_ours:
            self._protect(lot.key)
        elif not self._client.has_cancel_request(order_id):
            lot.stop_failures += 1
            lot.stop_refusal = "cancelled by the exchange or by another client"
            self._repeat(lot, _CANCELED_WAIT_MS, lot.stop_refusal)

    def _close_after(self, lot: Lot, what: str) -> None:
        """Close a lot at market whose stop the exchange does not want."""
        self._client.log_error(
            f"A stop loss of the {lot.book} position was {what}: closing its {lot.quantity} at "
            "market"
        )
        lot.stop_failures = 0
        self._do_not_wait(lot)
        self._begin_to_close(lot, TARGET_WAIT_MS)

    def _on_close_failed(self, lot: Lot, reason: str) -> None:
        wait_ms = close_wait_ms(lot.stop_failures, self._client.now_ms, self._jitter())
        if wait_ms is not None:
            self._repeat_after(lot, wait_ms)
            if self.is_crowded(lot.book):
                for other in list(self._lots()):
                    self._protect(other.key)  # cancels the take profits of the book
            return
        self._client.log_error(
            f"{lot.quantity} of the {lot.book} position has no stop loss and could not be closed "
            f"at market ({reason}): close it at the exchange. The next check of the account tries "
            "again"
        )
        lot.stop_failures = 0
        self._do_not_wait(lot)


def _repeat_timer(lot: Lot) -> str:
    return f"repeat-{lot.key}"
