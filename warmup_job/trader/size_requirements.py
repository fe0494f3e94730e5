"""The hedge grid's order sizes at the newest price, before anything is traded."""

from __future__ import annotations

from collections.abc import Iterable

from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.order_sizes import size_problems
from warmup_job.plan.strategy_plan import StrategyPlan
from warmup_job.trader.imported_strategies import import_strategy


def order_size_problems(plans: Iterable[StrategyPlan], histories: Iterable[History]) -> list[str]:
    """Return which grids have sizes that are too small or too large to be sent.

    A grid without a history or an instrument is not judged: it has no price yet. It leaves such
    orders out later.

    Args:
        plans: The configured strategies.
        histories: What the strategies start from.
    """
    newest = {
        history.bar_type.instrument_id: history
        for history in histories
        if history.bars and history.instrument is not None
    }
    problems = []
    for index, plan in enumerate(plans):
        if not plan.is_built_in:
            continue
        _, config = import_strategy(plan, index)
        assert isinstance(config, HedgeGridV1Config)  # noqa: S101 - its plan says so
        history = newest.get(config.instrument_id)
        if history is None or history.instrument is None:
            continue
        price = history.bars[-1].close.as_decimal()
        found = size_problems(price, grid_settings(config), history.instrument)
        problems += [f"{config.instrument_id}: {problem}" for problem in found]
    return problems
