"""What the tests of the volume share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.config_files import write_config
from tests.support.exchange import Exchange, running_exchange
from tests.support.second_run import Situation
from tests.support.volume_trace import Jobs
from tests.support.volumes import BARS, HALF_PAST_MS, Hourly, fill


@pytest.fixture(scope="session")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hourly]:
    """A job whose exchange has closed one hour more than its volume holds."""
    folder = tmp_path_factory.mktemp("hourly")
    with running_exchange(now_ms=HALF_PAST_MS) as exchange:
        config = write_config(
            folder,
            exchange.url,
            warmup={
                "streams": [{"symbol": "BTCUSDT", "interval": "1h", "bars": BARS}],
                "on_failure": "fail",
                "deadline": "4m",
            },
            snapshot={"keep": 1},
        )
        with contextlib.closing(Jobs()) as jobs:
            made = Hourly(exchange, config, folder / "volume", jobs)
            fill(made)
            yield made


@pytest.fixture(scope="session")
def other_jobs() -> Iterator[Jobs]:
    """Jobs that run while one of an `Hourly` stands still."""
    with contextlib.closing(Jobs()) as jobs:
        yield jobs


@pytest.fixture
def situation(tmp_path: Path, start_exchange: Callable[..., Exchange]) -> Situation:
    return Situation(tmp_path, start_exchange)
