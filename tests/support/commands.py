"""The command line as a process: run it to its end, or while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.suite import HANG_S, REPO


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its result, parsed."""
        return json.loads(self.out)

    @property
    def messages(self) -> list[str]:
        """The messages of its log."""
        return [json.loads(line)["message"] for line in self.err.splitlines() if line[:1] == "{"]


def clean_env(**extra: str) -> dict[str, str]:
    """This process's environment without anybody's WARMUP_… settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP_")}
    return kept | extra


def job(*arguments: object, env: dict[str, str] | None = None, timeout: float = HANG_S) -> Result:
    """Run ``warmup-job`` to its end, from the repository."""
    done = subprocess.run(
        [sys.executable, "-m", "warmup_job", *map(str, arguments)],
        cwd=REPO,
        env=clean_env(**(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def job_process(
    *arguments: object, env: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[Any]:
    """``warmup-job`` as a running process; ended by SIGKILL if the test leaves it behind.

    Its log is in ``process.stderr``, or in ``log`` when it is too long to wait in a pipe.
    """
    with contextlib.ExitStack() as stack:
        stderr = subprocess.PIPE if log is None else stack.enter_context(log.open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "warmup_job", *map(str, arguments)],
            cwd=REPO,
            env=clean_env(**(env or {})),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def trade_until(words: str, *arguments: object, env: dict[str, str] | None = None) -> Result:
    """Run ``warmup-job trade`` until its log has ``words``, then stop it by SIGTERM.

    Fails if the trader ends before, with its log.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with job_process("trade", *arguments, env=env, log=log) as trader:
            deadline = time.monotonic() + HANG_S
            while words not in log.read_text():
                assert trader.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            trader.terminate()
            out, _ = trader.communicate(timeout=HANG_S)
        return Result(trader.returncode, out, log.read_text())
