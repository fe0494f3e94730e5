"""The end of a run: open orders by policy, state to disk, then the node."""

from __future__ import annotations

import asyncio
import contextlib

from loguru import logger
from nautilus_trader.live.node import TradingNode

from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.modes import Orders

_CANCEL_AGAIN_S = 0.05
_CANCEL_S = 3.0  # how long cancels may take
_STOP_S = 10.0


async def cancel_at_the_end(
    own_orders: OwnOrders, node_task: asyncio.Task[None], policy: Orders
) -> None:
    """Cancel what the policy names until nothing of it is open, for at most 3 s.

    An exit that is being replaced by one of another size gets its successor within that time.

    Args:
        own_orders: the trader's.
        node_task: runs the node; nothing is waited for once it has ended.
        policy: which orders to cancel.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CANCEL_S):
            while not node_task.done() and (
                own_orders.are_under_way() or own_orders.select(policy)
            ):
                await asyncio.sleep(_CANCEL_AGAIN_S)
                own_orders.cancel(policy)


async def stop_node(node: TradingNode, node_task: asyncio.Task[None]) -> None:
    """Stop the node, for at most 10 s, and log what it leaves open at the exchange."""
    was_running = node.trader.is_running
    if not was_running:
        node_task.cancel()  # it may wait for the exchange for long
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await node.stop_async()
            await asyncio.wait({node_task})
    if was_running:  # else Nautilus does not know what is open
        logger.info("left open: {}", _describe_open(node))


def _describe_open(node: TradingNode) -> str:
    """Return the open positions and the number of open orders, as Nautilus knows them."""
    positions = ", ".join(
        f"{each.quantity} of {each.id}" for each in sorted(node.cache.positions_open(), key=str)
    )
    return f"{positions or 'no position'}; {len(node.cache.orders_open())} order(s)"
