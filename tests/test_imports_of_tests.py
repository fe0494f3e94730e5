"""What several tests use is in tests/support/, so that each test can be read and moved alone."""

from __future__ import annotations

import ast

import pytest

from tests.support.suite import REPO


def imported(source: str) -> set[str]:
    """Return the modules that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return found


@pytest.mark.parametrize("package", ["tests", "tests.e2e", "tests.container", "tests.support"])
def test_no_test_and_no_helper_imports_a_test(package: str) -> None:
    folder = REPO / package.replace(".", "/")
    files = [each for each in folder.glob("*.py") if each.name != "conftest.py"]
    assert files
    for file in files:
        tests = {each for each in imported(file.read_text()) if is_test(each)}
        assert not tests, f"{file.relative_to(REPO)} imports {tests}: move it to tests/support/"


def is_test(module: str) -> bool:
    first, _, last = module.rpartition(".")
    return first.startswith("tests") and (last.startswith("test_") or last == "conftest")


def test_the_rule_finds_every_kind_of_import() -> None:
    source = "import tests.test_a\nfrom tests.e2e.test_b import x\nfrom tests.support.c import y\n"
    assert {each for each in imported(source) if is_test(each)} == {
        "tests.test_a", "tests.e2e.test_b",
    }  # fmt: skip
