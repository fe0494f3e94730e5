"""The browser of the tests sees what a page draws, writes to the console, asks for and throws."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import chromium as support
from tests.support.chromium import Chromium, PageError
from tests.support.suite import HANG_S, REPO

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><meta charset="utf-8"><title>a page</title>
<style>@media (prefers-color-scheme: dark) { p { color: red } }</style>
<p>text</p><button>press</button>
<script>
  document.querySelector("button").onclick = () => { console.error("pressed", 1); };
</script>"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(PAGE)
    return path


def test_a_page_without_problems_reports_none(chromium: Chromium, file: Path) -> None:
    with chromium.page(file, width=300, height=200) as page:
        assert page.evaluate("[document.title, innerWidth]") == ["a page", 300]
        assert page.requests == [file.as_uri()]
        assert page.problems == []
        assert page.screenshot().startswith(b"\x89PNG")


def test_console_errors_exceptions_and_failed_requests_are_seen(
    chromium: Chromium, file: Path
) -> None:
    with chromium.page(file, offline=True) as page:
        page.click("button")
        assert page.problems == ["error: pressed 1"]
        assert page.console == ["pressed 1"]
        with pytest.raises(PageError, match="nothing is not defined"):
            page.evaluate("nothing")
        page.evaluate("setTimeout(() => { throw new Error('late') }, 0), 0")
        page.wait_for_event("Runtime.exceptionThrown")
        assert "Error: late" in page.problems[-1]
        page.evaluate("fetch('http://127.0.0.1:9/x').catch(() => 0)")
        assert page.requests[-1] == "http://127.0.0.1:9/x"
        assert "ERR_INTERNET_DISCONNECTED" in page.problems[-1]


def test_the_theme_that_a_user_prefers(chromium: Chromium, file: Path) -> None:
    color = "getComputedStyle(document.querySelector('p')).color"
    with chromium.page(file, theme="dark") as page:
        assert page.evaluate(color) == "rgb(255, 0, 0)"
        page.prefer("light")
        assert page.wait_for(f"{color} === 'rgb(0, 0, 0)'")


def test_without_a_browser_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(pytest.fail.Exception) as failure:
        support.browser_program()
    assert str(failure.value) == ("no Chromium on PATH: run `make chromium`, or install chromium")


def test_setup_says_what_to_install_where_it_may_not(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", REPO / ".ci/chromium"], env={"PATH": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=HANG_S,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == (
        "make: no Chromium for the browser tests, and no right to install it; "
        "run: sudo apt-get install chromium\n"
    )


def test_setup_installs_chromium_where_it_may(tmp_path: Path) -> None:
    for name, text in {
        "id": "echo 0",
        "apt-get": 'echo "$@" >> "$CALLS"',
        "env": 'shift; exec "$@"',
        "mktemp": 'echo "$CALLS.log"',
        "rm": "true",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    subprocess.run(
        ["/bin/sh", REPO / ".ci/chromium"], env={"PATH": str(tmp_path), "CALLS": str(calls)},
        check=True, timeout=HANG_S,
    )  # fmt: skip
    update, install = calls.read_text().splitlines()
    assert update == "update -qq"
    assert install.endswith("--no-install-recommends chromium")
