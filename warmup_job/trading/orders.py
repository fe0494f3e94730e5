"""What becomes of open orders: by policy, at the end and while bars are missing."""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger
from nautilus_trader.cache.base import CacheFacade
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
        )
        if policy == "cancel_all" or not order.is_reduce_only
    ]


def cancel_orders(cache: CacheFacade, strategies: Sequence[Strategy], policy: Orders) -> None:
    """Ask for the end of those that go by this policy."""
    orders = open_orders(cache, strategies, policy)
    for strategy, order in orders:
        if not order.is_pending_cancel:
            strategy.cancel_order(order)
    if orders:
        logger.warning("{} open order(s) are cancelled ({})", len(orders), policy)
