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
        bare = Path(__file__).with_name("bare_node.py")
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
