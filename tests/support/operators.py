"""An operator at the command line of a running trader."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.commands import JobProcess, Result, job, job_process
from tests.support.config_files import LIVE_KEYS, write_live_config
from tests.support.exchange import Exchange
from tests.support.live_trader import assert_all_was_well
from tests.support.oracle import Bounds
from tests.support.suite import HANG_S
from tests.support.waiting import until

CALM, WILD = 0.1, 30.0
"""Volatility per minute, bps: no rung is reached, or one within seconds."""


@dataclass(frozen=True)
class OperatedTrader:
    """A trader's process, and the commands that talk to it."""

    process: JobProcess
    state_dir: Path
    log: Path

    def ask(self, command: str, *options: str) -> Result:
        """Run ``warmup-job trader COMMAND --json``."""
        return job("trader", command, "--state-dir", self.state_dir, "--json", *options)

    def report(self) -> dict[str, Any]:
        """Return the trader's report; empty before its socket is there."""
        done = self.ask("status")
        return dict(done.json["report"]) if done.code == 0 else {}

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until a report meets the condition, and return it."""
        seen: list[dict[str, Any]] = [{}]

        def met() -> object:
            seen[0] = self.report()
            return seen[0] and condition(seen[0])

        until(met, lambda: f"{seen[0]}\n{self.log.read_text()}", process=self.process)
        return seen[0]

    def stop(self) -> int:
        """End the trader by SIGTERM and return its exit code."""
        self.process.terminate()
        return self.process.wait(HANG_S)


@contextlib.contextmanager
def operated(
    config: Path, mode: str, state_dir: Path, env: dict[str, str] | None = None
) -> Iterator[OperatedTrader]:
    """Run a trader whose state is in ``state_dir``."""
    log = state_dir.with_name(f"{state_dir.name}.log")
    options = ("--config", config, "--mode", mode, "--state-dir", state_dir)
    with job_process("trade", *options, env=env, log=log) as process:
        yield OperatedTrader(process, state_dir, log)


@contextlib.contextmanager
def operated_live(
    config: Path, exchange: Exchange, bounds: Bounds | None = None
) -> Iterator[OperatedTrader]:
    """Run a live trader; at its end the oracle judges this life and those before it.

    Args:
        config: its configuration, alone in its folder.
        exchange: where it trades.
        bounds: what the oracle tolerates.
    """
    folder = config.parent
    log = folder / f"life-{len(list(folder.glob('life-*')))}"
    options = ("--config", config, "--mode", "live", "--json")
    with job_process("trade", *options, env=LIVE_KEYS, log=log) as process:
        yield OperatedTrader(process, folder / "state", log)
    assert_all_was_well(config, exchange, sorted(folder.glob("life-*")), bounds)


def snapshot_for_live(folder: Path, exchange: Exchange, **changes: Any) -> Path:
    """Return a configuration for live trading; its snapshot is published."""
    config = write_live_config(folder, exchange, **changes)
    done = job("run", "--config", config, env=LIVE_KEYS)
    assert done.code == 0, done.err
    return config


def go_live(
    config: Path, *options: str, key: str = LIVE_KEYS["KEY"], secret: str = LIVE_KEYS["SECRET"]
) -> Result:
    """Start a live trader that ends by itself after 3 s at the latest."""
    env = {"KEY": key, "SECRET": secret}
    return job(
        "trade", "--config", config, "--mode", "live", "--stop-after", "3s", "--json", *options,
        env=env,
    )  # fmt: skip


def warmed(config: Path, *options: str) -> None:
    """Publish a snapshot."""
    assert job("run", "--config", config, *options).code == 0
