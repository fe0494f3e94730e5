"""The group of all commands: each gets --quiet and --verbose, and may lose its output's reader."""

from __future__ import annotations

import os
import select
from typing import Any

import click

from warmup_job.cli.log_options import quiet_and_verbose
from warmup_job.cli.sectioned_command import FittingGroup

_NO_READER = 141  # 128 + SIGPIPE, as shells report it


class RootGroup(FittingGroup):
    """A group that exits with 141 if the reader of its output went away, as head does."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command and give it, or each command of a group, --quiet and --verbose."""
        super().add_command(cmd, name)
        for command in cmd.commands.values() if isinstance(cmd, click.Group) else (cmd,):
            command.params.extend(quiet_and_verbose())

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  # click's own
    ) -> click.Context:
        """Parse the arguments; this prints --help."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError:
            raise _end_without_reader() from None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if not _is_broken(1):
                raise
            raise _end_without_reader() from None


def _is_broken(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _end_without_reader() -> click.exceptions.Exit:
    """Drop what is still in the buffer of stdout, which would fail once more at the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return click.exceptions.Exit(_NO_READER)
