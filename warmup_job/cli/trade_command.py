"""``warmup-job trade``."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click
import msgspec

from warmup_job.cli.config_options import check_strategies, on_config
from warmup_job.cli.shared_options import as_json_option, checked
from warmup_job.cli.until_stopped import until_stopped
from warmup_job.errors import StoppedError, TraderError
from warmup_job.process.logs import reserve_stdout_for_results

if TYPE_CHECKING:
    from warmup_job.modes import Mode
    from warmup_job.plan.warmup_plan import WarmupPlan
    from warmup_job.trader.summary import TradeSummary


@click.command()
@on_config
@click.option("--mode", envvar="WARMUP_MODE", show_envvar=True, required=True,
              type=click.Choice(["paper", "live"]))  # fmt: skip
@click.option("--for", "span", envvar="WARMUP_FOR", show_envvar=True, metavar="DURATION",
              help="Stop by itself after so long.")  # fmt: skip
@click.option("--node-log-level", envvar="WARMUP_NODE_LOG_LEVEL", show_envvar=True,
              default="WARNING", show_default=True,
              type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
              help="Of Nautilus' own log; the strategy's is always shown.")  # fmt: skip
@as_json_option
@click.pass_obj
def trade(
    stderr: AbstractContextManager[None],
    plan: WarmupPlan,
    mode: Mode,
    span: str | None,
    node_log_level: str,
    as_json: bool,
) -> None:
    """Verify the snapshot, warm the strategy with it, and go live; orders only when it is warm."""
    from warmup_job.config import duration_ms

    span_ms = None if span is None else checked("--for", lambda: duration_ms(span))
    speakers = frozenset(strategy.class_name for strategy in plan.strategies)
    kept = reserve_stdout_for_results(node_log_level.upper(), speakers)
    with kept as results, stderr:
        check_strategies(plan)
        from warmup_job.trader.run_trader import trade as run_trader

        async def until_told() -> TradeSummary:
            stop = asyncio.Event()
            if span_ms is not None:
                asyncio.get_running_loop().call_later(span_ms / 1000, stop.set)
            return await run_trader(plan, mode, stop=stop)

        summary = until_stopped(until_told())
        if as_json:
            results.write(msgspec.json.encode(summary).decode() + "\n")
        else:
            regime = f" regime {summary.regime};" if summary.regime else ""
            start = f"warm, on {summary.history_bars} bars" if summary.warm_start else "COLD"
            results.write(
                f"started {start}; {summary.handed_on} bars in all, {summary.live_bars} of them "
                f"by the live stream;{regime} {summary.orders} orders, {summary.fills} fills, "
                f"{summary.positions_open} open position(s)\n"
            )
    if summary.stopped_by_signal:
        raise StoppedError(
            "stopped by a signal: open orders by trade.on_stop, state saved, node shut down"
        )
    if summary.live_after_s is None:
        raise TraderError(
            f"the trader stopped without ever having been live (last {summary.last_state})"
        )
