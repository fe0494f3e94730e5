"""Shared fixtures: a local exchange over real sockets, the job as a process, recordings."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.support")

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
