"""Write each line of a trader's stderr in the form of its log: JSON, or text.

It runs as a separate process (`python -m warmup_job.process.stderr_relay LEVEL FORM`) that imports
only the standard library. So the last lines of Nautilus, its libraries or Python are logged even if
the trader dies.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from warmup_job.process.node_lines import LEVELS, NodeLine, parse_node_line

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LEVEL_COLOURS: Final = {"WARNING": "\x1b[33m\x1b[1m", "ERROR": "\x1b[31m\x1b[1m"}
_PLAIN = "\x1b[0m"


def to_json_line(line: str, node: NodeLine | None, at: datetime) -> str:
    """Return the line as one JSON object; Nautilus' timestamp and trader id are removed.

    Args:
        line: The line, without colours. A JSON object is returned unchanged.
        node: The line as Nautilus' log has it, if it is of that.
        at: The line's time.
    """
    if line.startswith('{"'):
        return line
    record = {"time": at.astimezone(UTC).isoformat(), "level": "ERROR", "message": line}
    if node is None:
        record["event"] = "process.output"
    else:
        record |= {"level": node.level, "message": node.text}
        record |= {"event": "node.line", "component": node.component}
    return json.dumps(record, ensure_ascii=False)


def to_text_line(line: str, node: NodeLine | None, at: datetime) -> str:
    """Return a line of Nautilus as the trader's own text log has it; other lines unchanged."""
    if node is None:
        return line
    local = at.astimezone()
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03} {node.level:<7} {node.text}"


def to_coloured_line(line: str, node: NodeLine | None, at: datetime) -> str:
    """Return the line as text for a terminal, warnings and errors in colour."""
    text = to_text_line(line, node, at)
    colour = "" if node is None else _LEVEL_COLOURS.get(node.level, "")
    return f"{colour}{text}{_PLAIN}" if colour else text


FORMS: Final[dict[str, Callable[[str, NodeLine | None, datetime], str]]] = {
    "json": to_json_line,
    "text": to_text_line,
    "coloured": to_coloured_line,
}


def main(level: str, form: str) -> None:
    """Convert lines until the last process that writes to stdin has closed it.

    Args:
        level: The lowest level of Nautilus' lines that are written.
        form: A key of ``FORMS``.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    for raw in sys.stdin:
        line = _COLOUR.sub("", raw).rstrip()
        node = parse_node_line(line)
        if line and (node is None or LEVELS[node.level] >= LEVELS[level]):
            # One write per line: the trader writes to the same stream, and `print` may write twice.
            os.write(1, f"{FORMS[form](line, node, datetime.now(UTC))}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:3])
