"""What the imports of the job and of the trader cost, by `python -X importtime`.

    python -m tests.bench.imports

A real run tells which modules are imported; it does that in several threads, in which the times of
importtime overlap. So a second interpreter imports the same modules, one after the other.
Times are the least of several interpreters, with compiled bytecode.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.bench import exchange
from tests.support.suite import REPO

_LATE = {"nautilus_trader", "prometheus_client", "pyarrow"}
_LINE = re.compile(r"import time:\s+(-?\d+) \|\s+\d+ \| +(\S+)")
_JOB = ("run", "--config", "configs/demo.yaml")
_TRADER = ("trade", "--config", "configs/demo.yaml", "--mode", "paper", "--stop-after", "5s")


def imported(*command: str) -> list[tuple[str, int]]:
    """Return the modules that an interpreter imports, in order, each with its own time in µs."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=REPO, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return [(found[2], int(found[1])) for found in map(_LINE.match, done.stderr.splitlines())
            if found]  # fmt: skip


def profile(modules: list[str], times: int) -> dict[str, int]:
    """Return each module's own time, in µs, when these are imported one after the other."""
    prepare = "warmup_job.process.late_imports"
    least: dict[str, int] = {}
    with tempfile.NamedTemporaryFile("w") as names:
        names.write("\n".join(modules))
        names.flush()
        code = (
            "import gc; gc.disable(); "
            f"import {prepare}; {prepare}.change_slow_imports(); "
            f"[exec('import ' + each) for each in open({names.name!r}).read().split()]"
        )
        for _ in range(times):
            for name, own_us in imported("-c", code):
                least[name] = min(own_us, least.get(name, own_us))
    return least


def modules_of(command: tuple[str, ...]) -> list[str]:
    """Return the modules of ours that a command imports, in order, and of what functions import."""
    with tempfile.NamedTemporaryFile() as told:
        code = (
            "import atexit, sys, pathlib; atexit.register(lambda: pathlib.Path("
            f"{told.name!r}).write_text(chr(10).join(sys.modules))); "
            f"sys.argv = {['warmup-job', *command]!r}; "
            "from warmup_job.__main__ import main; main()"
        )
        imported("-c", code)
        names = Path(told.name).read_text().splitlines()
    ours = [each for each in names if each.startswith("warmup_job") and "__main__" not in each]
    return ours + [each for each in names if each.split(".")[0] in _LATE]


def show(title: str, command: tuple[str, ...], least_ms: float, times: int) -> None:
    """Print a table of the packages that take long."""
    costs = profile(modules_of(command), times)
    packages: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for name, own_us in costs.items():
        packages[name.partition(".")[0]] += own_us
        counts[name.partition(".")[0]] += 1
    print(f"\n{title}: {len(costs)} modules, {sum(costs.values()) / 1000:.0f} ms\n")
    print("| package | modules | ms | of it, modules of 5 ms and more |\n|---|---:|---:|---|")
    for name, us in sorted(packages.items(), key=lambda each: -each[1]):
        if us < least_ms * 1000:
            continue
        slow = sorted((-own, each) for each, own in costs.items()
                      if each.partition(".")[0] == name and own >= 5000)  # fmt: skip
        told = ", ".join(f"{each} {-own / 1000:.0f}" for own, each in slow)
        print(f"| {name} | {counts[name]} | {us / 1000:.0f} | {told} |")


@contextmanager
def _volume(url: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WARMUP_EXCHANGE_URL"] = url
        os.environ["WARMUP_EXCHANGE_WS_URL"] = url.replace("http", "ws")
        os.environ["WARMUP_ROOT"] = f"{folder}/snapshot"
        os.environ["WARMUP_STATE_DIR"] = f"{folder}/state"
        yield


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--least-ms", type=float, default=4)
    given = parser.parse_args()
    subprocess.run([sys.executable, "-m", "compileall", "-q", "warmup_job"], cwd=REPO, check=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with exchange("--latency-ms", "60", "--speed", "30") as url, _volume(url):
        show("a first run", _JOB, given.least_ms, given.times)
        show("a later run", _JOB, given.least_ms, given.times)
    with exchange("--latency-ms", "60") as url, _volume(url):
        imported("-m", "warmup_job", *_JOB)
        show("the trader until it is live", _TRADER, given.least_ms, given.times)


if __name__ == "__main__":
    main()
