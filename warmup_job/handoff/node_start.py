"""The start of a node: its strategies run, and their histories are loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import TraderError
from warmup_job.handoff.live_bars.stream_history import History

type Load = Callable[[], Awaitable[Sequence[History]]]


async def start_and_load(
    strategies: Sequence[Strategy],
    timeout_s: float,
    load: Load | None,
    take: Callable[[Sequence[History]], object],
) -> None:
    """Wait until the strategies run and their histories are loaded.

    Args:
        strategies: all of them have to run.
        timeout_s: how many seconds the start may take.
        load: loads the histories; None: there is nothing to load.
        take: called with the histories as soon as they are loaded.

    Raises:
        TraderError: the strategies do not start.
        WarmupError: ``load`` failed.
    """

    async def load_and_take(load: Load) -> None:
        take(await load())

    started = until_started(strategies, timeout_s)
    waiting = {asyncio.create_task(started, name="started")}
    if load is not None:
        waiting.add(asyncio.create_task(load_and_take(load), name="load"))
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in waiting:
            task.cancel()


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
