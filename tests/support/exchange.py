"""A local exchange over real sockets, in a thread of the test process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.support.background_loop import background_loop
from tests.support.suite import HANG_S
from tests.support.waiting import until
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import start

MINUTE_MS = 60_000
EARLY_S = 57.0
"""A test that wants no close while the trader starts begins this long before one."""


def before_the_minute(seconds: float) -> int:
    """Return a clock on which a minute closes soon, so that tests need not wait long.

    On a busy machine it may close before the trader has started: the next one is as good.
    """
    now_ms = time.time_ns() // 1_000_000
    return now_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS - round(seconds * 1000)


@dataclass(frozen=True)
class Exchange:
    """A running local exchange and its request log."""

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
        """Wait until the server has counted a request."""
        until(self.requests, "a request")

    def klines(self) -> list[dict[str, Any]]:
        """Return the requests for bars: all klines except the months for the bounds."""
        asked = [each for each in self.requests() if each["path"].endswith("lines")]
        return [
            each
            for each in asked
            if each["params"]["interval"] != "1M" or each["params"]["limit"] not in {"99", "1000"}
        ]

    def mark_price(self, symbol: str) -> Decimal:
        """Return a futures symbol's mark price."""
        with urllib.request.urlopen(f"{self.url}/fapi/v1/premiumIndex?symbol={symbol}") as answer:
            return Decimal(json.load(answer)["markPrice"])

    def account(self, after: int = 0) -> dict[str, Any]:
        """Return the futures account; its journal begins after so many entries."""
        with urllib.request.urlopen(f"{self.url}/_sim/account?after={after}") as answer:
            return dict(json.load(answer))

    def fault(self, spec: str) -> None:
        """Add a fault from now on (docs/reference/local-exchange.md, "Faults")."""
        request = urllib.request.Request(f"{self.url}/_sim/faults", spec.encode(), method="POST")
        urllib.request.urlopen(request).close()

    def fault_hits(self) -> list[int]:
        """Return how often each fault has hit, in the order in which they were added."""
        with urllib.request.urlopen(f"{self.url}/_sim/faults") as answer:
            return [each["seen"] for each in json.load(answer)]

    def clear_faults(self) -> None:
        """Remove all faults."""
        request = urllib.request.Request(f"{self.url}/_sim/faults", method="DELETE")
        urllib.request.urlopen(request).close()

    def minutes(self) -> dict[str, int]:
        """Return the request weight that futures requests used in each calendar minute."""
        with urllib.request.urlopen(f"{self.url}/_sim/requests") as answer:
            return dict(json.load(answer)["minutes"]["um"])

    def env(self) -> dict[str, str]:
        """Return variables that point configs/venues/simulated.yaml here, and a state folder."""
        return {
            "WARMUP_EXCHANGE_URL": self.url,
            "WARMUP_EXCHANGE_WS_URL": self.ws_url,
            "WARMUP_STATE_DIR": self.state_dir,
        }


@contextlib.contextmanager
def running_exchange(**options: Any) -> Iterator[Exchange]:
    """Run an exchange in a thread with a separate event loop."""
    with background_loop() as loop:
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
