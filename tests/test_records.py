"""Records are msgspec's structs; each dataclass would cost a start another millisecond."""

from __future__ import annotations

import ast

from tests.support.suite import PACKAGE


def dataclasses() -> dict[str, str]:
    """Return the source of every dataclass of the package, by module and name."""
    return {
        f"{path.relative_to(PACKAGE.parent)}: {node.name}": ast.unparse(node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in ast.unparse(each) for each in node.decorator_list)
    }


def test_a_dataclass_does_what_a_struct_cannot() -> None:
    needs = ("repr=False", "init=False", "@cached_property")
    found = dataclasses()
    assert found  # those with secrets
    assert [name for name, code in found.items() if not any(need in code for need in needs)] == []
