"""Shared fixtures of the volume tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import start_jobs
from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute, running_exchange
from tests.support.second_run import Situation
from tests.support.volume_trace import WatchedJobs
from tests.support.volumes import BARS, HALF_PAST_MS, Hourly, fill
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.prices.generated_market import generated_feed
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.market.interval import Interval


@pytest.fixture(scope="session", autouse=True)
def _all_is_ready() -> None:
    """Import and compute in advance what could exceed a request's timeout on a busy machine."""
    start_jobs()
    options = ExchangeOptions()
    (bitcoin,) = [s for s in default_symbols() if (s.market, s.name) == ("um", "BTCUSDT")]
    feed = generated_feed(options.seed, bitcoin, options.volatility_bps)
    now_ms = time.time_ns() // 1_000_000
    assert feed.klines.latest(Interval.parse("1M"), now_ms, 99, now_ms)


@pytest.fixture(scope="session")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hourly]:
    """Return a job whose exchange has one more closed hour than its volume."""
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
        with contextlib.closing(WatchedJobs()) as jobs:
            made = Hourly(exchange, config, folder / "volume", jobs)
            fill(made)
            yield made


@pytest.fixture(scope="session")
def other_jobs() -> Iterator[WatchedJobs]:
    """Return WatchedJobs that run while a job of an `Hourly` is stopped."""
    with contextlib.closing(WatchedJobs()) as jobs:
        yield jobs


@pytest.fixture
def situation(tmp_path: Path, start_exchange: Callable[..., Exchange]) -> Situation:
    return Situation(tmp_path, start_exchange)


@pytest.fixture
def early(start_exchange: Callable[..., Exchange]) -> Exchange:
    """An exchange on which no minute closes while a trader starts."""
    return start_exchange(now_ms=before_the_minute(EARLY_S))
