"""Log to stderr: text on a terminal, otherwise one JSON object per line."""

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

from warmup_job.process.node_lines import parse_node_line
from warmup_job.process.terminal import shows_colours

if TYPE_CHECKING:
    from loguru import Message, Record

LogFormat = Literal["auto", "text", "json"]
_TEXT = "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {message}"


def set_up_logs(level: str, form: LogFormat) -> bool:
    """Send loguru's records to stderr.

    Args:
        level: The lowest level that is shown.
        form: ``auto`` writes text if stderr is a terminal, else JSON.

    Returns:
        Whether the records are JSON.
    """
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    _log_to(sys.stderr, level, as_json=as_json)
    return as_json


def _log_to(stream: TextIO, level: str, *, as_json: bool) -> None:
    logger.remove()
    if as_json:
        logger.add(_json_to(stream), level=level)
    else:
        # No variable values in tracebacks: they could hold a secret.
        colours = shows_colours(stream)
        logger.add(stream, level=level, format=_text_format, diagnose=False, colorize=colours)


def _text_format(record: Record) -> str:
    link = " [help: {extra[help]}]" if record["extra"].get("help") else ""
    return f"{_TEXT}{link}\n{{exception}}"


@contextmanager
def relayed_stderr(level: str, *, as_json: bool) -> Iterator[None]:
    """Write every line on stderr in the form of the log, including those not of loguru.

    Nautilus writes its errors, and the panics of its Rust code, directly to file descriptor 2.
    Those lines go through a separate process, which still converts the last ones if this process
    dies. Loguru's records do not need it.

    Args:
        level: The lowest level that is shown.
        as_json: Whether the log is JSON; otherwise it is text.
    """
    sys.stderr.flush()
    ours = os.fdopen(os.dup(2), "w")
    form = "json" if as_json else "coloured" if shows_colours(ours) else "text"
    command = [sys.executable, "-m", "warmup_job.process.stderr_relay", level, form]
    read_end, write_end = os.pipe()
    with subprocess.Popen(command, stdin=read_end, stdout=ours, start_new_session=True):  # noqa: S603 - our own module
        os.close(read_end)
        os.dup2(write_end, 2)
        os.close(write_end)
        _log_to(ours, level, as_json=as_json)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(ours.fileno(), 2)  # closes the pipe's last writer, so the relay ends


@contextmanager
def reserve_stdout_for_results(node_level: str, strategies: Collection[str]) -> Iterator[TextIO]:
    """Yield the real stdout, and send what Nautilus logs to stdout to loguru instead.

    Nautilus writes its log directly to file descriptor 1, and its errors to 2.

    Args:
        node_level: The lowest level shown for the node's own lines.
        strategies: Components whose lines are always shown.
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
        # Nautilus' log thread may still write: send that to stderr. This closes the pipe's only
        # writer, so the relay ends.
        os.dup2(2, 1)
        relay.join(timeout=2)
        results.close()


def _relay(read_end: int, node_level: str, strategies: frozenset[str]) -> None:
    min_level_no = logger.level(node_level).no
    with os.fdopen(read_end, errors="replace") as lines:
        for line in lines:
            found = parse_node_line(line.rstrip("\n"))
            if found:
                no = logger.level(found.level).no
                if found.component in strategies or no >= min_level_no:
                    logger.log(
                        found.level,
                        "{_text}",
                        event="node.line",
                        component=found.component,
                        _text=found.text,
                    )
            elif line.strip():
                logger.info("{_text}", event="process.output", _text=line.strip())


def _json_to(stream: TextIO) -> Callable[[Message], None]:
    def write(message: Message) -> None:
        stream.write(_as_json(message) + "\n")
        stream.flush()

    return write


def _as_json(message: Message) -> str:
    record = message.record
    fields = {name: value for name, value in record["extra"].items() if name[:1] != "_"}
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        **fields,  # `event` and its fields: docs/reference/log-events.md
    }
    if record["exception"] is not None:
        # The traceback without the variables' values: those could be secrets.
        line["exception"] = "".join(traceback.format_exception(record["exception"].value))
    return json.dumps(line, ensure_ascii=False, default=str)
