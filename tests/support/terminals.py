"""Run the command line with a terminal as its output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

from tests.support.commands import clean_env
from tests.support.suite import HANG_S, REPO


def in_terminal(*arguments: str, env: dict[str, str], columns: int = 100) -> str:
    """Run ``warmup-job`` with a terminal as its stdout and stderr; return what it shows."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(
        [sys.executable, "-m", "warmup_job", *arguments], cwd=REPO,
        env=clean_env(**env), stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # Linux' way to say that the other end is closed
        process.wait(HANG_S)
    os.close(ours)
    return shown.decode()
