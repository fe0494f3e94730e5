"""Convert each line of a trader's stderr that is not JSON into a JSON object.

It runs as a separate process (`python -m warmup_job.process.stderr_relay`) that imports only the
standard library. So the last lines of Nautilus, its libraries or Python are logged even if the
trader dies.
"""

import json
import os
import re
import signal
import sys
from datetime import UTC, datetime

NODE_LINE = re.compile(
    r"\[(?P<level>DEBUG|INFO|WARN|ERROR)\] [^.\s]+\.(?P<component>[^:]+): (?P<message>.*)"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def to_json_line(line: str, time: str) -> str:
    """Return the line as one JSON object; Nautilus' timestamp and trader id are removed.

    Args:
        line: The line, without colours. A JSON object is returned unchanged.
        time: The line's time, ISO 8601 with a zone.
    """
    if line.startswith('{"'):
        return line
    found = NODE_LINE.search(line)
    level, message = "ERROR", line
    if found:
        level = "WARNING" if found["level"] == "WARN" else found["level"]
        message = f"{found['component']}: {found['message']}"
    return json.dumps({"time": time, "level": level, "message": message}, ensure_ascii=False)


def main() -> None:
    """Convert lines until the last process that writes to stdin has closed it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    for raw in sys.stdin:
        line = _COLOUR.sub("", raw).rstrip()
        if line:
            # One write per line: the trader writes to the same stream, and `print` may write twice.
            os.write(1, f"{to_json_line(line, datetime.now(UTC).isoformat())}\n".encode())


if __name__ == "__main__":
    main()
