"""The whole way, on this machine alone: exchange, warm-up job, snapshot, paper trader.

`make demo` runs this. Every step is a command that you can type yourself; each is shown as it is
run. It ends by itself in less than 90 s: the trader waits for the next full minute, no longer.
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
TRADER_MOST_S = 72.0
AFTER_LIVE_BAR_S = 6.0
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> int:
    """Run the demonstration; returns an exit code."""
    started = time.monotonic()
    volume = Path(tempfile.mkdtemp(prefix="warmup-demo-"))
    try:
        with local_exchange() as (url, ws_url):
            own = {k: v for k, v in os.environ.items() if not k.startswith("WARMUP_")}
            environment = own | {
                "WARMUP_EXCHANGE_URL": url,
                "WARMUP_EXCHANGE_WS_URL": ws_url,
                "WARMUP_ROOT": str(volume / "snapshot"),
                "WARMUP_STATE_DIR": str(volume / "state"),
            }
            title("2. What would be fetched, and what does it cost?")
            job(environment, "plan", "--config", CONFIG)
            title("3. The warm-up job: history up to 3 minutes ago, checked and published")
            job(environment, "run", "--config", CONFIG, "--until", "-3m")
            title("4. Can it be trusted?")
            job(environment, "verify", str(volume / "snapshot"))
            job(environment, "inspect", str(volume / "snapshot"))
            title("5. The trader: warm on the snapshot, gap filled, then live (a minute at most)")
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
    print(f"  gap filled       {filled} bars that closed since, by REST")
    print(f"  live             {summary['live_bars']} closed bar(s) by the websocket")
    print(f"  regime           {summary['regime']}")
    print(f"  grid             {summary['orders']} orders, {summary['fills']} fills, on paper")
    print("\nNext: README.md, or `.venv/bin/warmup-job --help`.")
    return 0 if summary["warm_start"] and summary["live_bars"] and summary["orders"] else 1


@contextmanager
def local_exchange() -> Iterator[tuple[str, str]]:
    """A lively market of 30 bps a minute on a free port."""
    title("1. A local Binance, so that no internet and no key is needed")
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
    """Run one command to its end, its log and its results in the order they come."""
    show([*arguments])
    command = [*JOB, "--log-format", "text", *arguments]
    subprocess.run(command, cwd=HERE, env=environment, stderr=subprocess.STDOUT, check=True)


def trade(environment: dict[str, str]) -> dict[str, int]:
    """Run the trader until it has seen a live bar and a fill, or for as long as we wait."""
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
    deadline = time.monotonic() + TRADER_MOST_S
    live_since, closed, filled = None, 0, False
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            line = ""
        if line is None:
            break
        message = tell(line)
        closed += " bar " in message and message.endswith("(live)")
        filled = filled or "Filled" in message
        if closed and live_since is None:
            live_since = time.monotonic()
        if live_since and (filled or time.monotonic() - live_since > AFTER_LIVE_BAR_S):
            break
    print("  … enough seen: SIGTERM")
    trader.send_signal(signal.SIGTERM)
    results = trader.stdout.read() if trader.stdout else ""
    code = trader.wait(20)
    while (line := lines.get(timeout=5)) is not None:
        tell(line)
    if code != 128 + signal.SIGTERM:
        raise subprocess.CalledProcessError(code, arguments)
    summary: dict[str, int] = json.loads(results)
    return summary


def read_lines(stream: IO[str] | None, lines: queue.Queue[str | None]) -> None:
    """Hand a stream's lines on; None at its end."""
    for line in stream or ():
        lines.put(line)
    lines.put(None)


def tell(line: str) -> str:
    """Show one line of the trader's log; returns its message."""
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
    """A heading."""
    print(f"\n\033[1m{text}\033[0m" if COLOUR else f"\n{text}", flush=True)


def show(arguments: list[str]) -> None:
    """The command, as one would type it."""
    line = f"$ warmup-job {' '.join(arguments)}"
    print(f"\033[2m{line}\033[0m" if COLOUR else line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
