"""What becomes of open orders: by policy, at the end and while bars are missing."""

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
    """Those that go by this policy."""
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
    """Whether an order was made that no engine has dealt with: it is neither open nor in flight.

    Nautilus' queues do not tell: a command is put into them only with the loop's next step.
    """
    return any(
        order.status in {OrderStatus.INITIALIZED, OrderStatus.RELEASED}
        for strategy in strategies
        for order in cache.orders(strategy_id=strategy.id)
    )


def cancel_orders(cache: CacheFacade, strategies: Sequence[Strategy], policy: Orders) -> int:
    """Ask for the end of those that go by this policy and have no cancel under way.

    An order that was on its way to the exchange can be accepted after its cancel was refused: ask
    again until `open_orders` is empty.

    Returns:
        How many were asked for.
    """
    asked = 0
    for strategy, order in open_orders(cache, strategies, policy):
        if not order.is_pending_cancel:
            strategy.cancel_order(order)
            asked += 1
    return asked
