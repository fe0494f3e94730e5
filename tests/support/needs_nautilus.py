"""Tests that need Nautilus are left out where it is not installed: `make test-image-job`.

A module that cannot be imported because of Nautilus is left out, and so is a test that ends with
that error or starts a trader. Only a test whose other processes need Nautilus has a mark. A module
that also tests the job therefore imports Nautilus in the tests that need it. What is left out is
counted, and so many tests must pass; so a job that begins to need Nautilus is not overlooked.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec

import pytest

AT_LEAST = int(os.environ.get("WARMUP_TEST_AT_LEAST", "0"))
"""So many tests must pass in the job's image."""
WITHOUT_NAUTILUS = find_spec("nautilus_trader") is None
_REASON = "needs Nautilus"
needs_nautilus = pytest.mark.skipif(WITHOUT_NAUTILUS, reason=_REASON)
"""The mark of a test that runs Nautilus in another process."""
_MISSING = re.compile(r"No module named '(nautilus_trader|pandas)")


def leave_out_module(report: pytest.CollectReport) -> None:
    """Leave a module out that cannot be collected because of Nautilus."""
    if WITHOUT_NAUTILUS and report.outcome == "failed" and _MISSING.search(str(report.longrepr)):
        report.outcome = "skipped"
        report.longrepr = (report.nodeid, 0, _REASON)


def leave_out_test(report: pytest.TestReport, error: BaseException | None) -> None:
    """Leave a test out that has ended because it imports Nautilus."""
    missing = isinstance(error, ModuleNotFoundError) and _MISSING.search(str(error))
    if WITHOUT_NAUTILUS and report.outcome == "failed" and missing:
        report.outcome = "skipped"
        report.longrepr = (report.nodeid, 0, _REASON)


def start_trader() -> None:
    """Leave the running test out, which is about to start a trader or another node."""
    if WITHOUT_NAUTILUS:
        pytest.skip(_REASON)


def counted(reporter: pytest.TerminalReporter) -> str:
    """Return how many tests have passed without Nautilus, and how many were left out."""
    passed, left_out = (len(reporter.stats.get(name, ())) for name in ("passed", "skipped"))
    return f"without Nautilus: {passed} passed, at least {AT_LEAST} must; {left_out} left out"


def are_too_few(reporter: pytest.TerminalReporter) -> bool:
    """Return whether fewer tests have passed than must."""
    return WITHOUT_NAUTILUS and len(reporter.stats.get("passed", ())) < AT_LEAST
