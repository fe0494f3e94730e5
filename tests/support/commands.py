"""The command line as a process: run it to its end, or while it runs."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support import needs_nautilus
from tests.support.job_server import MOST_BYTES
from tests.support.suite import HANG_S, REPO

_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""No import starts a thread then: a fork has only the thread that called it."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The command's result, parsed from stdout."""
        return json.loads(self.out)

    @property
    def messages(self) -> list[str]:
        """The messages of the command's log."""
        return [json.loads(line)["message"] for line in self.err.splitlines() if line[:1] == "{"]


def clean_env(**extra: str) -> dict[str, str]:
    """Return this process's environment without WARMUP_… variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP_")}
    return kept | extra


class JobProcess:
    """A job that runs, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, ending: socket.socket, out: IO[str]) -> None:
        self._ending, self._out = ending, out
        self.returncode: int | None = None
        self.pid = int(json.loads(ending.recv(MOST_BYTES)))

    def poll(self) -> int | None:
        """Return its exit code; None: it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code."""
        if self.returncode is None:
            ended, _, _ = select.select([self._ending], [], [], timeout)
            if not ended:
                raise subprocess.TimeoutExpired("warmup-job", timeout or 0)
            self.returncode = int(json.loads(self._ending.recv(MOST_BYTES)))
            self._ending.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; return its output, and nothing for its log, which is a file."""
        self.wait(timeout)
        return _content(self._out), ""

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it by SIGKILL if it still runs, and forget its output."""
        self.kill()
        self.wait()
        self._out.close()


class Jobs:
    """Starts one job after the other, as forks of a process that is ready; see job_server.py."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.support.job_server", str(theirs.fileno())],
                cwd=REPO,
                env=clean_env(**_NO_THREADS),
                pass_fds=[theirs.fileno()],
            )
        assert self._channel.recv(MOST_BYTES) == b"ready"
        self._busy = False

    def close(self) -> None:
        """Stop the server; no more jobs can start."""
        self._channel.close()
        self._server.wait(HANG_S)

    def run(self, *arguments: object, env: dict[str, str] | None = None) -> Result:
        """Run ``warmup-job`` to its end."""
        return self._run(arguments, clean_env(**(env or {})), b"", lambda _pid, _listener: None)

    def start(
        self, arguments: Sequence[object], environment: dict[str, str], log: Path
    ) -> JobProcess:
        """Start ``warmup-job`` beside others; its log goes to ``log``."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the process closes it
        with theirs, log.open("w") as err:
            request = [[str(each) for each in arguments], environment, None]
            handles = [out.fileno(), err.fileno(), theirs.fileno()]
            socket.send_fds(self._channel, [json.dumps(request).encode()], handles)
        return JobProcess(ours, out)

    def _run(
        self,
        arguments: Sequence[object],
        environment: dict[str, str],
        program: bytes,
        answer: Callable[[int, int], None],
    ) -> Result:
        assert not self._busy, "one job after the other"
        self._busy = True
        ours, theirs = socket.socketpair()
        with ours, theirs, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            request = [[str(each) for each in arguments], environment, program.hex()]
            handles = [out.fileno(), err.fileno(), theirs.fileno()]
            socket.send_fds(self._channel, [json.dumps(request).encode()], handles)
            theirs.close()
            pid = json.loads(self._channel.recv(MOST_BYTES))
            try:
                _, listeners, *_ = socket.recv_fds(ours, 1, 1)
                if listeners:
                    answer(pid, listeners[0])
                elif program:
                    pytest.fail(f"nothing to watch it by: {_content(err)}")
                ended, _, _ = select.select([self._channel], [], [], HANG_S)
            except BaseException:
                self._end(pid)
                raise
            code = self._end(None if ended else pid)
            return Result(code, _content(out), _content(err))

    def _end(self, pid: int | None = None) -> int:
        """The exit code of the job that runs; ``pid``: kill it first if it still does."""
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._busy = False
        return int(json.loads(self._channel.recv(MOST_BYTES)))


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


@functools.cache
def start_jobs() -> Jobs:
    """Start the process that `job` forks from."""
    return Jobs()


def is_trader(arguments: Sequence[object]) -> bool:
    """Return whether a command line starts a trader."""
    return bool({"trade", "up"} & set(arguments)) and "--help" not in arguments


def close_jobs() -> None:
    """End the process that `job` forks from, if there is one."""
    if start_jobs.cache_info().currsize:
        start_jobs().close()
        start_jobs.cache_clear()


def job(*arguments: object, env: dict[str, str] | None = None) -> Result:
    """Run ``warmup-job`` to its end, from the repository; a fork saves its imports."""
    if is_trader(arguments):
        needs_nautilus.start_trader()
    return start_jobs().run(*arguments, env=env)


@contextlib.contextmanager
def job_process(
    *arguments: object, env: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[Any]:
    """``warmup-job`` as a running process; ended by SIGKILL if the test leaves it behind.

    Its log is in ``process.stderr``, or in ``log`` when it is too long to wait in a pipe; then it
    is a fork like a `job`, which saves its imports.
    """
    if is_trader(arguments):
        needs_nautilus.start_trader()
    environment = clean_env(**(env or {}))
    if log is not None:
        with contextlib.closing(start_jobs().start(arguments, environment, log)) as started:
            yield started
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "warmup_job", *map(str, arguments)],
        cwd=REPO,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def run_as_script(test_file: str, *arguments: str) -> list[str]:
    """Run a test file as a script, which must succeed; return the lines that it prints.

    NautilusTrader's logging is process-wide, and its node needs its own process as in production.
    A report in JSON is the last line, although the logger may write behind it.
    """
    needs_nautilus.start_trader()
    done = subprocess.run(
        [sys.executable, test_file, *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(done.stdout.splitlines(), key=lambda line: line.startswith("{"))


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
