"""The command line: results on stdout, logs on stderr, codes as in docs/reference/exit-codes.md."""

from __future__ import annotations

import click

from warmup_job.cli.chart_command import chart
from warmup_job.cli.completion_command import completion
from warmup_job.cli.doctor_command import doctor
from warmup_job.cli.exchange_command import exchange
from warmup_job.cli.init_command import init
from warmup_job.cli.inspect_command import inspect
from warmup_job.cli.log_options import LogSettings
from warmup_job.cli.plan_command import plan
from warmup_job.cli.root_group import RootGroup
from warmup_job.cli.run_command import run
from warmup_job.cli.sectioned_command import examples
from warmup_job.cli.study_command import study
from warmup_job.cli.trade_command import trade
from warmup_job.cli.trader_command import trader
from warmup_job.cli.up_command import up
from warmup_job.cli.verify_command import verify
from warmup_job.process.fast_start import resume_garbage_collector
from warmup_job.process.logs import LogFormat

_RESUMING = frozenset({"run", "trade", "up"})
"""Commands that resume the garbage collector themselves, after their own imports."""


@click.group(
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "warmup-job exchange &                          # a local Binance to try it with",
        "warmup-job run --config configs/demo.yaml      # fetch, check and publish a snapshot",
        "warmup-job trade --config configs/demo.yaml --mode paper",
        "warmup-job doctor                              # what is wrong with this machine?",
    ),
)
@click.option(
    "--log-level",
    envvar="WARMUP_LOG_LEVEL",
    default="INFO",
    show_default=True,
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    show_envvar=True,
    help="Log messages of this level and above, on stderr.",
)
@click.option(
    "--log-format",
    envvar="WARMUP_LOG_FORMAT",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "text", "json"]),
    show_envvar=True,
    help="auto: text on a terminal, JSON lines otherwise.",
)
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Log every request too.")
@click.version_option(package_name="warmup-job")
@click.pass_context
def cli(
    context: click.Context, log_level: str, log_format: LogFormat, quiet: bool, verbose: bool
) -> None:
    """Warm up NautilusTrader bots: fetch closed Binance klines, publish them, go live on them.

    -q and -v also work after the command's name. The variable in an option's [env var: …] sets it
    too. Exit codes and messages: docs/troubleshooting.md.
    """
    level = "WARNING" if quiet else "DEBUG" if verbose else log_level.upper()
    context.obj = LogSettings(level, log_format)
    if context.invoked_subcommand not in _RESUMING:
        resume_garbage_collector()


_COMMANDS = (init, plan, run, verify, inspect, chart, doctor, study, trade, up, trader, exchange)
for _command in (*_COMMANDS, completion):
    cli.add_command(_command)
