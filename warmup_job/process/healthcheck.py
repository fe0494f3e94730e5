"""The image's HEALTHCHECK and exec probe.

Usage: `python -m warmup_job.process.healthcheck [URL | STATUS_JSON AGE_S]`.

Standard library only, and nothing of ours: it is started every few seconds.
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
    """0 if what the command line names is well, else 1, with the reason.

    - a URL: it answers 200;
    - the path of a job's status.json and seconds: a run succeeded within that time;
    - nothing: the trader's own /healthz answers 200. A container without WARMUP_HTTP_PORT has no
      port to ask and is well while it runs.
    """
    given = sys.argv[1:]
    if given and "://" not in given[0]:
        return _judge_runs(given)
    port = os.environ.get("WARMUP_HTTP_PORT", "")
    if not given and not port:
        return 0
    return _ask(given[0] if given else f"http://127.0.0.1:{port}{PATH}")


def _ask(address: str) -> int:
    url = urlsplit(address)
    try:
        connection = HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=2)
        connection.request("GET", url.path or PATH)
        answer = connection.getresponse()
        said = answer.read(2000).decode(errors="replace")
    except (OSError, ValueError, HTTPException) as error:
        sys.stderr.write(f"{url.geturl()}: {error}\n")
        return 1
    sys.stdout.write(said + "\n")
    return 0 if answer.status == 200 else 1


def _judge_runs(given: list[str]) -> int:
    try:
        path, most_s = Path(given[0]), int(given[1])
    except (IndexError, ValueError):
        sys.stderr.write("usage: python -m warmup_job.process.healthcheck STATUS_JSON SECONDS\n")
        return 1
    try:
        status = json.loads(path.read_bytes())
        failed, last_ms = status["failed_in_a_row"], status["last_success_ms"]
        age_s = None if last_ms is None else int(time.time() - last_ms / 1000)
        said = (
            "no run has succeeded yet" if age_s is None else f"the last success was {age_s} s ago"
        )
        said += f", {failed} run(s) have failed since: {status['message']}" if failed else ""
    except (OSError, ValueError, LookupError, TypeError) as error:
        sys.stderr.write(f"{path}: no run has left its status here ({error!r})\n")
        return 1
    sys.stdout.write(said + "\n")
    return 0 if age_s is not None and age_s <= most_s else 1


if __name__ == "__main__":
    sys.exit(main())
