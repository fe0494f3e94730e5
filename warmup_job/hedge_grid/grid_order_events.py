"""What follows from the events of the grid's orders."""

from __future__ import annotations

from collections.abc import Callable

from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from nautilus_trader.model.orders import Order

from warmup_job.binance.order_rejections import rejection_code
from warmup_job.binance.unknown_outcome import PLACED_WITHIN_S
from warmup_job.hedge_grid.entry_guard import EntryGuard, time_text
from warmup_job.hedge_grid.exit_description import describe_exit, exit_kind
from warmup_job.hedge_grid.exit_rejections import is_stop_reached_error
from warmup_job.hedge_grid.exit_rules import Lot
from warmup_job.hedge_grid.grid_log import GridLog
from warmup_job.hedge_grid.grid_order_ids import Leg, leg_and_key
from warmup_job.hedge_grid.grid_orders import GridOrders
from warmup_job.hedge_grid.ladder import Rung
from warmup_job.hedge_grid.order_client import book_of, is_rate_denial
from warmup_job.market.client_order_ids import parse_client_order_id
from warmup_job.market.times import NS_PER_S

_REDUCE_ONLY_REJECTED = -2022


class GridOrderEvents:
    """Passes each event on to the entries or the exits, and counts the errors.

    Args:
        orders: The entries and exits.
        guard: Has the circuit breaker.
        log: The strategy's log.
        owns_order: Returns whether this trader made the order with this id.
        update_entries: Brings the entries up to date with the ladder.
        on_change: Is called after each event that changes what is saved.
        now_ns: The strategy's clock, Unix ns.
    """

    def __init__(
        self,
        orders: GridOrders,
        guard: EntryGuard,
        log: GridLog,
        owns_order: Callable[[str], bool],
        update_entries: Callable[[], None],
        on_change: Callable[[], object],
        now_ns: Callable[[], int],
    ) -> None:
        self._orders = orders
        self._entries = orders.entries
        self._exits = orders.exits
        self._guard = guard
        self._log = log
        self._owns_order = owns_order
        self._update_entries = update_entries
        self._on_change = on_change
        self._now_ns = now_ns
        self._started_ns = now_ns()

    def handle(self, event: OrderEvent, order: Order | None) -> None:
        """Act on an event of one of the strategy's orders.

        Args:
            event: The event.
            order: The order, with the event applied; None: Nautilus does not know it.
        """
        order_id = event.client_order_id.value
        match event:
            case OrderAccepted():
                self._on_accepted(order_id, order, event.ts_event)
            case OrderFilled():
                self._on_filled(order_id, event, order)
            case OrderRejected():
                self._on_rejected(order_id, str(event.reason), due_post_only=event.due_post_only)
            case OrderDenied():
                self._on_denied(order_id, str(event.reason))
            case OrderCanceled():
                self._on_gone(order_id)
            case OrderCancelRejected():
                self._exits.on_cancel_rejected(order_id, str(event.reason))
            case OrderExpired():
                self._on_expired(order_id, order)

    def _on_accepted(self, order_id: str, order: Order | None, at_ns: int) -> None:
        """Save an entry's lot before it fills; cancel the stops that an accepted one replaces."""
        found = self._exits.find(order_id)
        if found is not None and order is not None and self._exits.is_used(order_id):
            lot, leg = found
            self._log.info(f"The exchange has accepted {describe_exit(order, lot, leg)}")
            self._exits.on_exit_accepted(lot, leg, order_id)
        elif order is not None and self._is_late_exit(order, at_ns):
            self._adopt_or_cancel(found, order_id)
        self._on_change()

    def _adopt_or_cancel(self, found: tuple[Lot, Leg] | None, order_id: str) -> None:
        if found is None or not self._exits.adopt(*found, order_id):
            self._orders.client.cancel(order_id)

    def _is_late_exit(self, order: Order, at_ns: int) -> bool:
        """Return whether an exit of this trader rests that this run does not expect.

        This run has counted it as not placed, or an earlier run was killed while it was on its way.
        Any other one is from a copy of this trader: what is done about its orders, it undoes.
        """
        order_id = order.client_order_id.value
        if leg_and_key(order_id) is None or not self._owns_order(order_id):
            return False
        if order.order_type == OrderType.MARKET or self._guard.is_flattening:
            return False
        is_sent_here = any(isinstance(event, OrderSubmitted) for event in order.events)
        return is_sent_here or at_ns - self._started_ns < PLACED_WITHIN_S * NS_PER_S

    def _on_filled(self, order_id: str, fill: OrderFilled, order: Order | None) -> None:
        """Send exits for what an entry has filled, or reduce the lot that an exit has closed."""
        is_closed = order is not None and order.is_closed
        price, quantity = fill.last_px.as_decimal(), fill.last_qty.as_decimal()
        entry, found = self._entries.find(order_id), self._exits.find(order_id)
        if is_closed:
            self._entries.forget(order_id)
        if entry is not None:
            rung = entry.rung
            self._log.info(f"Filled {quantity} at {price} ({_rung_name(rung)})")
            self._exits.on_entry_filled(_key(order_id), rung.book, price, quantity)
        elif found is not None:
            lot, leg = found
            self._log.info(f"Filled {quantity} at {price} ({lot.book} {exit_kind(leg)})")
            self._exits.on_exit_filled(lot, leg, order_id, quantity, is_closed=is_closed)
            if lot.quantity < 0:
                self._orders.check_lots()  # it has closed what another lot held
        elif order is not None and order_id.startswith("E-") and self._owns_order(order_id):
            book = book_of(order, closes=False)
            self._log.info(f"Filled {quantity} at {price} ({book}), after the entry had ended")
            self._exits.on_entry_filled(_key(order_id), book, price, quantity)
        else:
            self._orders.check_lots()  # a late exit, an order by hand, Binance's deleveraging
        self._on_change()

    def _on_rejected(self, order_id: str, reason: str, *, due_post_only: bool) -> None:
        """Retry an order whose price the market has reached; others are retried after a bar."""
        entry, found = self._entries.forget(order_id), self._exits.find(order_id)
        is_reached = due_post_only
        is_limited = self._exits.note_limit(reason)
        if found is not None and found[1] == "S":
            is_reached = is_stop_reached_error(reason)
        if not is_reached and not is_limited and _is_error(order_id, reason, found):
            self.count_error()  # Nautilus has logged it
        if entry is not None and is_reached:
            self._entries.retry(entry)
            return
        found = self._still_exits(order_id, reason)
        if found is not None:
            self._exits.on_exit_rejected(*found, order_id, reason, is_reached=is_reached)

    def _on_denied(self, order_id: str, reason: str) -> None:
        """Forget an order that Nautilus' risk engine denied; it is retried on the next bar."""
        self._entries.forget(order_id)
        found = self._exits.find(order_id)
        counts = self._guard.is_active and not is_rate_denial(reason)
        if counts and _is_error(order_id, reason, found):
            self.count_error()
        found = self._still_exits(order_id, reason)
        if found is not None:
            self._exits.on_exit_rejected(*found, order_id, reason, is_denied=True)

    def _still_exits(self, order_id: str, reason: str) -> tuple[Lot, Leg] | None:
        """Return the lot that a refused exit was to close, unless somebody else has closed it."""
        if is_nothing_to_close(reason):
            self._orders.heed_positions()
        return self._exits.find(order_id)

    def _on_expired(self, order_id: str, order: Order | None) -> None:
        """Handle an expired order; a post-only order that would have taken expires on Binance."""
        entry, found = self._entries.find(order_id), self._exits.find(order_id)
        would_take = order is not None and order.is_post_only and order.filled_qty == 0
        if entry is not None and would_take:
            self._entries.forget(order_id)
            self._entries.retry(entry)
        elif found is not None and would_take:
            self._exits.on_exit_rejected(*found, order_id, "", is_reached=True)
        elif found is not None:
            self._exits.on_exit_expired(*found, order_id)
        else:
            self._on_gone(order_id)

    def _on_gone(self, order_id: str) -> None:
        """Send entries that fit now, or an exit of another size."""
        entry, found = self._entries.forget(order_id), self._exits.find(order_id)
        if found is not None:
            self._exits.on_exit_canceled(*found, order_id)
        if entry is None:
            return
        self._exits.protect_key(_key(order_id))
        if self._entries.is_incomplete and not self._entries.open_entries()[1]:
            self._update_entries()

    def count_error(self) -> None:
        """Count an order that failed; too many of them open the circuit breaker."""
        if self._guard.count_error(self._now_ns()):
            until = time_text(self._guard.breaker.open_until_ns)
            self._log.error(
                "Too many errors: the circuit breaker is open, so entries are cancelled and none "
                f"are sent until {until}; exits stay. See the warnings above"
            )
            self._entries.cancel_all()
            self._on_change()


def _rung_name(rung: Rung) -> str:
    """Return an entry's place; only this run's ladder has numbered those that it has sent."""
    level = f"rung {rung.level}" if rung.level else "entry that was taken over"
    return f"{rung.book} {level}"


def is_nothing_to_close(reason: str) -> bool:
    """Return whether a closing order was refused because its position is gone, or too small.

    That is Nautilus' denial, or Binance's -2022:
    https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
    """
    return "would increase position" in reason or rejection_code(reason) == _REDUCE_ONLY_REJECTED


def _is_error(order_id: str, reason: str, found: tuple[Lot, Leg] | None) -> bool:
    """Return whether a refused order counts for the circuit breaker.

    An exit that finds nothing to close does not, because somebody else has closed the position; nor
    does one of no lot: it belonged to a lot that is gone, or closes a position for the operator. A
    stop that is repeated counts once.
    """
    if found is None:
        parts = parse_client_order_id(order_id)
        return parts is None or parts.purpose in {None, "entry"}
    lot, leg = found
    return not is_nothing_to_close(reason) and (leg == "T" or not lot.stop_failures)


def _key(order_id: str) -> str:
    return order_id.partition("-")[2]
