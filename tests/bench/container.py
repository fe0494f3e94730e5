"""The image beside a plain one, and the job and trader in containers: `make bench-container`.

Prints the tables of docs/performance.md. Whole processes, alternating; ratios are medians of pairs.
The last and longest part is `pod_start`, which can be run alone.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.pod_node import CONDITIONS
from tests.bench.pod_start import CASES, IMAGE, compare
from tests.support.commands import clean_env
from tests.support.containers import checked, command
from tests.support.pods import load_into_podman
from tests.support.suite import REPO
from tests.support.waiting import until

JOB, PLAIN = "warmup-job:bench-job", "warmup-job:plain"
MEASURED = """
import pathlib, resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=2)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peaks = ("memory.peak", "memory/memory.max_usage_in_bytes")  # cgroup v2, v1
(peak,) = [e for e in (pathlib.Path("/sys/fs/cgroup", name) for name in peaks) if e.exists()]
print(used.ru_maxrss * 1024 // 10**6, int(peak.read_text()) // 10**6,
      f"{used.ru_utime + used.ru_stime:.1f}")
"""
RUNS = 5


def main() -> int:
    """Measure all of it, or the parts that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.container")
    parts = ("sizes", "overhead", "resources", "pods")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    chosen = parser.parse_args().parts
    checked("docker", "build", "-q", "-t", IMAGE, ".")
    if "sizes" in chosen:
        sizes()
    with exchange_container() as (network, port):
        if "overhead" in chosen:
            overhead(network, port)
        if "resources" in chosen:
            resources(network)
    if "pods" in chosen:
        with tempfile.TemporaryDirectory() as folder:
            image = load_into_podman(IMAGE, Path(folder))
        compare(list(CASES), list(CONDITIONS), RUNS, image)
    return 0


@contextmanager
def exchange_container() -> Iterator[tuple[str, str]]:
    """The exchange: the network in which containers know it, and its port on this machine."""
    network = f"warmup-bench-{secrets.token_hex(3)}"
    checked("docker", "network", "create", network)
    exchange = checked(
        *("docker", "run", "-d", "--rm", "--network", network, "--network-alias", "exchange"),
        *("-p", "127.0.0.1::8080", IMAGE, "exchange", "--host", "0.0.0.0"),
    ).strip()
    try:
        port = checked("docker", "port", exchange, "8080").strip().rpartition(":")[2]
        probe = (
            "python",
            "-m",
            "warmup_job.process.healthcheck",
            "http://127.0.0.1:8080/_sim/faults",
        )
        until(lambda: command("docker", "exec", exchange, *probe).returncode == 0)
        yield network, port
    finally:
        command("docker", "kill", exchange)
        until(lambda: command("docker", "network", "rm", network).returncode == 0)


def sizes() -> None:
    """Of the image, and of a plain `pip install` of the same lock on the same base."""
    dockerfile = (
        "FROM python:3.13-slim\nCOPY requirements.lock .\n"
        "RUN pip install --no-cache-dir --require-hashes -r requirements.lock\n"
    )
    subprocess.run(
        ["docker", "build", "-q", "-t", PLAIN, "-f", "-", "."],
        input=dockerfile, text=True, cwd=REPO, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    row("image", "MB", "packed MB")
    checked("docker", "build", "-q", "--target", "job", "-t", JOB, ".")
    for name in (JOB, IMAGE, PLAIN, "python:3.13-slim"):
        size = int(checked("docker", "image", "inspect", "-f", "{{.Size}}", name))
        packed = checked("sh", "-c", f"docker save {name} | gzip -1 | wc -c")
        row(name, round(size / 1e6), round(int(packed) / 1e6))
    print()


def overhead(network: str, port: str) -> None:
    """The same `run` in a container and out of it, process start to end."""
    contained = [
        *("docker", "run", "--rm", "--network", network, "--read-only", "--cap-drop", "ALL"),
        *("-e", "WARMUP_EXCHANGE_URL=http://exchange:8080", "--tmpfs", "/snapshot:uid=10001"),
        *(IMAGE, "run", "--config", "configs/demo.yaml"),
    ]
    here = [sys.executable, "-m", "warmup_job", "run", "--config", "configs/demo.yaml"]
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(timed(lambda: checked(*contained)))
        with tempfile.TemporaryDirectory() as root:
            env = clean_env(WARMUP_EXCHANGE_URL=f"http://127.0.0.1:{port}", WARMUP_ROOT=root)
            theirs.append(
                timed(lambda: subprocess.run(here, env=env, check=True, capture_output=True))  # noqa: B023
            )
    row("the job", "ratio", "in a container s", "outside s")
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    row("first run", f"{ratio:.2f}", *(f"{statistics.median(e):.2f}" for e in (ours, theirs)))
    print()


def resources(network: str) -> None:
    """What each process and its container used: what requests and limits come from."""
    where = [
        *("-e", "WARMUP_EXCHANGE_URL=http://exchange:8080"),
        *("-e", "WARMUP_EXCHANGE_WS_URL=ws://exchange:8080"),
        *("-e", "WARMUP_CONFIG=configs/demo.yaml"),
    ]
    volume = f"warmup-bench-{secrets.token_hex(3)}"
    steps = {
        "run, 500 bars, an empty volume": ["run"],
        "run, 500 bars, later": ["run", "--full"],
        "run, 100,000 bars": ["run", "--streams", "BTCUSDT:1m:100000", "--deadline", "300s"],
        "trade, a minute live": ["trade", "--mode", "paper", "--stop-after", "75s"],
    }
    row("process", "peak MB", "peak of its cgroup MB", "CPU s")
    for name, arguments in steps.items():
        output = checked(
            *("docker", "run", "--rm", "--network", network, *where, "-v", f"{volume}:/snapshot"),
            *("--entrypoint", "python", IMAGE, "-c", MEASURED, "warmup-job", *arguments),
        )
        row(name, *output.split()[-3:])
    output = checked(
        *("docker", "run", "--rm", "--entrypoint", "python", IMAGE, "-c", MEASURED),
        *("timeout", "20", "warmup-job", "exchange"),
    )
    row("exchange, 20 s that nobody asks it", *output.split()[-3:])
    checked("docker", "volume", "rm", volume)
    print()


def timed(act: Callable[[], object]) -> float:
    """How long it takes, s."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def row(*cells: object) -> None:
    """A line of a Markdown table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    sys.exit(main())
