"""The paper trader as a node in the test process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nautilus_trader.model.data import BarType

from tests.support.waiting import until_async
from warmup_job.handoff.paper_runner import PaperRunner
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.market.interval import Interval
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.trader.strategies import make_strategies

MINUTE = Interval.parse("1m")
BAR_TYPE = BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")


def make_grid(plan: WarmupPlan) -> HedgeGridV1:
    (strategy,) = make_strategies(plan.strategies)
    assert isinstance(strategy, HedgeGridV1)
    return strategy


async def run_until(runner: PaperRunner, condition: Callable[[], object]) -> None:
    """Run the node until the condition holds."""
    stop = asyncio.Event()

    async def watch() -> None:
        try:
            await until_async(condition)
        finally:
            stop.set()

    watcher = asyncio.create_task(watch())
    try:
        await runner.run(stop)
    finally:
        watcher.cancel()
    await watcher
