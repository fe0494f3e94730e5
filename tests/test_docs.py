"""The examples in docs/ work as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import job
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import needs_nautilus
from tests.support.suite import HANG_S, REPO

PAGE = (REPO / "docs/reference/snapshots.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SAYS = {
    "instruments()": "499 bars of BTCUSDT-PERP.BINANCE",
    "BacktestNode": "499 bars went through",
    "pandas": "volume",
}


@pytest.fixture(scope="module")
def volume(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a volume with a snapshot of the demo."""
    root = tmp_path_factory.mktemp("docs") / "snapshot"
    done = job("run", "--config", "configs/demo.yaml", "--root", root, env=exchange.env())
    assert done.code == 0, done.err
    return root


@needs_nautilus
@pytest.mark.parametrize("number", range(3))
def test_docs_examples_read_a_snapshot(volume: Path, number: int) -> None:
    assert len(EXAMPLES) == 3
    code = EXAMPLES[number].replace("/var/lib/snapshot", str(volume))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr
    (expected,) = [words for mark, words in SAYS.items() if mark in code]
    assert expected in done.stdout


@needs_nautilus
def test_docs_one_command_runs_the_grid_over_a_snapshot(volume: Path, exchange: Exchange) -> None:
    done = subprocess.run(
        [sys.executable, "examples/backtest.py", "configs/demo.yaml", str(volume)],
        capture_output=True, text=True, check=False, timeout=HANG_S,
        env=os.environ | exchange.env(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "499 bars" in done.stdout
    assert int(done.stdout.partition(" orders")[0].rpartition(" ")[2]) >= 10
    assert "USDT PnL (total)" in done.stdout
    assert "ERROR" not in done.stdout + done.stderr
