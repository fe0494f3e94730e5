"""Run everything on this machine: exchange, warm-up job, snapshot, paper trader.

`make demo` runs this. Every step is a command that you can type yourself; the demo prints each. It
ends in less than 90 s: the trader waits for the next full minute only.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent.parent
JOB = [sys.executable, "-m", "warmup_job"]
CONFIG = "configs/demo.yaml"
TRADER_TIMEOUT_S = 72.0
AFTER_LIVE_BAR_S = 6.0
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> int:
    """Run the demo and return its exit code."""
    started = time.monotonic()
    volume = Path(tempfile.mkdtemp(prefix="warmup-demo-"))
    try:
        with local_exchange() as (url, ws_url):
            environ = {k: v for k, v in os.environ.items() if not k.startswith("WARMUP_")}
            environment = environ | {
                "WARMUP_EXCHANGE_URL": url,
                "WARMUP_EXCHANGE_WS_URL": ws_url,
                "WARMUP_ROOT": str(volume / "snapshot"),
                "WARMUP_STATE_DIR": str(volume / "state"),
            }
            title("2. The plan: what to fetch, and its request weight")
            job(environment, "plan", "--config", CONFIG)
            title("3. The warm-up job: fetch, validate and publish history up to 3 minutes ago")
            job(environment, "run", "--config", CONFIG, "--until", "-3m")
            title("4. Verify the snapshot")
            job(environment, "verify", str(volume / "snapshot"))
            job(environment, "inspect", str(volume / "snapshot"))
            title("5. The trader: load the snapshot, fetch newer bars, go live (a minute at most)")
            summary = trade(environment)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    except subprocess.CalledProcessError as error:
        print(f"\nThe demo stopped: a step ended with exit code {error.returncode}.")
        return 1
    finally:
        shutil.rmtree(volume, ignore_errors=True)
    title(f"Done in {time.monotonic() - started:.0f} s")
    filled = summary["handed_on"] - summary["history_bars"] - summary["live_bars"]
    print(f"  started warm     {'yes' if summary['warm_start'] else 'NO'}")
    print(f"  from snapshot    {summary['history_bars']} bars")
    print(f"  fetched by REST  {filled} bars that closed since")
    print(f"  live             {summary['live_bars']} closed bar(s) from the websocket")
    print(f"  regime           {summary['regime']}")
    print(f"  paper trading    {summary['orders']} orders, {summary['fills']} fills")
    print("\nNext: README.md, or `.venv/bin/warmup-job --help`.")
    return 0 if summary["warm_start"] and summary["live_bars"] and summary["orders"] else 1


@contextmanager
def local_exchange() -> Iterator[tuple[str, str]]:
    """Run a local exchange on a free port, with a volatility of 30 bps per minute."""
    title("1. A local Binance, so that you need no internet and no key")
    arguments = ["exchange", "--port", "0", "--volatility-bps", "30"]
    show(arguments)
    process = subprocess.Popen([*JOB, *arguments], cwd=HERE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"REST (http://\S+), websockets (ws://\S+)", line)
        if not found:
            raise subprocess.CalledProcessError(process.wait(5), arguments)
        print(f"  {line.strip()}")
        yield found[1], found[2]
    finally:
        process.terminate()
        process.wait(10)


def job(environment: dict[str, str], *arguments: str) -> None:
    """Run one command to its end; print its log and its results in order."""
    show([*arguments])
    command = [*JOB, "--log-format", "text", *arguments]
    subprocess.run(command, cwd=HERE, env=environment, stderr=subprocess.STDOUT, check=True)


def trade(environment: dict[str, str]) -> dict[str, int]:
    """Run the trader until a live bar and a fill, or the timeout; return its summary."""
    arguments = ["trade", "--config", CONFIG, "--mode", "paper"]
    show(arguments)
    trader = subprocess.Popen(
        [*JOB, "--log-format", "json", *arguments, "--json"],
        cwd=HERE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=read_lines, args=(trader.stderr, lines), daemon=True).start()
    deadline = time.monotonic() + TRADER_TIMEOUT_S
    live_since, closed, filled = None, 0, False
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            line = ""
        if line is None:
            break
        message = print_record(line)
        closed += " bar " in message and message.endswith("(live)")
        filled = filled or "Filled" in message
        if closed and live_since is None:
            live_since = time.monotonic()
        if live_since and (filled or time.monotonic() - live_since > AFTER_LIVE_BAR_S):
            break
    print("  … stopping the trader with SIGTERM")
    trader.send_signal(signal.SIGTERM)
    results = trader.stdout.read() if trader.stdout else ""
    code = trader.wait(20)
    while (line := lines.get(timeout=5)) is not None:
        print_record(line)
    if code != 128 + signal.SIGTERM:
        raise subprocess.CalledProcessError(code, arguments)
    summary: dict[str, int] = json.loads(results)
    return summary


def read_lines(stream: IO[str] | None, lines: queue.Queue[str | None]) -> None:
    """Put a stream's lines into the queue, and None at its end."""
    for line in stream or ():
        lines.put(line)
    lines.put(None)


def print_record(line: str) -> str:
    """Print one line of the trader's log and return its message."""
    try:
        record = json.loads(line)
    except ValueError:
        return ""
    message = str(record["message"])
    noise = ("self.config.", "Set ClientOrderId", "READY", "Canceling executor", "ubscribe")
    if not any(word in message for word in noise):
        print(f"  {record['time'][11:23]} {message}", flush=True)
    return message


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n\033[1m{text}\033[0m" if COLOUR else f"\n{text}", flush=True)


def show(arguments: list[str]) -> None:
    """Print a command as a user types it."""
    line = f"$ warmup-job {' '.join(arguments)}"
    print(f"\033[2m{line}\033[0m" if COLOUR else line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
