"""BinanceDataWarmer as its users call it, against an exchange."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import clean_env
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import needs_nautilus
from tests.support.suite import HANG_S, REPO
from warmup_job import BinanceDataWarmer, DetectorBar, VenueConfigLoader
from warmup_job.binance.client import BinanceClient
from warmup_job.errors import ConfigError, ExchangeUnreachableError, RefusedError

MINUTE_MS = 60_000


def bar_type(spec: str = "1-MINUTE", instrument_id: str = "BTCUSDT-PERP.BINANCE") -> Any:
    from nautilus_trader.model.data import BarType

    return BarType.from_str(f"{instrument_id}-{spec}-LAST-EXTERNAL")


def warmer(exchange: Exchange, **options: Any) -> BinanceDataWarmer:
    venue = VenueConfigLoader.load(REPO / "configs/venues/simulated.yaml", exchange.env())
    return BinanceDataWarmer(venue, **options)


def test_data_warmer_snippet_of_naut_hedgegrid_works(exchange: Exchange) -> None:
    with warmer(exchange) as warm:
        bars = warm.fetch_historical_bars(symbol="BTCUSDT", bar_type=bar_type(), num_bars=100)
        detector_bars = warm.fetch_detector_bars(symbol="BTCUSDT", num_bars=70, interval="1m")
    assert len(bars) == 100
    assert len(detector_bars) == 70
    assert all(isinstance(bar, DetectorBar) for bar in detector_bars)
    closes = [round(bar.ts_event / 1e6) for bar in bars]
    assert closes == [closes[0] + n * MINUTE_MS for n in range(100)]
    assert 0 <= exchange.now_ms() - closes[-1] < MINUTE_MS + 10_000
    assert detector_bars[-1].close == float(str(bars[-1].close))
    assert detector_bars[-1].close_ms == closes[-1]


def test_data_warmer_defaults_are_those_of_naut_hedgegrid(exchange: Exchange) -> None:
    with warmer(exchange) as warm:
        assert len(warm.fetch_historical_bars("BTCUSDT", bar_type())) == 100
        assert len(warm.fetch_detector_bars("BTCUSDT-PERP.BINANCE")) == 60


@pytest.mark.parametrize(
    ("spec", "step"), [("5-MINUTE", 300), ("4-HOUR", 14_400), ("1-DAY", 86_400)]
)
def test_data_warmer_fetches_other_intervals(exchange: Exchange, spec: str, step: int) -> None:
    with warmer(exchange) as warm:
        bars = warm.fetch_historical_bars("BTCUSDT", bar_type(spec), 7)
    closes = [round(bar.ts_event / 1e9) for bar in bars]
    assert closes == [closes[0] + n * step for n in range(7)]


def test_data_warmer_fetches_a_long_history_in_pages(exchange: Exchange) -> None:
    with warmer(exchange) as warm:
        bars = warm.fetch_detector_bars("BTCUSDT", num_bars=3333)
    closes = [bar.close_ms or 0 for bar in bars]
    assert closes == [closes[0] + n * MINUTE_MS for n in range(3333)]


def test_data_warmer_end_time_is_the_last_close(exchange: Exchange) -> None:
    end = datetime.now(UTC).replace(second=30, microsecond=0) - timedelta(hours=5)
    with warmer(exchange) as warm:
        bars = warm.fetch_detector_bars("BTCUSDT", num_bars=3, end_time=end)
    assert bars[-1].close_ms == int(end.replace(second=0).timestamp()) * 1000 - 1


@pytest.mark.parametrize("spec", ["10-MINUTE", "2-DAY", "100-TICK"])
def test_data_warmer_refuses_an_interval_that_binance_lacks(exchange: Exchange, spec: str) -> None:
    with warmer(exchange) as warm, pytest.raises(ConfigError):
        warm.fetch_historical_bars("BTCUSDT", bar_type(spec), 5)


@pytest.mark.parametrize("other", ["ETHUSDT-PERP.BINANCE", "BTCUSDT.BINANCE"])
def test_data_warmer_never_labels_bars_as_another_instruments(
    exchange: Exchange, other: str
) -> None:
    wrong = bar_type(instrument_id=other)
    with warmer(exchange) as warm, pytest.raises(RefusedError, match="is not for BTCUSDT"):
        warm.fetch_historical_bars("BTCUSDT", wrong, 5)


def test_data_warmer_unknown_symbol_is_one_clear_error(exchange: Exchange) -> None:
    with warmer(exchange) as warm, pytest.raises(RefusedError, match="does not list the symbol"):
        warm.fetch_detector_bars("NOSUCHUSDT", 5)


def test_data_warmer_no_connection_is_one_clear_error() -> None:
    env = {"WARMUP_EXCHANGE_URL": "http://127.0.0.1:9"}
    venue = VenueConfigLoader.load(REPO / "configs/venues/simulated.yaml", env)
    impatient = BinanceDataWarmer(venue, deadline_ms=2_000)
    with impatient as warm, pytest.raises(ExchangeUnreachableError, match="cannot"):
        warm.fetch_detector_bars("BTCUSDT", 5)


def test_data_warmer_works_inside_a_running_event_loop(exchange: Exchange) -> None:
    async def notebook() -> int:
        with warmer(exchange) as warm:
            return len(warm.fetch_detector_bars("BTCUSDT", 10))

    assert asyncio.run(notebook()) == 10


def test_data_warmer_prints_to_a_console(exchange: Exchange) -> None:
    class Console:
        lines: list[str] = []  # noqa: RUF012

        def print(self, message: str) -> None:
            self.lines.append(message)

    console = Console()
    with warmer(exchange, console=console) as warm:
        warm.fetch_detector_bars("BTCUSDT", 10)
    assert console.lines == ["Fetched 10 of 10 1m bars for BTCUSDT"]


def test_data_warmer_package_is_imported_lazily() -> None:
    code = (
        "import sys, warmup_job; "
        "assert not {'ccxt', 'nautilus_trader', 'pyarrow', 'yaml'} & set(sys.modules); "
        "from warmup_job import RegimeDetector; "
        "assert not {'ccxt', 'nautilus_trader'} & set(sys.modules); "
        "assert 'BinanceDataWarmer' in dir(warmup_job)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("whole_ccxt")
def test_data_warmer_leaves_ccxt_complete_for_other_code() -> None:
    """The client loads Binance's module alone; other code that imports ccxt gets all of it."""
    whole = "import sys, ccxt.async_support as x, ccxt; assert ccxt.kraken and x.kraken; "
    same = (
        "from warmup_job.binance import client; "
        "assert client.ccxt.RequestTimeout is x.RequestTimeout is ccxt.RequestTimeout; "
        "import requests; assert sys.modules['ccxt.base.exchange'].Session is requests.Session; "
        "assert ccxt.binance().session.headers['User-Agent'] == ccxt.binance().userAgent; "
        "made = client.make_ccxt(lambda *_: None); "
        "assert made.userAgent == ccxt.binance().userAgent"
    )
    ours = (
        "import warmup_job.binance.client, sys; "
        "assert not {'ccxt.kraken', 'requests', 'urllib3'} & set(sys.modules); "
    )
    for code in (ours + whole + same, whole + same):
        subprocess.run([sys.executable, "-c", code], check=True)


def test_data_warmer_fetching_imports_neither_nautilus_nor_pandas() -> None:
    code = (
        "import sys; from warmup_job.catalog import packed_bars as arrow; "
        "from warmup_job.market.kline import Klines; import warmup_job.job.run_job; "
        "arrow.pack(Klines([1], *[['1']] * 5, [1], *[['1']] * 4)); "
        "assert not {'nautilus_trader', 'pandas', 'ccxt'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_nautilus
@pytest.mark.e2e
def test_data_warmer_examples_run(exchange: Exchange, tmp_path: Path) -> None:
    env = clean_env(
        **exchange.env(),
        WARMUP_ROOT=str(tmp_path / "snapshot"),
    )
    for script, arguments, expected in (
        ("warmup_only.py", [], "warm"),
        ("paper_trade_with_warmup.py", ["configs/demo.yaml", "12"], "warm start"),
    ):
        done = subprocess.run(
            [sys.executable, f"examples/{script}", *arguments],
            cwd=REPO, env=env, capture_output=True, text=True, check=False, timeout=HANG_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout.splitlines()[-1] or expected in done.stdout


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock goes on in a sleep here")
def test_data_warmer_exchange_time_goes_on_while_the_machine_sleeps(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that wakes up has missed bars, and must notice it at once."""

    async def scenario() -> tuple[int, int]:
        async with BinanceClient("um", exchange.url) as client:
            await client.sync_clock()
            before = client.now_ms()
            real = time.clock_gettime
            slept = {time.CLOCK_BOOTTIME: 3600.0}  # and CLOCK_MONOTONIC stood still
            monkeypatch.setattr(time, "clock_gettime", lambda c: real(c) + slept.get(c, 0.0))
            return before, client.now_ms()

    before, after = asyncio.run(scenario())
    assert 3_600_000 <= after - before < 3_660_000
