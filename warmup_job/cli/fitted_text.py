"""Print results so that they fit the terminal; in a pipe or a file every line stays whole."""

from __future__ import annotations

import re
import sys
import textwrap

import click

from warmup_job.process.terminal import terminal_columns

_HANG = 4
_LABELLED = re.compile(r"( +\S.*?  +)\S")  # a label and its column of text


def echo_fitted(text: str) -> None:
    """Print ``text`` on stdout, with lines that are too long for the terminal broken."""
    columns = terminal_columns(sys.stdout)
    click.echo("\n".join(fitted_lines(text, columns)))


def fitted_lines(text: str, columns: int | None) -> list[str]:
    """Break the lines of ``text`` at blanks; what follows is indented below the line's text.

    Args:
        text: One or more lines.
        columns: The width; None: any.
    """
    if columns is None:
        return text.splitlines()
    return [part for line in text.splitlines() for part in _broken(line, columns)]


def _broken(line: str, columns: int) -> list[str]:
    if len(line) <= columns:
        return [line]
    label = _LABELLED.match(line)
    indent = len(line) - len(line.lstrip()) + _HANG
    if label is not None and len(label[1]) <= columns // 2:
        indent = len(label[1])
    return textwrap.wrap(
        line, columns, subsequent_indent=" " * min(indent, columns // 2),
        break_on_hyphens=False, break_long_words=False,
    ) or [line]  # fmt: skip
