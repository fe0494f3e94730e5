"""An option that was renamed and still accepts its old flag and variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource
from loguru import logger


class RenamedOption(click.Option):
    """An option that accepts its old flag and variable for one more version, with a warning.

    Args:
        args: As for `click.Option`.
        old_flag: The flag that the next version will refuse.
        old_variable: The environment variable that the next version will ignore.
        options: As for `click.Option`.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  # click's own
        old_flag: str,
        old_variable: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **options)
        self.old_flag = old_flag
        self.old_variable = old_variable
        self._old_name = f"old {self.name}"

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401
        """Add the new flag, and the old one under a name of its own."""
        super().add_to_parser(parser, ctx)
        parser.add_option(self, [self.old_flag], dest=self._old_name)

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return the value: the new flag's, the old flag's, the new variable's, the old one's."""
        value, source = super().consume_value(ctx, opts)
        old_value = opts.get(self._old_name)
        if old_value is not None:
            self._warn(self.old_flag, self.opts[0])
            if source is not ParameterSource.COMMANDLINE:
                return old_value, ParameterSource.COMMANDLINE
        of_environment = os.environ.get(self.old_variable) if self.old_variable else None
        if of_environment:
            self._warn(str(self.old_variable), str(self.envvar))
            if source is ParameterSource.DEFAULT:
                return of_environment, ParameterSource.ENVIRONMENT
        return value, source

    def _warn(self, old: str, new: str) -> None:
        logger.warning(
            "{old} is now {new}; the next version will not accept {old}",
            event="config.renamed_option",
            old=old,
            new=new,
        )
