"""Makes a JSON object of every line on stdin that is none: what others write to a trader's stderr.

A process of its own (`python -m warmup_job.process.stderr_relay`), standard library only:
what Nautilus, a library of its or Python says last is still told when the trader dies of it.
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


def told(line: str, time: str) -> str:
    """The line as one JSON object; Nautilus' own lines without their frame.

    Args:
        time: ISO, with its zone, for a line that does not tell its own.
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
    """Until stdin ends, which is when nobody has it open for writing any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    for raw in sys.stdin:
        line = _COLOUR.sub("", raw).rstrip()
        if line:
            # In one go, as the trader writes beside it, whatever PYTHONUNBUFFERED makes of a print.
            os.write(1, f"{told(line, datetime.now(UTC).isoformat())}\n".encode())


if __name__ == "__main__":
    main()
