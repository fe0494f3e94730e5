"""Run ``warmup-job``; report an error as one line and exit with its code."""

from __future__ import annotations

import sys

from warmup_job.process.fast_start import pause_garbage_collector
from warmup_job.process.interrupts import end_on_interrupt, raise_on_interrupt
from warmup_job.process.late_imports import change_slow_imports

pause_garbage_collector()
change_slow_imports()
end_on_interrupt()

import click
from loguru import logger

from warmup_job.cli.group import cli
from warmup_job.errors import ConfigError, StoppedError, WarmupError, help_page
from warmup_job.process.logs import set_up_logs
from warmup_job.snapshot.status import write_termination_message


def main() -> None:
    """Run the command line and exit with one of the codes of docs/reference/exit-codes.md."""
    raise_on_interrupt()
    set_up_logs("INFO", "auto")
    try:
        code = cli.main(standalone_mode=False)
    except StoppedError as stopped:  # a normal stop
        logger.info("{_reason}", event="process.stopped", _reason=stopped)
        write_termination_message(str(stopped))
        sys.exit(stopped.exit_code)
    except WarmupError as error:
        logger.bind(help=error.help_page).error(
            "{_problem}", event="process.failed", _problem=error
        )
        write_termination_message(str(error))
        sys.exit(error.exit_code)
    except click.Abort:
        logger.info("stopped by a signal; nothing is half-published", event="process.interrupted")
        sys.exit(StoppedError.exit_code)
    except click.ClickException as error:
        error.show()
        click.echo(f"Help: {help_page(ConfigError.exit_code)}", err=True)
        sys.exit(ConfigError.exit_code)
    except Exception:  # noqa: BLE001  # a bug: log the trace
        logger.bind(help=help_page(1)).exception(
            "a bug in warmup-job; please report it with this trace", event="process.bug"
        )
        write_termination_message("a bug in warmup-job: its log has the trace")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
