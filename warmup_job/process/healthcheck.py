"""Run the image's HEALTHCHECK or a Kubernetes exec probe.

Usage: `python -m warmup_job.process.healthcheck [URL | STATUS_JSON MAX_AGE_S]`

It starts every few seconds, so it imports the standard library only.
"""

import json
import os
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

PATH = "/healthz"


def main() -> int:
    """Check the target that the command line names and print the result.

    - a URL: healthy if it answers 200;
    - the path of a job's status.json and a number of seconds: healthy if a run succeeded within
      that time;
    - no argument: healthy if the trader's /healthz answers 200. Without WARMUP_HTTP_PORT the
      container has no port and counts as healthy while it runs.

    Returns:
        0 if healthy, else 1.
    """
    arguments = sys.argv[1:]
    if arguments and "://" not in arguments[0]:
        return _check_status_file(arguments)
    port = os.environ.get("WARMUP_HTTP_PORT", "")
    if not arguments and not port:
        return 0
    return _check_url(arguments[0] if arguments else f"http://127.0.0.1:{port}{PATH}")


def _check_url(address: str) -> int:
    url = urlsplit(address)
    try:
        connection = HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=2)
        connection.request("GET", url.path or PATH)
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace")
    except (OSError, ValueError, HTTPException) as error:
        sys.stderr.write(f"{url.geturl()}: {error}\n")
        return 1
    sys.stdout.write(body + "\n")
    return 0 if answer.status == 200 else 1


def _check_status_file(arguments: list[str]) -> int:
    try:
        path, max_age_s = Path(arguments[0]), int(arguments[1])
    except (IndexError, ValueError):
        sys.stderr.write("usage: python -m warmup_job.process.healthcheck STATUS_JSON MAX_AGE_S\n")
        return 1
    try:
        status = json.loads(path.read_bytes())
        failed, last_ms = status["failed_in_a_row"], status["last_success_ms"]
        age_s = None if last_ms is None else int(time.time() - last_ms / 1000)
        result = (
            "no run has succeeded yet" if age_s is None else f"the last success was {age_s} s ago"
        )
        result += f", {failed} run(s) have failed since: {status['message']}" if failed else ""
    except (OSError, ValueError, LookupError, TypeError) as error:
        sys.stderr.write(f"{path}: no readable run status ({error!r})\n")
        return 1
    sys.stdout.write(result + "\n")
    return 0 if age_s is not None and age_s <= max_age_s else 1


if __name__ == "__main__":
    sys.exit(main())
