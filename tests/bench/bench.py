"""How fast a warm-up is beside its peers: whole processes, alternating, against a local exchange.

    make bench            # everything, some minutes
    python -m tests.bench.bench --bars 70 1500 --runs 5

Prints a table of ratios (ours / theirs, median of the pairs) for docs/performance.md. Machines
differ and are noisy; ratios of processes that ran side by side hold.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.suite import REPO

PEERS = (
    "imports", "imports_later", "floor", "nautilus", "ccxt_sync", "ccxt_paginate", "python_binance",
)  # fmt: skip

KINDS = ("first", "later")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "AVAXUSDT", "LINKUSDT", "FILUSDT", "XRPUSDT")


class Run(NamedTuple):
    """One finished process."""

    wall_s: float
    peak_mb: float
    rows: int
    processor_s: float
    """Of all its threads; unlike the time on the wall it holds on a busy machine."""


@contextmanager
def exchange(*options: str) -> Iterator[str]:
    """A local exchange in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "warmup_job", "exchange", "--port", "0", *options],
        cwd=REPO, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield re.findall(r"REST (http://\S+),", line)[0]
    finally:
        process.terminate()
        process.wait(10)


def timed(command: list[str], env: dict[str, str]) -> Run:
    """Run to the end; wall time and peak memory as the operating system has them."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out = process.stdout.read() if process.stdout else ""
    err = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{command} failed: {err[-2000:]}")
    rows = re.search(r"(\d+) bars of", out) or re.search(r"(\d+)\s*$", out)
    processor_s = usage.ru_utime + usage.ru_stime
    return Run(wall, usage.ru_maxrss / 1024, int(rows[1]) if rows else 0, processor_s)


class Bench:
    """The commands of one size against one exchange."""

    def __init__(self, url: str, bars: int, weight: int, work: Path) -> None:
        self.url, self.bars, self.work = url, bars, work
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("WARMUP_")}
        self.env |= {"WARMUP_EXCHANGE_URL": url}
        venue = (REPO / "configs/venues/simulated.yaml").read_text()
        self.venue = work / "venue.yaml"
        self.venue.write_text(venue.replace("2400", str(weight)))

    def ours(self, *, later: bool, streams: str = "") -> Run:
        """`warmup-job run`, on an empty volume or on one that holds a snapshot."""
        root = self.work / "root"
        if not later or not root.exists():
            shutil.rmtree(root, ignore_errors=True)
        streams = streams or f"BTCUSDT:1m:{self.bars}"
        command = [
            sys.executable, "-m", "warmup_job", "--log-level", "ERROR", "run",
            "--config", "configs/demo.yaml", "--venue", str(self.venue), "--root", str(root),
            "--streams", streams, "--deadline", "10m", "--budget-share", "1",
        ]  # fmt: skip
        return timed(command, self.env)

    def peer(self, name: str) -> Run:
        """One of `peers.py`."""
        self.reset()
        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        peer = [sys.executable, "-m", "tests.bench.peers", name]
        return timed([*peer, self.url, str(self.bars), str(out)], self.env)

    def reset(self) -> None:
        """Forget the weights that were spent: every run begins in a fresh minute's budget."""
        urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/_sim/reset", method="POST")
        ).close()


def compare(bench: Bench, kinds: list[str], peers: list[str], runs: int) -> list[dict[str, object]]:
    """A row for each of ours (first, later) beside each peer; A B A B …, ratios pair by pair."""
    rows: list[dict[str, object]] = []
    for kind in kinds:
        bench.reset()
        bench.ours(later=kind == "later")
        for name in peers:
            bench.peer(name)  # warm the page cache
            pairs: list[tuple[Run, Run]] = []
            for _ in range(runs):
                bench.reset()
                pairs.append((bench.ours(later=kind == "later"), bench.peer(name)))
            rows.append(
                {
                    "bars": bench.bars,
                    "ours": kind,
                    "peer": name,
                    "ratio": round(statistics.median(a.wall_s / b.wall_s for a, b in pairs), 2),
                    "ours_s": round(statistics.median(a.wall_s for a, _ in pairs), 2),
                    "peer_s": round(statistics.median(b.wall_s for _, b in pairs), 2),
                    "ours_mb": round(max(a.peak_mb for a, _ in pairs)),
                    "peer_mb": round(max(b.peak_mb for _, b in pairs)),
                    "peer_rows": pairs[0][1].rows,
                    "processor_ratio": round(
                        statistics.median(a.processor_s / b.processor_s for a, b in pairs), 2
                    ),
                    "ours_processor_s": round(
                        statistics.median(a.processor_s for a, _ in pairs), 2
                    ),
                    "peer_processor_s": round(
                        statistics.median(b.processor_s for _, b in pairs), 2
                    ),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def compare_many(bench: Bench, runs: int) -> None:
    """49 streams (7 symbols × 7 intervals) of 500 bars in one run, beside one stream alone."""
    intervals = ("1m", "3m", "5m", "15m", "30m", "1h", "2h")
    many = ",".join(f"{symbol}:{interval}:500" for symbol in SYMBOLS for interval in intervals)
    for later in (False, True):
        ratios = []
        for _ in range(runs + 1):
            bench.reset()
            one = bench.ours(later=later, streams="BTCUSDT:1m:500")
            ratios.append(bench.ours(later=later, streams=many).wall_s / one.wall_s)
        kind = "later" if later else "first"
        print(f"49 streams / 1 stream, {kind}: {statistics.median(ratios[1:]):.2f}", flush=True)


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, nargs="+", default=[70, 1500, 10_080])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--latency-ms", type=int, default=60)
    parser.add_argument("--weight", type=int, default=2400, help="a minute; 0: as good as no limit")
    parser.add_argument("--many", action="store_true", help="49 streams beside one, and no peers")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    options = parser.parse_args()
    weight = options.weight or 100_000_000
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as work:
        arguments = ("--latency-ms", str(options.latency_ms), "--weight-limit", str(weight))
        if options.many:
            with exchange(*arguments) as url:
                compare_many(Bench(url, 500, weight, Path(work)), options.runs)
            return
        for bars in options.bars:
            with exchange(*arguments) as url:
                bench = Bench(url, bars, weight, Path(work))
                rows += compare(bench, options.kinds, options.peers, options.runs)
    heads = "bars | ours | beside | ratio | ours s | theirs s | ours MB | theirs MB | rows"
    print(f"\n| {heads} | processor: ratio | ours s | theirs s |")
    print("|---:|---|---|" + "---:|" * 9)
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print(f"\nchildren's peak: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
