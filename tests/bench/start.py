"""What warm-up costs a start: from the process' start to live, beside a node that is not warmed.

    python -m tests.bench.start

And how many bars a second a long snapshot is fed to the detector with.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.bench import exchange
from tests.support.suite import REPO

RUNS = 9
BARS = 200_000
_BARE = """
import asyncio, os, sys
from decimal import Decimal
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import (
    BinanceDataClientConfig, BinanceInstrumentProviderConfig)
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.live.config import LiveExecEngineConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

ID = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")

class Cold(Strategy):
    def on_start(self):
        self.subscribe_bars(BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"))
        self.subscribe_quote_ticks(ID)
    def on_quote_tick(self, tick):
        print("live", file=sys.stderr, flush=True)
        os._exit(0)

async def main():
    node = TradingNode(TradingNodeConfig(
        logging=LoggingConfig(log_level="ERROR"),
        exec_engine=LiveExecEngineConfig(reconciliation=False),
        data_clients={"BINANCE": BinanceDataClientConfig(
            account_type=BinanceAccountType.USDT_FUTURES,
            base_url_http=os.environ["WARMUP_EXCHANGE_URL"],
            base_url_ws=os.environ["WARMUP_EXCHANGE_WS_URL"],
            instrument_provider=BinanceInstrumentProviderConfig(load_ids=frozenset({ID})))},
        exec_clients={"BINANCE": SandboxExecutionClientConfig(
            venue="BINANCE", oms_type="HEDGING", account_type="MARGIN",
            starting_balances=["10000 USDT"], default_leverage=Decimal(5))},
    ), loop=asyncio.get_running_loop())
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", SandboxLiveExecClientFactory)
    node.trader.add_strategy(Cold())
    node.build()
    await node.run_async()

asyncio.run(main())
"""


def seconds_until(word: str, *command: str) -> float:
    """Seconds from a process' start to a line of its stderr with ``word``; then it is ended."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=REPO, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if word in line:
            took = time.perf_counter() - began
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return took
    raise RuntimeError(f"it never said {word!r}: {''.join(lines)[-2000:]}")


def bars_a_second(count: int = BARS) -> float:
    """How many Bar objects a second go into the detector, as the runner does it."""
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.objects import Price, Quantity

    from warmup_job.catalog.detector_bars import detector_bar
    from warmup_job.regime.detector import DetectorSettings, RegimeDetector

    bar_type = BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")
    one = Quantity.from_str("1.000")
    bars = []
    for at in range(count):
        low = 5_000_000 + 7 * (at % 1000)
        prices = (low + 50, low + 100, low, low + 70)
        made = (Price.from_str(f"{cents / 100:.2f}") for cents in prices)
        close_ns = (1_700_000_040_000 + at * 60_000 + 59_999) * 10**6
        bars.append(Bar(bar_type, *made, one, close_ns, close_ns))
    detector = RegimeDetector(DetectorSettings(20, 50, 14, 14, 10.0))
    began = time.perf_counter()
    for bar in [detector_bar(bar) for bar in bars]:
        detector.update(bar)
    return count / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    job = (sys.executable, "-m", "warmup_job", "--log-format", "json")
    with exchange("--latency-ms", "60") as url, tempfile.TemporaryDirectory() as folder:
        os.environ["WARMUP_EXCHANGE_URL"] = url
        os.environ["WARMUP_EXCHANGE_WS_URL"] = url.replace("http", "ws")
        os.environ["WARMUP_STATE_DIR"] = f"{folder}/state"
        config = ("--config", "configs/demo.yaml", "--root", f"{folder}/snapshot")
        subprocess.run([*job, "run", *config], cwd=REPO, env=os.environ, check=True,
                       capture_output=True)  # fmt: skip
        bare = Path(folder) / "bare.py"
        bare.write_text(_BARE)
        pairs = []
        for _ in range(RUNS):
            subprocess.run([*job, "run", *config], cwd=REPO, env=os.environ, check=True,
                           capture_output=True)  # fmt: skip
            pairs.append(
                (
                    seconds_until('"live: ', *job, "trade", *config, "--mode", "paper"),
                    seconds_until("live", sys.executable, str(bare)),
                )
            )
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"start to live: {ratio:.2f} of a bare node ({ours:.2f} s, {theirs:.2f} s)")
    print(f"fed to the detector: {bars_a_second():,.0f} bars a second")


if __name__ == "__main__":
    main()
