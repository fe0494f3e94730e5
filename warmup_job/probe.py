"""Former name of `warmup_job.process.healthcheck`, for the probes of existing pods.

Deprecated: use ``python -m warmup_job.process.healthcheck``.
"""

from __future__ import annotations

import sys

from warmup_job.process.healthcheck import main

if __name__ == "__main__":
    sys.exit(main())
