"""``warmup-job up``: the job and the trader at once."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from warmup_job.cli.config_options import ConfigCommand, on_config
from warmup_job.cli.log_options import LogSettings
from warmup_job.cli.run_command import full_option, run_beside_trader
from warmup_job.cli.sectioned_command import examples
from warmup_job.cli.trade_command import TradeOptions, trade_to_the_end, trading_options
from warmup_job.errors import StoppedError
from warmup_job.process.child_process import fork

if TYPE_CHECKING:
    from warmup_job.plan.warmup_plan import WarmupPlan

_JOB_ENDS_S = 10.0  # how long a job may take to end after SIGTERM


@click.command(
    cls=ConfigCommand,
    epilog=examples(
        "warmup-job up --mode paper --root ./snapshot --state-dir ./state",
        "warmup-job up --config configs/demo.yaml --mode paper --stop-after 10m --json",
        "warmup-job up --mode live --http-port 8081",
    ),
)
@on_config
@trading_options
@full_option
@click.pass_obj
def up(logs: LogSettings, plan: WarmupPlan, options: TradeOptions, full: bool) -> None:
    """Run the job and the trader at once: the fastest way to live.

    The job is a child process. The trader gets ready meanwhile and waits for its snapshot. If the
    job fails, its error is in the log, and the trader goes on as `trade` does without a snapshot. A
    signal ends both. The exit code is the trader's.
    """
    job = fork()  # before anything heavy is imported, and before there are threads
    if job is None:
        sys.exit(run_beside_trader(plan, full=full))
    signal.signal(signal.SIGTERM, _stop)  # until the trader takes it over: end the job as well
    try:
        trade_to_the_end(logs, plan, options, job)
    finally:
        job.end(_JOB_ENDS_S)


def _stop(_number: int, _frame: object) -> NoReturn:
    raise StoppedError("stopped by a signal; nothing is half-published")
