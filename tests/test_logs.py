"""What a trader's stderr has under JSON logs, seen from outside."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.commands import clean_env
from tests.support.suite import HANG_S

BEGIN = """
import os, signal, sys, threading
from loguru import logger
from warmup_job.process.logs import stderr_as_json, set_up_logs
set_up_logs("INFO", "json")
logger.info("before")
with stderr_as_json("INFO"):
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


@pytest.mark.parametrize("end", ENDS)
def test_logs_every_line_is_json_and_the_last_one_is_kept(end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + ENDS[end]],
        capture_output=True, text=True, check=False, env=clean_env(), timeout=HANG_S,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    said = {(line["level"], line["message"]) for line in lines}
    last = ("INFO", "after") if end == "in good order" else ("ERROR", "last words")
    assert {
        ("INFO", "before"), ("INFO", "during"), ("ERROR", "Cache: it is \ufffd gone"), last,
    } <= said  # fmt: skip
    assert all(line["time"][:2] == "20" for line in lines)
    assert (done.returncode == 0) is (end == "in good order")
