"""The size of property tests, the limit of waits, and the repository's path and version."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import warmup_job

SCALE = int(os.environ.get("WARMUP_TEST_SCALE", "1"))
"""Factor by which `make test-full` multiplies the cases of the property tests."""

HANG_S = 300.0
"""A test that takes longer hangs. No test asserts how long something takes."""

REPO = Path(__file__).resolve().parent.parent.parent

PACKAGE = Path(warmup_job.__file__).parent
"""The package that is tested: the repository's, or in an image the installed one."""

VERSION: str = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]

FULL = os.environ.get("WARMUP_TEST_FULL") == "1"
"""Whether the long tests run in full: `make test-full`."""
