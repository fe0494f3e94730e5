"""``warmup-job run``."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec
from loguru import logger

from warmup_job.cli.config_options import (
    ConfigCommand,
    check_strategies,
    on_config,
    warn_of_trading,
)
from warmup_job.cli.renamed_option import RenamedOption
from warmup_job.cli.sectioned_command import examples
from warmup_job.cli.shared_options import (
    as_json_option,
    print_json,
    to_duration_ms,
    until_ms,
    until_option,
)
from warmup_job.cli.shown_progress import shown_progress
from warmup_job.cli.until_stopped import until_stopped
from warmup_job.errors import WarmupError
from warmup_job.market.times import duration_text, utc_text

if TYPE_CHECKING:
    from warmup_job.job.run_job import Outcome
    from warmup_job.plan.warmup_plan import WarmupPlan
    from warmup_job.snapshot.status import Status


full_option = click.option(
    "--full", envvar="WARMUP_FULL", show_envvar=True, is_flag=True,
    help="Fetch all bars again, also those that the last snapshot has.",
)  # fmt: skip


@click.command(
    cls=ConfigCommand,
    epilog=examples(
        "warmup-job run --config configs/warmup.yaml --root ./snapshot",
        "warmup-job run --streams BTCUSDT:1m:500,ETHUSDT:1h:200 --root ./snapshot",
        "warmup-job run --dry-run --until -1h --json",
        "warmup-job run --repeat-every 5m --on-failure fail",
    ),
)
@on_config
@click.option("--dry-run", envvar="WARMUP_DRY_RUN", show_envvar=True, is_flag=True,
              help="Fetch and check, but do not publish.")  # fmt: skip
@full_option
@until_option
@click.option("--repeat-every", "pause_ms", cls=RenamedOption, old_flag="--every",
              old_variable="WARMUP_EVERY", envvar="WARMUP_REPEAT_EVERY", show_envvar=True,
              metavar="DURATION", callback=to_duration_ms,
              help="Repeat the run this long after the last one ended, until stopped.")  # fmt: skip
@as_json_option
def run(
    plan: WarmupPlan,
    dry_run: bool,
    full: bool,
    until: str | None,
    pause_ms: int | None,
    as_json: bool,
) -> None:
    """Fetch the history, check it, and publish a snapshot.

    A run fetches only the bars that the last snapshot lacks. If there are none, that snapshot
    stays.
    """
    until_ms(until, 0)
    warn_of_trading(plan)
    check_strategies(plan)

    options = _RunOptions(until, dry_run, full, as_json, pause_ms)

    async def runs() -> int:
        status: Status | None = None
        while True:
            status = await _run_once(plan, options, status)
            if pause_ms is None:
                return status.exit_code
            logger.info("next run in {pause}", event="job.next_run", pause=duration_text(pause_ms))
            await asyncio.sleep(pause_ms / 1000)

    sys.exit(until_stopped(runs()))


def run_beside_trader(plan: WarmupPlan, *, full: bool) -> int:
    """Run the job once, as a process beside a trader that has the terminal; return its exit code.

    Its result goes to the log, because stdout is for the trader's.
    """
    check_strategies(plan)
    options = _RunOptions(None, dry_run=False, full=full, as_json=False, pause_ms=None, beside=True)
    return until_stopped(_run_once(plan, options, None)).exit_code


class _RunOptions(NamedTuple):
    """The options of ``run`` that are not keys of the configuration."""

    until: str | None
    """Fetch as if it were this time; None: now."""
    dry_run: bool
    full: bool
    as_json: bool
    pause_ms: int | None
    """The time until the next run (ms); None: this is the only one."""
    beside: bool = False
    """Whether a trader beside it has stdout and the terminal."""


async def _run_once(plan: WarmupPlan, options: _RunOptions, last: Status | None) -> Status:
    """Run once, report the result and return it.

    Args:
        plan: What to fetch.
        options: The command's options.
        last: The result of this process' previous run; the volume may have a later one.
    """
    from warmup_job.job.exit_code import exit_code
    from warmup_job.job.repeat import log_repeated
    from warmup_job.job.run_job import Outcome, warm
    from warmup_job.job.run_progress import RunProgress
    from warmup_job.snapshot.status import Status, read_status

    outcome, started_s = Outcome(), time.monotonic()
    progress = RunProgress(plan)
    try:
        async with shown_progress(progress, draws=not options.beside):
            outcome = await warm(
                plan, until=options.until, dry_run=options.dry_run, full=options.full,
                progress=progress.add, on_budget=progress.begin,
            )  # fmt: skip
        error = outcome.worst
    except WarmupError as failure:
        error = failure
    code = error.exit_code if error else 0
    exits_with = exit_code(error, plan.on_failure)
    message = _result_text(outcome, error, options.dry_run)
    name = outcome.folder.name if outcome.folder else None
    root = plan.root
    before = max(filter(None, (last, read_status(root))), key=lambda each: each.at_ms, default=None)
    status = Status(
        time.time_ns() // 1_000_000, code, exits_with, message, name,
        seconds=round(time.monotonic() - started_s, 3), weight_spent=progress.spent,
        repeat_every_ms=options.pause_ms,
    ).after(before)  # fmt: skip
    if options.pause_ms is not None:
        log_repeated(root, status, error, before)
    elif error is not None:
        level = "ERROR" if exits_with else "WARNING"
        logger.bind(help=error.help_page).log(
            level, "code {code}: {error}", event="job.failed", code=code, error=error
        )
        if not exits_with:
            logger.warning(
                "warm-up failed; exiting 0 because warmup.on_failure is proceed. The trader has to "
                "fetch the missing bars itself",
                event="job.proceeding",
            )
    if not options.dry_run:
        _write_status(root, status)
    if not options.beside:
        _report(outcome, status, options.as_json)
    elif not code:
        logger.info("{_result}", event="job.published", _result=message)
    return status


def _result_text(outcome: Outcome, error: WarmupError | None, dry_run: bool) -> str:
    """Say in one line what the run published, or why it published nothing."""
    manifest = outcome.manifest
    if manifest is None:
        return f"nothing published: {error}"
    streams = ", ".join(
        f"{entry.bar_count} bars of {entry.symbol} {entry.interval} to {utc_text(entry.last_close)}"
        for entry in manifest.streams
    )
    if outcome.up_to_date is not None:
        return f"up to date: no bar has closed since {outcome.up_to_date.folder.name}: {streams}"
    if dry_run or outcome.published is None:
        return f"dry run: would publish {streams}; content {manifest.content_digest[:8]}"
    done = f"published {outcome.published.id}: {streams}"
    return f"{done}; DEGRADED: {error}" if error else done


def _report(outcome: Outcome, status: Status, as_json: bool) -> None:
    """Print the run's result on stdout."""
    folder, manifest = outcome.folder, outcome.manifest
    if as_json:
        print_json(
            {
                "code": status.code,
                "exit_code": status.exit_code,
                "message": status.message,
                "snapshot": folder.name if folder else None,
                "published": outcome.published is not None,
                "folder": str(folder) if folder else None,
                "manifest": None if manifest is None else msgspec.to_builtins(manifest),
            }
        )
        return
    click.echo(status.message)
    if manifest is not None and outcome.up_to_date is None:
        click.echo(
            f"  from {manifest.endpoint}, weight {manifest.weight_spent}, {manifest.seconds:.2f} s"
        )
    if folder is not None:
        click.echo(f"  {folder}/catalog is a plain Nautilus ParquetDataCatalog")


def _write_status(root: Path, status: Status) -> None:
    """Write the volume's status.json and warmup.prom, and Kubernetes' termination message."""
    from warmup_job.snapshot.status import write_status, write_termination_message
    from warmup_job.snapshot.volume_metrics import write_textfile

    write_status(root, status)
    write_textfile(root)
    write_termination_message(status.message)
