"""Names in README.md and docs/ exist: modules, packages, functions, links and anchors."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from tests.support.suite import HANG_S, REPO
from warmup_job import errors
from warmup_job.cli.group import cli

PACKAGE = REPO / "warmup_job"
PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
PLACES = [
    *PAGES,
    *(REPO / name for name in ("Dockerfile", "Makefile", "docker-compose.yml")),
    *sorted((REPO / "k8s").rglob("*.yaml")),
]
"""Pages, and other files that run or name one of our modules."""
ARCHITECTURE = (REPO / "docs/explanation/architecture.md").read_text()
NOT_OURS = {"my_strategy.py", "bots/my_bot/strategy.py", "my_bot/two_frames.py"}
"""A user's files in the examples."""


def module_file(path: str) -> Path | None:
    """Return the file that docs call ``path``: relative to the repository or to warmup_job/."""
    for base in (REPO, PACKAGE):
        if (base / path).is_file():
            return base / path
    return None


def defined_names(file: Path) -> set[str]:
    """``function``, ``Class`` and ``Class.method`` of a module."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(f"{node.name}.{inner.name}")  # type: ignore[attr-defined]
    return names


def section(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next one of its level."""
    found = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert found, heading
    return found


@pytest.mark.parametrize("page", PLACES, ids=lambda page: str(page.relative_to(REPO)))
def test_docs_and_manifests_name_no_module_that_does_not_exist(page: Path) -> None:
    text = page.read_text()
    for path in set(re.findall(r"(?<![\w/.])(?:\.\./)*([\w-][\w./-]*\.py)\b", text)) - NOT_OURS:
        assert module_file(path), f"{page.name} names {path}"
    for dotted in set(re.findall(r"\b(?:warmup_job|tests)(?:\.\w+)+", text)):
        if dotted.endswith((".py", ".egg")):
            continue
        parts = dotted.split(".")
        modules = [n for n in range(len(parts), 0, -1) if is_module("/".join(parts[:n]))]
        assert modules, f"{page.name} names {dotted}"
        rest = ".".join(parts[modules[0] :])
        file = module_file("/".join(parts[: modules[0]]) + ".py")
        assert not rest or (file and rest in defined_names(file)), f"{page.name} names {dotted}"


def is_module(path: str) -> bool:
    """Return whether this module or package exists."""
    return (REPO / f"{path}.py").is_file() or (REPO / path / "__init__.py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_in_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_package_has_a_row_in_the_table_of_the_architecture() -> None:
    table = section(ARCHITECTURE, "The packages").partition("\n| where is …? |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    named = {name for row in rows for name in re.findall(r"`([\w.]+)/?`", row.split("|")[2])}
    there = {each.parent.name for each in PACKAGE.glob("*/__init__.py")}
    there |= {each.name for each in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert named == there


def test_the_architecture_names_no_package_that_does_not_exist() -> None:
    for name in set(re.findall(r"`([\w/]+)/`", ARCHITECTURE)) - {"snapshots"}:
        assert is_module(name) or is_module(f"warmup_job/{name}") or (REPO / name).is_dir(), name


def test_the_picture_of_the_packages_is_the_import_contract() -> None:
    picture = section(ARCHITECTURE, "The packages").split("```")[1].splitlines()[1:]
    settings = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [each for each in settings["contracts"] if each["name"] == "Imports run downward"]
    layers = [set(layer.split(" | ")) for layer in contract["layers"]]
    assert [set(line.partition("│")[0].split()) for line in picture] == layers


def test_every_name_that_the_architecture_gives_to_a_module_is_defined_there() -> None:
    named = re.findall(r"`([\w/]+\.py)` `([\w.]+)`", ARCHITECTURE)
    assert len(named) > 20
    for path, name in named:
        file = module_file(path)
        assert file, path
        assert name in defined_names(file), f"{path} has no {name}"


@pytest.mark.parametrize(
    "heading",
    [
        "The path of one kline, from HTTP to Parquet",
        "The path of one bar, from the snapshot to `on_bar`",
    ],
)
def test_a_path_in_the_architecture_has_at_most_nine_hops(heading: str) -> None:
    hops = re.findall(r"^\d+\. .*$", section(ARCHITECTURE, heading), re.MULTILINE)
    assert 2 <= len(hops) <= 9
    for hop in hops:
        assert re.search(r"`[\w/]+\.py` `[\w.]+`", hop), hop


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_show_no_command_and_no_option_that_help_does_not_list(page: Path) -> None:
    shown = re.findall(r"warmup-job ([a-z]+)\b([^\n`|]*)", page.read_text())
    shown += re.findall(
        r"`(plan|run|verify|study|inspect|trade|exchange)( --[^`]*)`", page.read_text()
    )
    for name, rest in shown:
        if name in cli.commands:
            flags = re.findall(r"(?<!\S)--[a-z][\w-]*", rest.partition("#")[0])
            assert set(flags) <= listed_flags(name, rest), f"{page.name}: warmup-job {name}{rest}"


def listed_flags(name: str, rest: str) -> set[str]:
    """The options that --help lists, of a group that of the subcommand that follows."""
    command = cli.commands[name]
    if isinstance(command, click.Group):
        command = command.commands.get(rest.strip().partition(" ")[0], command)
    return {
        flag
        for option in command.get_params(click.Context(command))
        if isinstance(option, click.Option) and not option.hidden
        for flag in option.opts
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_import_what_there_is(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                missing = [each.name for each in node.names if not hasattr(module, each.name)]
                assert not missing, f"{page.name}: {node.module} has no {missing}"


def test_docs_names_of_variables_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable in docs, compose files, manifests and configurations is a known one."""
    from warmup_job.cli.config_options import unread_variables

    places = [REPO / name for name in ("README.md", "Dockerfile", "docker-compose.yml", "Makefile")]
    for folder in ("docs", "k8s", "configs"):
        places += [path for path in (REPO / folder).rglob("*") if path.is_file()]
    places = [path for path in places if path.suffix != ".png"]
    found = {
        name
        for place in places
        for name in re.findall(r"\bWARMUP_[A-Z][A-Z0-9_]*[A-Z0-9]\b", place.read_text("utf-8"))
    }
    assert len(found) > 20
    for name in found:
        monkeypatch.setenv(name, "1")
    reported = {line.partition(":")[0] for line in unread_variables(cli)}
    assert reported & found == set()


@pytest.mark.parametrize("script", ["configuration_tables.py", "reference_pages.py"])
def test_generated_reference_is_what_the_code_says(script: str) -> None:
    done = subprocess.run(
        [sys.executable, REPO / ".ci" / script, "--check"],
        capture_output=True, text=True, check=False, timeout=HANG_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_table_of_exit_codes_has_every_code_and_no_other() -> None:
    page = (REPO / "docs/reference/exit-codes.md").read_text().partition("\n## ")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    of_errors = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.WarmupError)
    }
    assert codes == sorted({0, 141, *of_errors})  # 141: the reader of stdout has gone
