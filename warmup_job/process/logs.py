"""Logs go to stderr: readable on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

from loguru import logger

from warmup_job.process.stderr_relay import NODE_LINE

if TYPE_CHECKING:
    from loguru import Message

LogFormat = Literal["auto", "text", "json"]
_TEXT = "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {message}"


def set_up_logs(level: str, form: LogFormat) -> bool:
    """Send loguru's records to stderr, as text or JSON; ``auto`` looks whether it is a terminal.

    Returns: whether they are JSON.
    """
    logger.remove()
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    if as_json:
        logger.add(_json_to(sys.stderr), level=level)
    else:
        # No variable values in tracebacks: they could hold a secret.
        logger.add(sys.stderr, level=level, format=_TEXT, diagnose=False)
    return as_json


@contextmanager
def foreign_lines_as_json(level: str) -> Iterator[None]:
    """Let what others write to stderr be JSON too, where loguru's records are.

    Nautilus writes its errors to file descriptor 2 itself, a panic of its Rust parts as well. They
    go through a process of their own, which outlives this one's death by a moment; loguru's
    records do not.
    """
    sys.stderr.flush()
    ours = os.fdopen(os.dup(2), "w")
    command = [sys.executable, "-m", "warmup_job.process.stderr_relay"]
    read_end, write_end = os.pipe()
    with subprocess.Popen(command, stdin=read_end, stdout=ours, start_new_session=True):  # noqa: S603 - ourselves
        os.close(read_end)
        os.dup2(write_end, 2)
        os.close(write_end)
        logger.remove()
        logger.add(_json_to(ours), level=level)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(ours.fileno(), 2)  # the pipe's last writer: the relay ends


@contextmanager
def stdout_kept_for_results(node_level: str, strategies: Collection[str]) -> Iterator[TextIO]:
    """Give the real stdout to the caller, and what Nautilus logs there to loguru.

    Of the node's own lines those from ``node_level`` on pass; the strategies' are always shown.
    Nautilus writes its log to file descriptor 1 itself, and its errors to 2.
    """
    sys.stdout.flush()
    results = os.fdopen(os.dup(1), "w")
    read_end, write_end = os.pipe()
    os.dup2(write_end, 1)
    os.close(write_end)
    relay = threading.Thread(
        target=_relay, args=(read_end, node_level, frozenset(strategies)), daemon=True
    )
    relay.start()
    try:
        yield results
    finally:
        sys.stdout.flush()
        # Nautilus' own log thread may still have lines: they are no results either. This closes the
        # pipe's only writer, which ends the relay.
        os.dup2(2, 1)
        relay.join(timeout=2)
        results.close()


def _relay(read_end: int, node_level: str, strategies: frozenset[str]) -> None:
    least = logger.level(node_level).no
    with os.fdopen(read_end, errors="replace") as lines:
        for line in lines:
            found = NODE_LINE.search(line)
            if found:
                level = "WARNING" if found["level"] == "WARN" else found["level"]
                if found["component"] in strategies or logger.level(level).no >= least:
                    logger.log(level, "{}: {}", found["component"], found["message"])
            elif line.strip():
                logger.info("{}", line.strip())


def _json_to(stream: TextIO) -> Callable[[Message], None]:
    def write(message: Message) -> None:
        stream.write(_as_json(message) + "\n")
        stream.flush()

    return write


def _as_json(message: Message) -> str:
    record = message.record
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
    }
    if record["exception"] is not None:
        # Where, and not with which values: those could be secrets.
        line["exception"] = "".join(traceback.format_exception(record["exception"].value))
    return json.dumps(line, ensure_ascii=False)
