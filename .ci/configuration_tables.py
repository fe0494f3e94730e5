"""Write the tables of keys in docs/reference/configuration.md (`make docs`).

With --check: exit with 1 if a table differs from the declarations.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from warmup_job.config import ImportedStrategy, StrategyFile, VenueConfig
from warmup_job.config.key_options import DeclaredKey, declared_keys
from warmup_job.config.warmup_file import WarmupFile

PAGE = Path(__file__).parent.parent / "docs/reference/configuration.md"
FILES = {
    "warmup.yaml": WarmupFile,
    "venue file": VenueConfig,
    "strategy file": StrategyFile,
    "another strategy": ImportedStrategy,
}
MARKED = re.compile(r"(<!-- keys: (.*?) \(make docs\) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    """The Markdown table of one file's keys."""
    keys = list(declared_keys(FILES[name]))
    with_options = any(key.commands for key in keys)
    heads = ["section", "key", "value", "default"]
    heads += ["variable", "commands"] if with_options else []
    rows = [[*heads, "meaning"], ["---"] * (len(heads) + 1)]
    section = ""
    for key in keys:
        within = f"`{'.'.join(key.path[:-1])}`" if key.path[:-1] else "–"
        row = ["" if within == section else within, f"`{key.path[-1]}`", value(key), default(key)]
        section = within
        if with_options:
            row += [f"`{key.variable}`", ", ".join(key.commands)] if key.commands else ["–", "–"]
        rows.append([*row, key.description.replace("|", "\\|")])
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in rows)


def value(key: DeclaredKey) -> str:
    """What a file may have for the key."""
    return ", ".join(part for part in (_form(key), key.limits) if part)


def _form(key: DeclaredKey) -> str:
    choices = ", ".join(f"`{word}`" for word in key.choices)
    form = f"list, or text `{key.form}`" if key.form.endswith(",…") else key.form
    return f"{form} or {choices}" if form and choices else form or choices


def default(key: DeclaredKey) -> str:
    """The key's default as a file writes it."""
    return "required" if key.default is None else f"`{key.default}`" if key.default else "–"


def with_tables(page: str) -> Iterator[str]:
    """The page with every table that it marks."""
    at = 0
    for found in MARKED.finditer(page):
        yield page[at : found.end(1)] + "\n" + table(found[2]) + "\n" + found[4]
        at = found.end()
    yield page[at:]


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    if {found[2] for found in MARKED.finditer(before)} != FILES.keys():
        sys.exit(f"docs/reference/configuration.md must mark one table each for {', '.join(FILES)}")
    after = "".join(with_tables(before))
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit("docs/reference/configuration.md differs from the declarations: run `make docs`")
