"""One session of the trader: strategies, node and runner, from the histories to the summary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from warmup_job.errors import ConfigError
from warmup_job.handoff.identity_file import adopt
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.reporting.report import Reporter, process_started_ms
from warmup_job.handoff.runner import BaseRunner
from warmup_job.handoff.state_dir import StateDir
from warmup_job.handoff.strategy_features import HasDetector
from warmup_job.modes import Mode
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.process.fast_start import resume_garbage_collector
from warmup_job.regime.detector import RegimeDetector
from warmup_job.trader.build_runner import build_runner
from warmup_job.trader.drawdown_stops import lift_drawdown_stops
from warmup_job.trader.history import load_histories
from warmup_job.trader.live_requirements import check_live_requirements
from warmup_job.trader.size_requirements import order_size_problems
from warmup_job.trader.snapshot_wait import SnapshotWait
from warmup_job.trader.strategies import make_strategies
from warmup_job.trader.summary import TradeSummary

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


_JOB_ENDS_MS = 10_000  # a job that gives up at its deadline still has to start and to end


async def run_session(
    plan: WarmupPlan,
    mode: Mode,
    client: BinanceClient,
    stop: asyncio.Event,
    reporter: Reporter,
    state_dir: StateDir,
    operator: OperatorControl,
    identity: TraderIdentity,
    *,
    take_over: bool,
    job: Callable[[], int | None] | None = None,
) -> TradeSummary:
    """Warm up, go live and trade until ``stop`` is set or a signal comes.

    Args:
        plan: the resolved configuration.
        mode: paper or live.
        client: a client of the exchange whose clock has been synchronised.
        stop: set it to shut the trader down.
        reporter: publishes the runner's reports.
        state_dir: where the strategies' states are saved.
        operator: what the operator wants.
        identity: marks the trader's orders.
        take_over: whether open orders of other traders become this one's.
        job: returns the exit code of the job that this process has started, None while it runs;
            the trader waits for its end. None: the wait is ``trade.wait_for_snapshot``.

    Raises:
        ConfigError: on paper, the exchange's minimum would make orders much larger than configured.
        LiveRefusedError: in live mode, a requirement is not met.
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        TraderError: the node did not start, or could not continue.
    """
    resume_garbage_collector()
    strategies = make_strategies(plan.strategies)
    runner = build_runner(
        plan, mode, client, strategies, state_dir, operator=operator, identity=identity
    )
    runner.on_report, reporter.make = reporter.publish, runner.report
    reporter.make_markets = runner.markets
    operator.on_lift = partial(lift_drawdown_stops, strategies, runner)
    runner.enter("verifying", str(plan.root))
    wait = SnapshotWait(
        plan.trader.wait_for_snapshot_ms if job is None else plan.deadline_ms + _JOB_ENDS_MS,
        process_started_ms(),
        # A job that ends because both are asked to stop is no reason to fetch a window.
        None if job is None else lambda: None if stop.is_set() else job(),
        on_wait=partial(runner.enter, "verifying"),
    )
    if mode == "live":  # check the requirements before there is a node
        start = await check_live_requirements(plan, client, identity, wait, take_over=take_over)
        if start.adopted:
            identity = adopt(state_dir, identity, start.adopted)
            runner.settings = replace(runner.settings, identity=identity)
        loaded = asyncio.create_task(start.loaded())
    else:
        loaded = asyncio.create_task(_load_for_paper(plan, client, wait))
    try:
        await runner.run(stop, lambda: loaded)
    finally:
        loaded.cancel()
    return summarise(runner)


async def _load_for_paper(
    plan: WarmupPlan, client: BinanceClient, wait: SnapshotWait
) -> list[History]:
    histories = await load_histories(plan, client, wait)
    problems = order_size_problems(plan.strategies, histories)
    if problems:
        raise ConfigError("\n  ".join(problems))
    return histories


def summarise(runner: BaseRunner) -> TradeSummary:
    """Return what a run has done."""
    regimes = []
    positions, closed = 0, runner.closed_orders
    orders, fills = (0, 0) if closed is None else (closed.removed, closed.removed_fills)
    for strategy in runner.strategies:
        sent = strategy.cache.orders(strategy_id=strategy.id)
        orders += len(sent)
        fills += sum(len(order.trade_ids) for order in sent)
        positions += strategy.cache.positions_open_count(strategy_id=strategy.id)
        detector = strategy.detector if isinstance(strategy, HasDetector) else None
        if isinstance(detector, RegimeDetector) and detector.bars:
            regimes.append(detector.regime.value)
    report = runner.report()
    return TradeSummary(
        mode=runner.mode,
        warm_start=runner.started_warm,
        history_bars=runner.history_bars,
        handed_on=runner.delivered.all,
        live_bars=runner.delivered.live,
        live_after_s=report.live_after_s,
        regime=", ".join(regimes),
        orders=orders,
        fills=fills,
        positions_open=positions,
        stopped_by_signal=runner.signalled,
        entries_left=0 if report.uncancelled is None else len(report.uncancelled.ids),
        last_state=runner.last_reason,
    )
