"""A command whose help has its options in sections, and the form of the examples below them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import click

_LEAST_COLUMNS, _MOST_COLUMNS = 20, 100
_OUTPUT = "Output"
_OUTPUT_OPTIONS = frozenset({"as_json", "quiet", "verbose", "help", "_click_default_help"})


class FittingFormatter(click.HelpFormatter):
    """A formatter for narrow terminals too; click's own is at least 50 columns wide."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        columns = width or shutil.get_terminal_size((80, 24)).columns
        wide = min(columns, max_width or _MOST_COLUMNS) - 2
        super().__init__(indent_increment, max(_LEAST_COLUMNS, wide))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write a list of options or commands with their texts."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class FittingContext(click.Context):
    """A context whose help fits a narrow terminal."""

    formatter_class = FittingFormatter


class FittingGroup(click.Group):
    """A group of commands whose help fits a narrow terminal."""

    context_class = FittingContext


class SectionedCommand(click.Command):
    """A command that shows its options in sections.

    Args:
        args: As for `click.Command`.
        sections: The titles of the sections by the options' names; the other options are in the
            section Options, and those about the output in a last one.
        options: As for `click.Command`.
    """

    context_class = FittingContext

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  # click's own
        sections: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **options)
        self._sections = sections or {}

    def section_of(self, name: str) -> str:
        """Return the title of the section that the option called ``name`` belongs to."""
        return self._sections.get(name, _OUTPUT if name in _OUTPUT_OPTIONS else "Options")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in the order of their first options, Output last."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                rows.setdefault(self.section_of(parameter.name or ""), []).append(record)
        output = rows.pop(_OUTPUT, [])
        for title, records in (*rows.items(), (_OUTPUT, output)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def examples(*lines: str) -> str:
    """Return an epilog with one example a line, as click takes it."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
