"""What follows from the operator's wish: the strategies learn of it, and positions are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.built_node import BuiltNode
from warmup_job.handoff.flatten import Flattening, ReadPositions
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.run_tasks import RunTasks
from warmup_job.handoff.strategy_features import HeedsOperator


class OperatorActions:
    """Acts on the operator's wish. Entries that must not rest are cancelled by the runner.

    Args:
        operator: whose wish it is.
        strategies: learn of the wish, and send the orders that close positions.
        read: returns the positions of the traded instruments, as the exchange reports them.
        tasks: runs what closes the positions.
    """

    def __init__(
        self,
        operator: OperatorControl,
        strategies: Sequence[Strategy],
        read: ReadPositions,
        tasks: RunTasks,
    ) -> None:
        self._operator = operator
        self._strategies = strategies
        self._read = read
        self._tasks = tasks
        self._flattening: asyncio.Task[None] | None = None

    def tell_strategies(self) -> None:
        """Tell the wish to the strategies that heed it."""
        for strategy in self._strategies:
            if isinstance(strategy, HeedsOperator):
                strategy.on_operator_state(self._operator.state)

    def flatten_if_wanted(self, built: BuiltNode) -> None:
        """Begin to close the positions of a node, unless that is under way."""
        is_busy = self._flattening is not None and not self._flattening.done()
        if self._operator.state == "flattening" and not is_busy:
            flattening = Flattening(
                built.node.cache, self._strategies, built.own_orders, self._read, self._operator
            )
            self._flattening = self._tasks.start(flattening.run(), "flatten")
