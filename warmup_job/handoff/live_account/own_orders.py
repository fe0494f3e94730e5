"""The trader's own open orders, and which of them a policy cancels.

Nautilus hands a strategy every order on its instruments, other people's too. What is the trader's
own and what is an exit follows from the order's id, because the flag reduce-only does not return
from Binance's hedge mode.
"""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import OrderSide, OrderStatus
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.outgoing_orders.closed_orders import was_sent
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.market.client_order_ids import parse_client_order_id
from warmup_job.modes import Orders


class OwnOrders:
    """The open orders of a node's strategies that are the trader's own.

    Args:
        cache: the node's.
        strategies: send the cancels.
        identity: tells which orders of before the start are the trader's.
    """

    def __init__(
        self, cache: CacheFacade, strategies: Sequence[Strategy], identity: TraderIdentity
    ) -> None:
        self.only_this_run = False
        """Whether only what this run has sent counts: another trader has started earlier."""
        self._cancelled: set[ClientOrderId] = set()  # open ones
        self._cache = cache
        self._strategies = strategies
        self._identity = identity

    def select(self, policy: Orders) -> list[tuple[Strategy, Order]]:
        """Return the open, sent and emulated orders that a policy cancels, with their strategy."""
        if policy == "keep":
            return []
        found = {
            order.client_order_id: (strategy, order)  # one with a pending cancel is open, too
            for strategy in self._strategies
            for order in (
                *self._cache.orders_open(strategy_id=strategy.id),
                *self._cache.orders_inflight(strategy_id=strategy.id),
                *self._cache.orders_emulated(strategy_id=strategy.id),
            )
            if self._is_own(order) and (policy == "cancel_all" or not self._is_exit(order))
        }
        return list(found.values())

    def are_under_way(self) -> bool:
        """Return whether the exchange has yet to answer about an order, or has not received it.

        Nautilus' queues do not show it: a command is put into them only in the loop's next step.
        """
        return any(
            order.is_inflight or order.status in {OrderStatus.INITIALIZED, OrderStatus.RELEASED}
            for strategy in self._strategies
            for order in map(self._cache.order, self._unfinished(strategy))
        )

    def _unfinished(self, strategy: Strategy) -> set[ClientOrderId]:
        """Return the ids of a strategy's orders that are not closed; by then most of them are."""
        made: set[ClientOrderId] = self._cache.client_order_ids(strategy_id=strategy.id)
        closed: set[ClientOrderId] = self._cache.client_order_ids_closed(strategy_id=strategy.id)
        return made - closed

    def cancel(self, policy: Orders) -> int:
        """Send a cancel for every order that a policy cancels and that has none pending.

        An order that was on its way to the exchange can be accepted after its cancel was refused,
        so repeat this until `select` is empty.

        Returns:
            How many orders this has cancelled for the first time.
        """
        known = {each for each in self._cancelled if self._is_unfinished(each)}
        self._cancelled = set(known)
        for strategy, order in self.select(policy):
            if not order.is_pending_cancel:
                strategy.cancel_order(order)
                self._cancelled.add(order.client_order_id)
        return len(self._cancelled - known)

    def _is_unfinished(self, order_id: ClientOrderId) -> bool:
        order = self._cache.order(order_id)
        return order is not None and not order.is_closed

    def _is_own(self, order: Order) -> bool:
        if order.is_active_local or was_sent(order):
            return True
        return not self.only_this_run and self._identity.owns(order.client_order_id.value)

    def _is_exit(self, order: Order) -> bool:
        parts = parse_client_order_id(order.client_order_id.value)
        if parts is not None and parts.purpose is not None:
            return parts.purpose != "entry"
        position_id = self._cache.position_id(order.client_order_id)
        book = "" if position_id is None else position_id.value.rpartition("-")[2]
        closes = {"LONG": OrderSide.SELL, "SHORT": OrderSide.BUY}
        return bool(order.is_reduce_only) or closes.get(book) == order.side
