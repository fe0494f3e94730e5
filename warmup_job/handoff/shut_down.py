"""The end of a run: open orders by policy, exits that are owed, state to disk, then the node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence

from loguru import logger
from nautilus_trader.common.messages import ShutdownSystem
from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import LiveRefusedError, TraderError
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.reporting.figures import grid_reports
from warmup_job.handoff.strategy_features import ReportsOwedExits
from warmup_job.modes import Orders

_LOOK_S = 0.05
_SETTLE_S = 3.0  # how long orders may take
_CANCEL_S = 10.0  # how long cancels are repeated if the exchange refuses them
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


class LastOrders:
    """The orders of a run that ends.

    The strategies still run, so they act on what the exchange says of their exits.

    Args:
        own_orders: the trader's.
        strategies: the node's.
        node_task: runs the node; nothing is waited for once it has ended.
        policy: which orders to cancel.
    """

    def __init__(
        self,
        own_orders: OwnOrders,
        strategies: Sequence[Strategy],
        node_task: asyncio.Task[None],
        policy: Orders,
    ) -> None:
        self._own_orders = own_orders
        self._strategies = strategies
        self._node_task = node_task
        self._policy: Orders = policy

    @property
    def are_settled(self) -> bool:
        """Whether nothing is to be cancelled, is under way or is owed."""
        return self._node_task.done() or not (
            self._own_orders.are_under_way()
            or self._own_orders.select(self._policy)
            or self._are_exits_owed()
        )

    def _are_exits_owed(self) -> bool:
        return any(
            each.is_running and isinstance(each, ReportsOwedExits) and each.owes_exits
            for each in self._strategies
        )

    async def settle(self) -> None:
        """Cancel what the policy names, and wait until the orders are settled, for at most 3 s.

        An exit that is being replaced by one of another size gets its successor within that time,
        and a position whose stop loss was refused is closed. While something that the policy
        cancels is open, it waits for at most 10 s.
        """
        await self._settle(_CANCEL_S, _SETTLE_S)

    async def _settle(self, cancel_s: float, settle_s: float) -> None:
        clock_s = asyncio.get_running_loop().time
        began_s = clock_s()
        while not self.are_settled:
            is_open = bool(self._own_orders.select(self._policy))
            if clock_s() > began_s + (cancel_s if is_open else settle_s):
                return
            await asyncio.sleep(_LOOK_S)
            self._own_orders.cancel(self._policy)

    async def settle_and_save(self, save: Callable[[], Awaitable[bool]]) -> None:
        """Save the states, and settle what the exchange says meanwhile, for at most 3 s.

        When this returns in time, the orders are settled: stop the strategies before the event
        loop runs again, so that none of them handles an exit by half.

        Args:
            save: saves the strategies' states; returns whether they are on the disk.
        """
        loop = asyncio.get_running_loop()
        is_saved, end_at = await save(), loop.time() + _SETTLE_S
        while not self.are_settled and loop.time() < end_at:
            left_s = end_at - loop.time()
            await self._settle(left_s, left_s)
            is_saved = is_saved and await save()  # a disk that hangs is waited for once

    def tell_unprotected(self) -> None:
        """Log as an error which part of a position is left without a stop loss.

        Nothing is logged if the policy has cancelled the stops, or another trader goes on.
        """
        if self._policy == "cancel_all" or self._own_orders.only_this_run:
            return
        bare = ", ".join(_describe_unprotected(self._strategies))
        if bare:
            logger.error(
                "{position} left WITHOUT A STOP LOSS: start the trader again, which sends it, or "
                "close the position at the exchange",
                event="run.left_unprotected",
                position=bare,
            )


def _describe_unprotected(strategies: Sequence[Strategy]) -> Iterator[str]:
    for grid in grid_reports(strategies):
        for book, report in grid.books.items():
            if report.unprotected:
                quantity = f"{report.unprotected.normalize():f} {grid.base_currency}"
                yield f"{quantity} of {grid.instrument_id}-{book}"


async def stop_node(
    node: TradingNode, node_task: asyncio.Task[None], own_orders: OwnOrders
) -> None:
    """Stop the node, for at most 10 s, and log what it leaves open at the exchange."""
    was_running = node.trader.is_running
    if not was_running:
        node_task.cancel()  # it may wait for the exchange for long
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await node.stop_async()
            await asyncio.wait({node_task})
    if was_running:  # else Nautilus does not know what is open
        logger.info(
            "left open: {orders}", event="run.left_open", orders=_describe_open(node, own_orders)
        )


def _describe_open(node: TradingNode, own_orders: OwnOrders) -> str:
    """Return the open positions and the numbers of open orders, as Nautilus knows them."""
    own = {order.client_order_id for _, order in own_orders.select("cancel_all")}
    entries = len(own_orders.select("cancel_entries"))
    others = sum(order.client_order_id not in own for order in node.cache.orders_open())
    orders = f"entries: {entries}, exits: {len(own) - entries}, orders of others: {others}"
    positions = ", ".join(
        f"{each.quantity} of {each.id}" for each in sorted(node.cache.positions_open(), key=str)
    )
    return f"{positions or 'no position'}; {orders}"
