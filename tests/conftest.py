"""What the tests share: a local exchange over real sockets, the job as a process, recordings."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from warmup_job.local_binance.server import ExchangeOptions, start

pytest.register_assert_rewrite("tests.support")

# A gate tries the same cases every time; what `make test-full` tries is new each time, and more.
SCALE = int(os.environ.get("WARMUP_TEST_SCALE", "1"))
hypothesis.settings.register_profile("warmup", derandomize=SCALE == 1)
hypothesis.settings.load_profile("warmup")

HANG_S = 300.0
"""What takes longer than this hangs; it is no claim about how long anything takes."""

REPO = Path(__file__).resolve().parent.parent
RECORDINGS = REPO.parent / "shared" / "data"


@dataclass(frozen=True)
class Exchange:
    """A running local exchange, and what it was asked."""

    url: str
    ws_url: str
    now_ms: Callable[[], int]
    stop: Callable[[], None]
    state_dir: str
    """Where a trader on it keeps its state."""

    def requests(self) -> list[dict[str, Any]]:
        """Every request that the server counted, oldest first."""
        with urllib.request.urlopen(f"{self.url}/_sim/requests") as answer:
            return list(json.load(answer)["requests"])

    def await_request(self) -> None:
        """Until somebody has asked for something."""
        deadline = time.monotonic() + HANG_S
        while not self.requests():
            assert time.monotonic() < deadline, "nobody asked for anything"
            time.sleep(0.05)

    def klines(self) -> list[dict[str, Any]]:
        """The requests for bars among them: all klines but the months that give the bounds."""
        asked = [each for each in self.requests() if each["path"].endswith("lines")]
        return [
            each
            for each in asked
            if each["params"]["interval"] != "1M" or each["params"]["limit"] not in {"99", "1000"}
        ]

    def fault(self, spec: str) -> None:
        """Let something go wrong from now on (docs/local-exchange.md, "Faults")."""
        request = urllib.request.Request(f"{self.url}/_sim/faults", spec.encode(), method="POST")
        urllib.request.urlopen(request).close()

    def clear_faults(self) -> None:
        """Let all go well again."""
        request = urllib.request.Request(f"{self.url}/_sim/faults", method="DELETE")
        urllib.request.urlopen(request).close()

    def minutes(self) -> dict[str, int]:
        """The weight that was spent on futures in each calendar minute."""
        with urllib.request.urlopen(f"{self.url}/_sim/requests") as answer:
            return dict(json.load(answer)["minutes"]["um"])

    def env(self) -> dict[str, str]:
        """What points configs/venues/simulated.yaml to it, and a trader to a state of its own."""
        return {
            "WARMUP_EXCHANGE_URL": self.url,
            "WARMUP_EXCHANGE_WS_URL": self.ws_url,
            "WARMUP_STATE_DIR": self.state_dir,
        }


@contextlib.contextmanager
def running_exchange(**options: Any) -> Iterator[Exchange]:
    """An exchange in a thread with a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = asyncio.run_coroutine_threadsafe(start(ExchangeOptions(**options)), loop)
    running = starting.result(HANG_S)
    stopped = threading.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            asyncio.run_coroutine_threadsafe(running.stop(), loop).result(HANG_S)

    try:
        with tempfile.TemporaryDirectory() as state:
            yield Exchange(running.url, running.ws_url, running.now_ms, stop, state)
    finally:
        stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG_S)
        loop.close()


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


def recorded_rows(path: Path) -> list[dict[str, str]]:
    """A recording's rows as text."""
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its result, parsed."""
        return json.loads(self.out)

    @property
    def messages(self) -> list[str]:
        """The messages of its log."""
        return [json.loads(line)["message"] for line in self.err.splitlines() if line[:1] == "{"]


def clean_env(**extra: str) -> dict[str, str]:
    """This process's environment without anybody's WARMUP_… settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP_")}
    return kept | extra


def job(*arguments: object, env: dict[str, str] | None = None, timeout: float = HANG_S) -> Result:
    """Run ``warmup-job`` to its end, from the repository."""
    done = subprocess.run(
        [sys.executable, "-m", "warmup_job", *map(str, arguments)],
        cwd=REPO,
        env=clean_env(**(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def job_process(
    *arguments: object, env: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[Any]:
    """``warmup-job`` as a running process; ended by SIGKILL if the test leaves it behind.

    Its log is in ``process.stderr``, or in ``log`` when it is too long to wait in a pipe.
    """
    with contextlib.ExitStack() as stack:
        stderr = subprocess.PIPE if log is None else stack.enter_context(log.open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "warmup_job", *map(str, arguments)],
            cwd=REPO,
            env=clean_env(**(env or {})),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def trade_until(words: str, *arguments: object, env: dict[str, str] | None = None) -> Result:
    """Run ``warmup-job trade`` until its log has ``words``, then stop it by SIGTERM.

    Fails if the trader ends before, with its log.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with job_process("trade", *arguments, env=env, log=log) as trader:
            deadline = time.monotonic() + HANG_S
            while words not in log.read_text():
                assert trader.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            trader.terminate()
            out, _ = trader.communicate(timeout=HANG_S)
        return Result(trader.returncode, out, log.read_text())


def write_config(
    folder: Path, exchange_url: str, *, ws_url: str | None = None, **changes: Any
) -> Path:
    """A venue, a strategy and a joining file in ``folder``; ``changes`` go into the joining file.

    Keys of ``changes`` are sections (warmup, snapshot, …), or venue/strategy for those files' text.
    """
    venue = changes.pop("venue", {})
    strategy = changes.pop("strategy", {})
    market = venue.pop("market", "um")
    ends = ("futures", "PERPETUAL_LINEAR") if market == "um" else ("spot", "CASH")
    folder.mkdir(parents=True, exist_ok=True)
    symbol = strategy.pop("symbol", "BTCUSDT-PERP.BINANCE" if market == "um" else "BTCUSDT.BINANCE")
    (folder / "venue.yaml").write_text(
        json.dumps(
            {
                "venue": {"name": "BINANCE", "venue_type": ends[0], "account_type": ends[1]},
                "api": {"base_url": exchange_url, "ws_url": ws_url},
                "rate_limits": {"weight_per_minute": 2400},
            }
            | venue
        )
    )
    text = (REPO / "configs/strategies/hedge_grid_v1.yaml").read_text()
    (folder / "strategy.yaml").write_text(text.replace("BTCUSDT-PERP.BINANCE", symbol))
    # A proof is asked for where it is what the test is about.
    changes["warmup"] = {"require": "bars"} | changes.get("warmup", {})
    changes["trade"] = {"state_dir": str(folder / "state")} | changes.get("trade", {})
    joined = {"venue": "venue.yaml", "strategy": "strategy.yaml"} | changes
    path = folder / "warmup.yaml"
    path.write_text(json.dumps(joined))
    return path
