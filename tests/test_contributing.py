"""Pages for contributors name what there is; GitHub and pre-commit run what CI runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.suite import REPO

PAGES = [REPO / "CONTRIBUTING.md", REPO / "SECURITY.md"]
RECORDS = sorted((REPO / "docs/decisions").glob("[0-9]*.md"))
MAKEFILE = (REPO / "Makefile").read_text()
FORMS = sorted((REPO / ".github/ISSUE_TEMPLATE").glob("*.yml"))
INPUTS = {"textarea", "input", "dropdown", "checkboxes"}


def loaded(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("page", [*PAGES, *RECORDS], ids=lambda page: page.name)
def test_pages_for_contributors_name_only_what_exists(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = page.parent / path
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or f"# {anchor.replace('-', ' ')}" in file.read_text().lower(), target
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert (REPO / "warmup_job" / name).is_file(), f"{page.name} names {name}"
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert f"\n{target}: " in MAKEFILE, f"{page.name} names make {target}"


def test_decision_records_are_numbered_without_a_gap_and_listed() -> None:
    index = (REPO / "docs/decisions/README.md").read_text()
    assert [int(each.name[:4]) for each in RECORDS] == list(range(1, len(RECORDS) + 1))
    for number, record in enumerate(RECORDS, 1):
        title = record.read_text().splitlines()[0].removeprefix(f"# {number}. ")
        assert f"| {number} | [{title}]({record.name}) |" in index


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])
def test_a_decision_record_is_short_and_has_its_parts(record: Path) -> None:
    text = record.read_text()
    status = re.search(r"^Status: (accepted|superseded by (\d+))$", text, re.MULTILINE)
    assert status
    assert status[2] is None or int(status[2]) <= len(RECORDS)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.split()) < 300


def test_github_runs_what_a_contributor_runs() -> None:
    workflow = loaded(REPO / ".github/workflows/ci.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    for step in steps:  # a tag can be moved, a commit cannot
        assert "run" in step or re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
    assert workflow["permissions"] == {"contents": "read"}
    assert {"push", "pull_request"} == set(workflow[True])  # YAML 1.1 reads `on` as true


def test_pre_commit_runs_the_tools_of_the_project() -> None:
    (repo,) = loaded(REPO / ".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        assert hook["language"] == "system", hook["id"]
        program, *arguments = shlex.split(hook["entry"])
        assert (REPO / program).exists(), f"{hook['id']}: make setup does not make {program}"
        for argument in arguments:
            assert (
                argument.startswith("--")
                or argument in {"check", "format"}
                or (REPO / argument).is_file()
            ), argument
    entries = {hook["entry"].split()[0] for hook in repo["hooks"]}
    for target in ("lint", "types", "imports"):
        (recipe,) = re.findall(rf"^{target}: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
        programs = set(re.findall(r"@(\S+)", recipe))
        assert programs <= entries, f"no hook runs what make {target} runs"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_issue_forms_are_ones_that_github_shows(form: Path) -> None:
    """https://docs.github.com/en/communities/using-templates/syntax-for-issue-forms ."""
    content = loaded(form)
    if form.name == "config.yml":
        assert content == {"blank_issues_enabled": False}
        return
    assert set(content) == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in content["body"] if field["type"] in INPUTS]
    assert len(ids) == len(set(ids)) > 0
    for field in content["body"]:
        assert field["type"] in INPUTS | {"markdown"}
        assert "value" in field["attributes"] or field["attributes"]["label"]
        assert field["type"] != "dropdown" or len(field["attributes"]["options"]) > 1
