"""Check that every strategy can be imported and made, and that its indicators are declared."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout

from nautilus_trader.indicators import Indicator
from nautilus_trader.trading.strategy import Strategy

from warmup_job.doctor.finding import Finding, failed, passed, skipped, warned
from warmup_job.errors import ConfigError
from warmup_job.handoff.live_bars.declared_indicators import differences
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.trader.strategies import make_strategies

_REMEDY = (
    "correct strategy_path, config_path and config in the strategy file, and name the strategy's "
    "folder in import_from or put it on PYTHONPATH (docs/how-to/your-own-strategy.md)"
)


def check_strategies_and_indicators(plan: WarmupPlan) -> list[Finding]:
    """Import and make every strategy, and compare its indicators with ``warmup.indicators``.

    The strategies are not started. So this sees the indicators that a strategy makes in
    ``__init__`` and keeps as attributes, and not those that it makes in ``on_start``.
    """
    if not plan.strategies:
        return [skipped(check, "no strategy is configured") for check in ("strategy", "indicators")]
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            made = make_strategies(plan.strategies)
    except ConfigError as error:
        return [
            failed("strategy", error, _REMEDY),
            skipped("indicators", "a strategy cannot be imported"),
        ]
    names = ", ".join(each.class_name for each in plan.strategies)
    imported = [
        strategy
        for strategy, planned in zip(made, plan.strategies, strict=True)
        if not planned.is_built_in
    ]
    declared = {
        (each.kind, each.period) for stream in plan.strategy_streams for each in stream.indicators
    }
    found = [passed("strategy", f"{names}: imported and made with its configuration")]
    if not imported:
        counted = "HedgeGridV1's detector says itself how many bars it needs"
        return [*found, passed("indicators", counted)]
    return [*found, *judge_indicators(sorted(declared), imported)]


def judge_indicators(
    declared: Iterable[tuple[str, int]], strategies: Iterable[Strategy]
) -> list[Finding]:
    """Compare the declared indicators with those that strategies have as attributes.

    Args:
        declared: Kind and period (bars) of each.
        strategies: The strategies, made and not started.
    """
    wanted = list(declared)
    made = [each for strategy in strategies for each in own_indicators(strategy)]
    lines = differences(wanted, made, verb="made")
    if lines:
        return [warned("indicators", line) for line in lines]
    if not made:
        return [
            skipped("indicators", "the strategy has no indicators of Nautilus' before its start")
        ]
    return [passed("indicators", f"declared: {', '.join(sorted(map(str, made)))}")]


def own_indicators(strategy: Strategy) -> Iterator[Indicator]:
    """Yield the indicators in a strategy's attributes, also in lists, tuples, sets and mappings."""
    for value in vars(strategy).values():
        inside = value.values() if isinstance(value, Mapping) else value
        several = isinstance(value, list | tuple | set | Mapping)
        for each in inside if several else (value,):
            if isinstance(each, Indicator):
                yield each
