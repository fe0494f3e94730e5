"""What snapshots and the proof cost: the encoder, verify, a second run, the certificate.

    python -m tests.bench.snapshots

Ratios of whole processes side by side, or of two functions in one process; a table for
docs/performance.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from tests.bench.bench import exchange
from tests.support.suite import REPO
from warmup_job.market.kline import Klines

RUNS = 3
START_MS = 1_700_000_040_000
BAR_TYPE = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"


def made_klines(count: int) -> Klines:
    """A deterministic series."""
    prices = [f"{Decimal(5_000_000 + 7 * (i % 1000)).scaleb(-2):f}" for i in range(count)]
    volumes = [f"{Decimal(1 + i % 997).scaleb(-3):f}" for i in range(count)]
    opens = [START_MS + i * 60_000 for i in range(count)]
    closes = [at + 59_999 for at in opens]
    rest = (volumes, list(range(count)), volumes, volumes)
    return Klines(opens, prices, prices, prices, prices, volumes, closes, *rest)


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def encoder(count: int = 100_000) -> tuple[float, float]:
    """Seconds of ours, and of Bar objects and `write_data`, from the same text."""
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    from warmup_job.catalog import packed_bars as arrow
    from warmup_job.snapshot.durable import HashingFile, new_file

    klines, folder = made_klines(count), Path(tempfile.mkdtemp())

    @contextmanager
    def create(name: str) -> Iterator[HashingFile]:
        (folder / "ours" / name).parent.mkdir(parents=True)
        with new_file(folder / "ours" / name) as file:
            yield file

    def ours() -> None:
        bars = arrow.BarSeries([arrow.pack(klines)])
        arrow.write_bars(
            create, bars, bar_type=BAR_TYPE, instrument_id="BTCUSDT-PERP.BINANCE",
            price_precision=2, size_precision=3,
        )  # fmt: skip

    def theirs() -> None:
        bar_type = BarType.from_str(BAR_TYPE)
        bars = [
            Bar(
                bar_type, *(Price.from_str(text) for text in kline[1:5]),
                Quantity.from_str(kline.volume), kline.close_ms * 10**6, kline.close_ms * 10**6,
            )
            for kline in klines
        ]  # fmt: skip
        ParquetDataCatalog(str(folder / "theirs")).write_data(bars)

    spent = seconds(ours), seconds(theirs)
    (one,), (other,) = ((folder / who).rglob("*.parquet") for who in ("ours", "theirs"))
    if one.read_bytes() != other.read_bytes():
        raise AssertionError("the two files differ")
    return spent


def process(*command: str) -> float:
    """Seconds of a whole process."""
    return seconds(
        lambda: subprocess.run(
            command, cwd=REPO, env=os.environ, check=True, capture_output=True, timeout=600
        )
    )


def main() -> None:
    """Measure and print."""
    python, job = sys.executable, (sys.executable, "-m", "warmup_job")
    rows: list[tuple[str, str, list[tuple[float, float]]]] = []
    pairs = [encoder() for _ in range(RUNS)]
    rows.append(("encode 100,000 bars", "Bar objects and write_data", pairs))
    with exchange("--latency-ms", "60", "--weight-limit", "10000000") as url, \
            tempfile.TemporaryDirectory() as folder:  # fmt: skip
        os.environ["WARMUP_EXCHANGE_URL"] = url
        run = (
            *job,
            "run",
            "--config",
            "configs/demo.yaml",
            "--budget-share",
            "1",
            "--deadline",
            "5m",
        )
        catalog = "import nautilus_trader.persistence.catalog"
        for bars in (500, 100_000):
            root = f"{folder}/{bars}"
            wanted = (*run, "--streams", f"BTCUSDT:1m:{bars}", "--root", root)
            process(*wanted)
            beside = [
                (process(*job, "verify", root), process(python, "-c", catalog)) for _ in range(RUNS)
            ]
            rows.append((f"verify {bars:,} bars", "importing Nautilus' catalog", beside))
            again, minute = [], time.time() // 60
            for _ in range(RUNS):
                while time.time() // 60 == minute:
                    time.sleep(1)
                minute = time.time() // 60
                again.append((process(*wanted), process(*wanted, "--full")))
            rows.append((f"a minute later, {bars:,} bars", "fetching all of it (--full)", again))
            idle = [(process(*wanted), process(*wanted, "--full")) for _ in range(RUNS)]
            rows.append((f"nothing new, {bars:,} bars", "fetching all of it (--full)", idle))
    print("| ours | beside | ratio | ours s | theirs s |\n|---|---|---:|---:|---:|")
    for what, beside_what, measured in rows:
        ratio = statistics.median(ours / theirs for ours, theirs in measured)
        ours, theirs = (statistics.median(side) for side in zip(*measured, strict=True))
        print(f"| {what} | {beside_what} | {ratio:.2f} | {ours:.2f} | {theirs:.2f} |")
    print(f"\ncertificate: {certificate_ms():.2f} ms for 1,000 bars")


def certificate_ms() -> float:
    """Median ms to judge 1,000 bars, from the bars."""
    import random

    from warmup_job.proof.certify import certify
    from warmup_job.proof.evidence import Evidence
    from warmup_job.proof.window import Bounds, Window
    from warmup_job.regime.detector import DetectorSettings

    rng, price, bars = random.Random(1), 50_000.0, []
    for _ in range(1000):
        before, price = price, price * (1 + rng.gauss(0, 0.001))
        bars.append((max(before, price) * 1.0002, min(before, price) * 0.9998, price))
    window, settings = Window.of(*zip(*bars, strict=True)), DetectorSettings(20, 50, 14, 14, 10.0)
    bounds = Bounds(3_000.0, 130_000.0)
    spent = [seconds(lambda: certify(Evidence.of(settings, window), bounds)) for _ in range(200)]
    return statistics.median(spent) * 1000


if __name__ == "__main__":
    main()
