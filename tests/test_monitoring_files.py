"""monitoring/: dashboard and alerts use metrics, labels and sections of docs that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.exposed_metrics import Exposed, all_metrics
from tests.support.suite import REPO

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to every sample."""
METRIC = re.compile(r"\b((?:warmup|process|python)_\w+|up)\b(?:\s*\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
LABEL_LIST = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
MENTIONED = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
PAGE = (REPO / "docs/reference/metrics.md").read_text()


class Use(NamedTuple):
    """An expression, and the labels that the text beside it names."""

    place: str
    expr: str
    mentioned: frozenset[str]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((REPO / "monitoring/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return dict(json.loads((REPO / "monitoring/dashboard.json").read_text()))


def uses() -> Iterator[Use]:
    for rule in alerts():
        text = " ".join(rule["annotations"].values())
        yield Use(rule["alert"], rule["expr"], frozenset(MENTIONED.findall(text)))
    for panel in dashboard()["panels"]:
        for each in panel.get("targets", []):
            shown = frozenset(MENTIONED.findall(each["legendFormat"]))
            yield Use(panel["title"], each["expr"], shown)


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    return all_metrics(tmp_path_factory.mktemp("volume")) | {"up": frozenset()}


@pytest.mark.parametrize("use", [*uses()], ids=lambda use: f"{use.place}: {use.expr[:40]}")
def test_expression_uses_metrics_and_labels_that_exist(use: Use, exposed: Exposed) -> None:
    found = METRIC.findall(use.expr)
    assert found
    known = set(SCRAPED)
    for name, matchers in found:
        assert name in exposed, f"no metric is called {name}"
        known |= exposed[name]
        assert set(MATCHER.findall(matchers)) <= exposed[name] | SCRAPED
    for labels in LABEL_LIST.findall(use.expr):
        assert set(re.findall(r"\w+", labels)) <= known
    assert use.mentioned <= known
    bare = re.sub(r'"[^"]*"', "", METRIC.sub("", use.expr))
    assert "warmup" not in bare
    assert "process_" not in bare


def test_expressions_show_every_metric_of_the_trader_and_the_job(exposed: Exposed) -> None:
    used = {name for use in uses() for name, _ in METRIC.findall(use.expr)}
    assert {
        name for name in exposed if name.startswith(("warmup_grid", "warmup_job", "warmup_stream"))
    } - used == {
        "warmup_grid_result_time_seconds",
        "warmup_job_run_time_seconds",
        "warmup_stream_contiguous",
    }


def test_metrics_page_has_every_metric_with_its_labels_and_no_other(exposed: Exposed) -> None:
    rows = re.findall(r"^\| `(\w+)(?:\{([\w,]+)\})?` \|", PAGE, re.MULTILINE)
    documented = {name: frozenset(filter(None, labels.split(","))) for name, labels in rows}
    assert documented == {
        name: labels for name, labels in exposed.items() if name.startswith("warmup_")
    }
    for name in exposed:
        assert name.startswith("warmup_") or name == "up" or f"`{name}`" in PAGE


def test_alerts_have_a_severity_a_summary_and_a_section_that_says_what_to_do() -> None:
    page = (REPO / "docs/troubleshooting.md").read_text()
    sections = set(re.findall(r"^### (Warmup\w+)$", page, re.MULTILINE))
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    assert set(names) == sections
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        section = f"docs/troubleshooting.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook"] == section
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_dashboard_is_a_grafana_dashboard_whose_panels_do_not_overlap() -> None:
    board = dashboard()
    assert board["id"] is None  # Grafana gives it one at the import
    assert board["schemaVersion"] >= 36
    assert {"title", "uid", "time", "templating", "panels", "annotations"} <= board.keys()
    variables = {each["name"] for each in board["templating"]["list"]}
    assert variables == {"datasource", "instance"}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["type"] in {"stat", "timeseries", "state-timeline"}
            refs = [each["refId"] for each in panel["targets"]]
            assert len(set(refs)) == len(refs) > 0
            for each in (panel, *panel["targets"]):
                assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board)))
    assert used - {"__all"} == variables
