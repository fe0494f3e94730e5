"""``warmup-job trade``."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from warmup_job.catalog.installed_nautilus import require_nautilus
from warmup_job.cli.config_options import ConfigCommand, check_strategies, on_config
from warmup_job.cli.log_options import LogSettings
from warmup_job.cli.renamed_option import RenamedOption
from warmup_job.cli.sectioned_command import examples
from warmup_job.cli.shared_options import as_json_option, to_duration_ms
from warmup_job.cli.until_stopped import until_stopped
from warmup_job.errors import StoppedError, TraderError
from warmup_job.process.logs import reserve_stdout_for_results

if TYPE_CHECKING:
    from warmup_job.modes import Mode
    from warmup_job.plan.warmup_plan import WarmupPlan
    from warmup_job.process.child_process import ChildProcess
    from warmup_job.trader.summary import TradeSummary


class TradeOptions(NamedTuple):
    """The options of `trading_options`."""

    mode: Mode
    span_ms: int | None
    """When the trader stops, ms after its start; None: when it is stopped."""
    take_over: bool
    node_log_level: str
    as_json: bool


def trading_options[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of a trader, and pass them to it as ``options``.

    It is refused where Nautilus is not installed.
    """

    @functools.wraps(command)
    def called(plan: WarmupPlan, **kwargs: Any) -> R:  # noqa: ANN401  # click's parsed options
        require_nautilus(str(click.get_current_context().command.name))
        options = TradeOptions(*(kwargs.pop(name) for name in TradeOptions._fields))
        return command(plan, options=options, **kwargs)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


_OPTIONS = (
    click.option("--mode", envvar="WARMUP_MODE", show_envvar=True, required=True,
                 type=click.Choice(["paper", "live"]),
                 help="paper: simulated orders; live: real orders on Binance."),
    click.option(
        "--stop-after",
        "span_ms",
        cls=RenamedOption,
        old_flag="--for",
        old_variable="WARMUP_FOR",
        envvar="WARMUP_STOP_AFTER",
        show_envvar=True,
        metavar="DURATION",
        callback=to_duration_ms,
        help="Stop the trader after this time. Omit to run until stopped.",
    ),
    click.option("--take-over", is_flag=True, envvar="WARMUP_TAKE_OVER", show_envvar=True,
                 help="Live only, once: open orders of another trader, which no longer runs, "
                 "become this trader's."),
    click.option("--node-log-level", envvar="WARMUP_NODE_LOG_LEVEL", show_envvar=True,
                 default="WARNING", show_default=True,
                 type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
                 help="Level of Nautilus' own log. The strategy's log is always shown."),
    as_json_option,
)  # fmt: skip


@click.command(
    cls=ConfigCommand,
    epilog=examples(
        "warmup-job trade --mode paper --root ./snapshot --state-dir ./state",
        "warmup-job trade --mode paper --stop-after 10m --json",
        "warmup-job trade --mode live --http-port 8081",
    ),
)
@on_config
@trading_options
@click.pass_obj
def trade(logs: LogSettings, plan: WarmupPlan, options: TradeOptions) -> None:
    """Verify the snapshot, warm up the strategies with it, and go live.

    No order leaves before a strategy is warm.
    """
    trade_to_the_end(logs, plan, options)


def trade_to_the_end(
    logs: LogSettings, plan: WarmupPlan, options: TradeOptions, job: ChildProcess | None = None
) -> None:
    """Run the trader, print its summary, and raise what decides on the exit code.

    Args:
        logs: How much is logged.
        plan: The resolved configuration.
        options: The command's options.
        job: A job that this process has started; it ends when the trader is asked to stop.

    Raises:
        StoppedError: A signal stopped the trader.
        TraderError: The trader stopped before it was ever live.
        WarmupError: It could not start or go on.
    """
    speakers = frozenset(strategy.class_name for strategy in plan.strategies)
    kept = reserve_stdout_for_results(options.node_log_level.upper(), speakers)
    with kept as results, logs.relayed_stderr():
        check_strategies(plan)
        from warmup_job.trader.run_trader import trade as run_trader

        async def run_to_its_end() -> TradeSummary:
            stop = asyncio.Event()
            if options.span_ms is not None:
                asyncio.get_running_loop().call_later(options.span_ms / 1000, stop.set)
            if job is None:
                return await run_trader(plan, options.mode, stop=stop, take_over=options.take_over)
            ending = asyncio.create_task(_end_with(job, stop), name="job's end")
            try:
                return await run_trader(
                    plan, options.mode, stop=stop, take_over=options.take_over, job=job.poll
                )
            finally:
                ending.cancel()

        summary = until_stopped(run_to_its_end())
        if options.as_json:
            results.write(msgspec.json.encode(summary).decode() + "\n")
        else:
            regime = f" regime {summary.regime};" if summary.regime else ""
            start = (
                f"warm with {summary.history_bars} bars of history"
                if summary.warm_start
                else "COLD"
            )
            results.write(
                f"started {start}; {summary.handed_on} bars in total, {summary.live_bars} of them "
                f"from the live stream;{regime} {summary.orders} orders, {summary.fills} fills, "
                f"{summary.positions_open} open position(s)\n"
            )
    if summary.stopped_by_signal:
        orders = "open orders handled by trade.on_stop"
        if summary.entries_left:
            orders = f"{summary.entries_left} open entries NOT CANCELLED, see the ERROR above"
        raise StoppedError(f"stopped by a signal: {orders}, state saved, node shut down")
    if summary.live_after_s is None:
        raise TraderError(
            f"the trader stopped before it was ever live (last state: {summary.last_state})"
        )


async def _end_with(job: ChildProcess, stop: asyncio.Event) -> None:
    await stop.wait()
    job.terminate()
