"""The vendored charting library is unchanged, draws in a page, and comes with its licence."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from tests.support.chromium import Chromium
from tests.support.suite import PACKAGE, REPO
from warmup_job.charting_library import (
    HOME_URL,
    SCRIPT_NAME,
    VERSION,
    charting_licence,
    charting_notice,
    charting_script,
)

VENDOR = PACKAGE / "charting_library/vendor"
SHA256 = "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"
"""Of the file in the npm package lightweight-charts 5.2.1"""


def test_the_library_is_the_one_that_npm_has() -> None:
    assert hashlib.sha256((VENDOR / SCRIPT_NAME).read_bytes()).hexdigest() == SHA256
    assert f"v{VERSION}" in charting_script()[:200]


def test_the_library_can_stand_inside_html() -> None:
    script = charting_script().lower()
    assert "</script" not in script
    assert "<!--" not in script


def test_licence_and_notice_are_here_and_named_by_the_project() -> None:
    assert "Apache License" in charting_licence()
    assert HOME_URL in charting_notice()
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT AND Apache-2.0"
    for name in ("LICENSE", "NOTICE"):
        assert str((VENDOR / name).relative_to(PACKAGE.parent)) in project["license-files"]


@pytest.mark.browser
def test_the_library_draws_with_its_attribution(chromium: Chromium, tmp_path: Path) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text(
        "<!doctype html><meta charset=utf-8><div id=chart style='height:300px'></div>"
        f"<script>{charting_script()}</script>"
        "<script>"
        "const chart = LightweightCharts.createChart(document.getElementById('chart'));"
        "const line = chart.addSeries(LightweightCharts.LineSeries);"
        "line.setData([{time: 1700000000, value: 1}, {time: 1700000060, value: 2}]);"
        "</script>"
    )
    with chromium.page(page_file, offline=True) as page:
        assert page.evaluate("LightweightCharts.version()") == VERSION
        page.wait_for("document.querySelector('a[href^=\"https://www.tradingview.com/\"]')")
        assert page.requests == [page_file.as_uri()]
        assert page.problems == []
