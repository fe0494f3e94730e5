"""Whether an HTTP port of ours answers well: the image's HEALTHCHECK, `python -m warmup_job.probe`.

Standard library only, and nothing of ours: it is started every few seconds.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PATH = "/healthz"


def main() -> int:
    """0 if the URL on the command line, or else the trader's own /healthz, answers 200; or 1.

    A container without WARMUP_HTTP_PORT has no port to ask and is well while it runs.
    """
    port = os.environ.get("WARMUP_HTTP_PORT", "")
    if len(sys.argv) < 2 and not port:
        return 0
    url = urlsplit(sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{port}{PATH}")
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


if __name__ == "__main__":
    sys.exit(main())
