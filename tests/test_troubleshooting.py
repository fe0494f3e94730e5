"""docs/troubleshooting.md has every exit code and message, and each link to it leads somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import job
from tests.support.error_tree import all_of
from tests.support.suite import PACKAGE, REPO
from warmup_job import errors
from warmup_job.errors import WarmupError, help_page

PAGE = (REPO / "docs/troubleshooting.md").read_text()
SECTIONS = {
    int(code): text
    for code, text in re.findall(r"^## Exit (\d+)$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def codes() -> dict[str, int]:
    """The exit code of each error class, also of those that a module defines for itself."""
    found = {
        each.__name__: each.exit_code
        for each in all_of(WarmupError)
        if each.__module__ == errors.__name__
    }
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name not in found:
                for base in node.bases:
                    if isinstance(base, ast.Name) and base.id in found:
                        found[node.name] = found[base.id]
    return found


CODES = codes()


def in_section(code: int) -> list[str]:
    """The messages in the first column of a section's tables."""
    rows = re.findall(r"^\| (`.*?`) \|", SECTIONS[code], re.MULTILINE)
    return [message for row in rows for message in re.findall("`([^`]*)`", row)]


def written(node: ast.expr) -> str:
    """The text of a literal, with … for what is filled in."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=values):
            return re.sub("…+", "…", "".join(map(written, values)))
        case _:
            return "…"


def raised() -> Iterator[tuple[str, int, str]]:
    """Each error that the code makes with a text of its own: the place, the exit code, the text."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                text = written(node.args[0])
                if node.func.id in CODES and re.search(r"\w", text):
                    yield f"{path.name}:{node.lineno}", CODES[node.func.id], text


def test_every_message_of_an_error_has_a_row_in_its_section() -> None:
    missing = []
    for place, code, text in raised():
        plain = " ".join(text.replace("`", "").split())
        rows = [re.escape(row).replace("…", ".*") for row in in_section(code)]
        if not any(re.fullmatch(row, plain, re.DOTALL) for row in rows):
            missing.append(f"{place}: exit {code}: {plain}")
    assert not missing, "\n".join(missing)


def test_every_exit_code_has_a_section_and_a_row_in_the_table() -> None:
    codes = {each.exit_code for each in all_of(WarmupError) if each.__module__ == errors.__name__}
    assert codes | {0, 130, 141} == SECTIONS.keys()
    assert [int(code) for code in re.findall(r"^\| \[(\d+)\]\(#exit-\1\)", PAGE, re.MULTILINE)] == (
        sorted(SECTIONS)
    )


def test_every_row_has_a_cause_and_a_remedy() -> None:
    for section in SECTIONS.values():
        for row in re.findall(r"^\| `.*$", section, re.MULTILINE):
            assert [len(cell.strip()) > 3 for cell in row.strip("| ").split(" | ")] == [True] * 3, (
                row
            )


@pytest.mark.e2e
def test_a_failure_ends_with_a_link_that_leads_to_a_section(tmp_path: Path) -> None:
    done = job("verify", tmp_path, "--max-age", "x")
    assert done.code == 2
    assert f'"help": "{help_page(2)}"' in done.err.splitlines()[-1]
    done = job("--log-format", "text", "inspect", tmp_path)
    assert done.code == 20
    assert done.err.rstrip().endswith(f"[help: {help_page(20)}]")
    done = job("rnu")
    assert done.code == 2
    assert "Did you mean 'run'?" in done.err
    assert done.err.rstrip().endswith(f"Help: {help_page(2)}")
    for link in re.findall(r"docs/\S+\.md#exit-(\d+)", f"{help_page(2)} {help_page(20)}"):
        assert int(link) in SECTIONS
