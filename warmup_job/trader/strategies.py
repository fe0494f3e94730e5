"""Make the configured strategies as Nautilus runs them."""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import ConfigError
from warmup_job.plan.strategy_plan import StrategyPlan
from warmup_job.trader.imported_strategies import import_strategy, without_secrets


def make_strategies(plans: Iterable[StrategyPlan]) -> list[Strategy]:
    """Make one of each strategy, in order.

    Raises:
        ConfigError: a class cannot be imported, or refuses its configuration.
    """
    return [_make(plan, index) for index, plan in enumerate(plans)]


def _make(plan: StrategyPlan, index: int) -> Strategy:
    strategy_class, config = import_strategy(plan, index)
    try:
        return strategy_class(config=config)
    except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises
        reason = without_secrets(" ".join(str(error).split()), plan.fields)
        raise ConfigError(
            f"{plan.strategy_path} cannot be made: {type(error).__name__}: {reason}"
        ) from None
