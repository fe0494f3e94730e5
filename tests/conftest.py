"""Shared fixtures: a local exchange over real sockets, the job as a process, recordings."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.support")

from tests.support import needs_nautilus
from tests.support.chromium import Chromium, running_chromium
from tests.support.commands import close_jobs
from tests.support.exchange import Exchange, running_exchange
from tests.support.recordings import RECORDINGS
from tests.support.suite import SCALE

hypothesis.settings.register_profile(
    "warmup",
    derandomize=SCALE == 1,
    # A busy machine is no failure.
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("warmup")


def pytest_xdist_auto_num_workers() -> int:
    """Start more workers than there are cores: most tests wait most of the time."""
    return len(os.sched_getaffinity(0)) + 3 if hasattr(os, "sched_getaffinity") else 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests that take longest first, so that none of them runs alone at the end."""
    items.sort(key=lambda each: each.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Leave out what needs Nautilus where there is none, as in the job's image."""
    report = yield
    needs_nautilus.leave_out_module(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The same for a test that imports Nautilus while it runs."""
    report = yield
    needs_nautilus.leave_out_test(report, call.excinfo.value if call.excinfo else None)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if needs_nautilus.WITHOUT_NAUTILUS:
        terminalreporter.line(needs_nautilus.counted(terminalreporter))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if too much was left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and needs_nautilus.are_too_few(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _jobs_end() -> Iterator[None]:
    yield
    close_jobs()


@pytest.fixture(scope="session")
def exchange() -> Iterator[Exchange]:
    """One exchange for every test that only reads from it."""
    with running_exchange(seed=7) as running:
        yield running


@pytest.fixture
def start_exchange() -> Iterator[Callable[..., Exchange]]:
    """Start exchanges with options; they end with the test."""
    with contextlib.ExitStack() as stack:

        def begin(**options: Any) -> Exchange:
            return stack.enter_context(running_exchange(**options))

        yield begin


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A headless browser; each of its pages has cookies and storage of its own."""
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded Binance klines; tests that need it are skipped without it."""
    if not RECORDINGS.is_dir():
        pytest.skip("the recorded klines (../shared/data) are not here")
    return RECORDINGS


@pytest.fixture(scope="session")
def whole_ccxt() -> None:
    """Tests about ccxt's other exchanges are skipped where the package has Binance alone."""
    found = importlib.util.find_spec("ccxt")
    assert found is not None
    assert found.origin is not None
    if not Path(found.origin).with_name("kraken.py").exists():
        pytest.skip("this is the image: of ccxt's exchanges it has Binance's module alone")
