"""Folders that `warmup-job init` fills."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import Result, job

GRID, OWN, NONE = "hedge-grid", "my_strategy:MyStrategy", "none"
"""The kinds of strategy that init knows."""


def init(folder: Path, *options: object, **answers: str) -> Result:
    """Run init with the three answers as options; by default bars of the local exchange."""
    given = {"market": "futures", "environment": "local", "symbols": "BTCUSDT", "strategy": NONE}
    words = [word for name, value in (given | answers).items() for word in (f"--{name}", value)]
    return job("init", folder, *words, *options)
