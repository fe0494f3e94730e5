"""A trader's stderr with JSON logs, as another process sees it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.support.commands import clean_env
from tests.support.suite import HANG_S

BEGIN = """
import os, signal, sys, threading
from loguru import logger
from warmup_job.process.logs import relayed_stderr, set_up_logs
set_up_logs("INFO", "json")
logger.info("before")
with relayed_stderr("INFO", as_json=True):
    logger.info("during")
    os.write(2, b"\\x1b[1m2026-11-23T08:35:59.083Z\\x1b[0m [ERROR] T-1.Cache: it is \\xff gone\\n")
"""
ENDS = {
    "in good order": "    sys.stderr.write('by Python\\n')\nlogger.info('after')",
    "killed": "    os.write(2, b'last words\\n')\n    os.kill(os.getpid(), signal.SIGKILL)",
    "at once": "    os.write(2, b'last words\\n')\n    os._exit(1)",
    "aborted": "    os.write(2, b'last words\\n')\n    os.abort()",
    "told to stop": "    os.write(2, b'last words\\n')\n    os.kill(os.getpid(), signal.SIGTERM)",
}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, env=clean_env(), timeout=HANG_S,
    )  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_logs_every_line_is_json_and_the_last_one_is_kept(end: str) -> None:
    done = run_python(BEGIN + ENDS[end])
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    logged = {(line["level"], line["message"]) for line in lines}
    last = ("INFO", "after") if end == "in good order" else ("ERROR", "last words")
    assert {
        ("INFO", "before"), ("INFO", "during"), ("ERROR", "Cache: it is \ufffd gone"), last,
    } <= logged  # fmt: skip
    assert all(line["time"][:2] == "20" for line in lines)
    assert (done.returncode == 0) is (end == "in good order")


def test_logs_text_has_nautilus_errors_in_the_form_of_all_other_lines() -> None:
    code = BEGIN.replace('set_up_logs("INFO", "json")', 'set_up_logs("INFO", "text")')
    code = code.replace("as_json=True", "as_json=False")
    done = run_python(
        code
        + """
    failed = b"Failed on submit_order ClientOrderId('E-1'): refused"
    os.write(2, b"2026-11-23T08:35:59.083Z [ERROR] T-1.ExecClient-BINANCE: " + failed + b"\\n")
    os.write(2, b"Traceback (most recent call last):\\n")
"""
    )
    lines = done.stderr.splitlines()
    form = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (INFO   |ERROR  ) (.*)")
    logged = {found.groups() for found in map(form.fullmatch, lines) if found}
    assert logged == {
        ("INFO   ", "before"), ("INFO   ", "during"), ("ERROR  ", "Cache: it is \ufffd gone"),
    }  # fmt: skip
    assert "Traceback (most recent call last):" in lines
    assert len(lines) == 4  # the first error is told again by the strategy's event


@pytest.mark.parametrize(("form", "as_json"), [("auto", True), ("json", True), ("text", False)])
def test_logs_to_a_pipe_are_json_unless_text_is_asked_for(form: str, as_json: bool) -> None:
    code = f"""
from loguru import logger
from warmup_job.process.logs import set_up_logs
print(set_up_logs("WARNING", "{form}"))
logger.info("too low")
logger.warning("seen")
"""
    done = run_python(code)
    assert done.stdout == f"{as_json}\n"
    (line,) = done.stderr.splitlines()
    assert (json.loads(line)["message"] == "seen") if as_json else line.endswith("seen")


def test_logs_keep_stdout_for_results() -> None:
    """Nautilus' own lines appear from WARNING on, a strategy's from INFO on."""
    code = """
import os
from warmup_job.process.logs import reserve_stdout_for_results, set_up_logs
set_up_logs("INFO", "json")
stamp = b"\\x1b[1m2026-11-23T08:35:59.083000000Z\\x1b[0m "
with reserve_stdout_for_results("WARNING", {"Grid-1"}) as results:
    os.write(1, stamp + b"[INFO] T-1.Cache: a detail\\n")
    os.write(1, stamp + b"[WARN] T-1.Cache: odd\\n")
    os.write(1, stamp + b"[INFO] T-1.Grid-1: my own\\n")
    os.write(1, b"printed\\n")
    results.write("a result")
"""
    done = run_python(code)
    assert done.stdout == "a result"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("WARNING", "Cache: odd"), ("INFO", "Grid-1: my own"), ("INFO", "printed"),
    ]  # fmt: skip


def test_logs_have_the_event_and_its_fields_beside_the_message() -> None:
    done = run_python("""
from pathlib import Path
from loguru import logger
from warmup_job.process.logs import set_up_logs
set_up_logs("INFO", "json")
logger.info("{bars} bars in {path}{_end}", event="bars.kept", bars=3, path=Path("/a"), _end="!")
""")
    line = json.loads(done.stderr)
    assert line.pop("time")[:2] == "20"
    assert line == {
        "level": "INFO", "message": "3 bars in /a!", "event": "bars.kept", "bars": 3, "path": "/a",
    }  # fmt: skip


def test_logs_of_others_have_an_event_that_says_so() -> None:
    done = run_python(BEGIN + "    sys.stderr.write('by Python\\n')")
    events = {
        line["message"]: (line.get("event"), line.get("component"))
        for line in map(json.loads, done.stderr.splitlines())
    }
    assert events["by Python"] == ("process.output", None)
    assert events["Cache: it is \ufffd gone"] == ("node.line", "Cache")
