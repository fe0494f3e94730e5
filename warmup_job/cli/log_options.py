"""How much a command logs: --log-level and --log-format, and --quiet and --verbose everywhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import click

from warmup_job.process.logs import LogFormat, relayed_stderr, set_up_logs


class LogSettings:
    """The level and form of the log; options before and after the command's name set them.

    Args:
        level: The lowest level that is shown.
        form: As `set_up_logs` takes it.
    """

    def __init__(self, level: str, form: LogFormat) -> None:
        self._form = form
        self.use_level(level)

    def use_level(self, level: str) -> None:
        """Show messages of ``level`` and above from now on."""
        self._level = level
        self._as_json = set_up_logs(level, self._form)

    @property
    def is_quiet(self) -> bool:
        """Whether only warnings and errors are shown."""
        return self._level in {"WARNING", "ERROR"}

    def relayed_stderr(self) -> AbstractContextManager[None]:
        """Return a context in which every line on stderr has the form of the log."""
        return relayed_stderr(self._level, as_json=self._as_json)


def _use_level(level: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def use(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
        settings = context.find_object(LogSettings)
        if given and settings is not None:
            settings.use_level(level)

    return use


def quiet_and_verbose() -> list[click.Option]:
    """Return the options --quiet and --verbose of a command."""
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_use_level("WARNING"),
            help="Log warnings and errors only.",
        ),
        click.Option(
            ["-v", "--verbose"], is_flag=True, expose_value=False, callback=_use_level("DEBUG"),
            help="Log every request too.",
        ),
    ]  # fmt: skip
