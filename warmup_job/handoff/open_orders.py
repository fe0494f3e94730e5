"""Open orders that a policy cancels: when the trader stops and while bars are missing."""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.modes import Orders


def open_orders(
    cache: CacheFacade, strategies: Sequence[Strategy], policy: Orders
) -> list[tuple[Strategy, Order]]:
    """Return the open, sent and emulated orders that the policy cancels, with their strategy."""
    if policy == "keep":
        return []
    return [
        (strategy, order)
        for strategy in strategies
        for order in (
            *cache.orders_open(strategy_id=strategy.id),
            *cache.orders_inflight(strategy_id=strategy.id),
            *cache.orders_emulated(strategy_id=strategy.id),
        )
        if policy == "cancel_all" or not order.is_reduce_only
    ]


def has_orders_under_way(cache: CacheFacade, strategies: Sequence[Strategy]) -> bool:
    """Return whether the exchange has yet to answer about an order, or has not received it.

    Nautilus' queues do not show it: a command is put into them only in the loop's next step.
    """
    return any(
        order.is_inflight or order.status in {OrderStatus.INITIALIZED, OrderStatus.RELEASED}
        for strategy in strategies
        for order in cache.orders(strategy_id=strategy.id)
    )


def cancel_orders(cache: CacheFacade, strategies: Sequence[Strategy], policy: Orders) -> int:
    """Send a cancel for every order that the policy cancels and that has none pending.

    An order that was on its way to the exchange can be accepted after its cancel was refused, so
    repeat this until `open_orders` is empty.

    Returns:
        How many cancels were sent.
    """
    sent = 0
    for strategy, order in open_orders(cache, strategies, policy):
        if not order.is_pending_cancel:
            strategy.cancel_order(order)
            sent += 1
    return sent
