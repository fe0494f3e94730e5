"""The start of a node: when its strategies run, and what they have to know then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nautilus_trader.common.messages import TradingStateChanged
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import TradingState
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import TraderError


async def until_started(strategies: Sequence[Strategy], timeout_s: float) -> None:
    """Wait for the strategies: a node can be RUNNING though its trader never started.

    Args:
        strategies: all of them have to run.
        timeout_s: how many seconds the start may take.

    Raises:
        TraderError: a strategy stopped as it started, or they do not start in time.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not all(strategy.is_running for strategy in strategies):
        if asyncio.get_running_loop().time() > deadline:
            raise TraderError(
                f"the trader did not start within {timeout_s:.0f} s: is the exchange up, and "
                "does every strategy start? Nautilus' log above may say why"
            )
        if any(strategy.is_stopped for strategy in strategies):
            raise TraderError("a strategy stopped as it started; see its log above")
        await asyncio.sleep(0.005)


def announce_trading_state(node: TradingNode, state: TradingState) -> None:
    """Publish whether trading is on, as Nautilus' risk engine publishes its state.

    Args:
        node: its strategies may have subscribed to ``events.risk``.
        state: HALTED or ACTIVE.
    """
    kernel = node.kernel
    now_ns = kernel.clock.timestamp_ns()
    event = TradingStateChanged(node.trader_id, state, {}, UUID4(), now_ns, now_ns)
    kernel.msgbus.publish("events.risk", event)
