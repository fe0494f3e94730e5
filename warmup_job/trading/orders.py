"""What becomes of open orders: by policy, at the end and while bars are missing."""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel
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


def has_orders_under_way(kernel: NautilusKernel) -> bool:
    """Whether commands or events wait in the engines' queues: an order there is in no cache yet."""
    return bool(
        kernel.risk_engine.cmd_qsize()
        or kernel.exec_engine.cmd_qsize()
        or kernel.exec_engine.evt_qsize()
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
