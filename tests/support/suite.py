"""How much the suite tests, how long it waits, and where the repository is."""

from __future__ import annotations

import os
from pathlib import Path

SCALE = int(os.environ.get("WARMUP_TEST_SCALE", "1"))
"""By how much `make test-full` multiplies the cases of the property tests."""

HANG_S = 300.0
"""What takes longer than this hangs; it is no claim about how long anything takes."""

REPO = Path(__file__).resolve().parent.parent.parent

FULL = os.environ.get("WARMUP_TEST_FULL") == "1"
"""Whether the long tests run in full: `make test-full`."""
