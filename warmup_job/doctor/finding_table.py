"""Print findings as a table that fits the terminal. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from warmup_job.doctor.finding import Finding

_VERDICT_COLUMNS, _CHECK_COLUMNS = 9, 15
_LEAST_TEXT_COLUMNS = 24


def table_lines(finding: Finding, columns: int) -> Iterable[str]:
    """Return the lines of one finding: verdict, check and text, then the remedy.

    Args:
        finding: The finding.
        columns: The width of the terminal. Below 48 the lines are wider than the terminal.
    """
    indent = _VERDICT_COLUMNS + _CHECK_COLUMNS
    width = max(_LEAST_TEXT_COLUMNS, columns - indent)
    head = f"{finding.verdict:<{_VERDICT_COLUMNS}}{finding.check:<{_CHECK_COLUMNS}}"
    texts = [line for part in finding.text.splitlines() for line in _wrapped(part, width)]
    remedy = _wrapped(finding.remedy, width - 2)
    marks = ["→ ", *["  "] * len(remedy)]
    texts += [f"{mark}{line}" for mark, line in zip(marks, remedy, strict=False)]
    return [f"{head if at == 0 else ' ' * indent}{line}" for at, line in enumerate(texts or [""])]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)
