"""Lets strategies that a drawdown has stopped trade again, when the operator asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import TraderError
from warmup_job.handoff.runner import BaseRunner
from warmup_job.handoff.strategy_features import LiftsDrawdownStop


def lift_drawdown_stops(strategies: Sequence[Strategy], runner: BaseRunner) -> int:
    """Lift the stop of every strategy that has one; return how many had.

    Args:
        strategies: what the runner runs.
        runner: ends the run if a strategy fails.

    Raises:
        TraderError: the strategies have not started, so their saved state is unknown, or one
            failed.
    """
    if not all(each.is_running for each in strategies):
        raise TraderError(
            "its strategies have not started: ask again once `warmup-job trader status` says that "
            "it is live, paused or degraded"
        )
    able = [each for each in strategies if isinstance(each, LiftsDrawdownStop)]
    try:
        return sum(each.lift_drawdown_stop() for each in able)
    except Exception as error:
        runner.on_failure(error)
        raise TraderError("a strategy failed, and the trader stops: see its log") from error
