"""The end of a run: open orders by policy, state to disk, then the node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from loguru import logger
from nautilus_trader.common.messages import ShutdownSystem
from nautilus_trader.live.node import TradingNode

from warmup_job.errors import LiveRefusedError, TraderError
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.modes import Orders

_CANCEL_AGAIN_S = 0.05
_CANCEL_S = 3.0  # how long cancels may take
_STOP_S = 10.0


def take_over_shutdown(node: TradingNode, on_failure: Callable[[BaseException], object]) -> None:
    """End the run in order when Nautilus must stop: it would end at once, with its orders open.

    Args:
        node: the node; it is built.
        on_failure: ends the run with an error.
    """

    def on_command(command: ShutdownSystem) -> None:
        on_failure(TraderError(f"Nautilus must stop: {command.reason}; see its log above"))

    kernel, topic = node.kernel, "commands.system.shutdown"
    kernel.msgbus.unsubscribe(topic, kernel._on_shutdown_system)
    kernel.msgbus.subscribe(topic, on_command)


def orders_to_cancel(error: BaseException | None, on_stop: Orders, own_orders: OwnOrders) -> Orders:
    """Return what happens to open orders now.

    Args:
        error: what has ended the run; None: it was asked to end.
        on_stop: the policy.
        own_orders: the trader's.
    """
    if not isinstance(error, LiveRefusedError):
        return on_stop
    # Another trader goes on: only what this run has sent is cancelled, but that is.
    own_orders.only_this_run = True
    return "cancel_entries" if on_stop == "keep" else on_stop


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
