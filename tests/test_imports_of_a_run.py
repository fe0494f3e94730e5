"""A run imports nothing that is slow and that it does not need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.commands import clean_env
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.second_run import EARLY_MS, MINUTE_MS, Situation

SLOW = {"nautilus_trader", "pandas", "requests", "urllib3", "fsspec", "prometheus_client.aiohttp"}


def imported_by_a_run(config: Path) -> set[str]:
    """Run the job in an interpreter of its own, and return the modules that it imported."""
    command = ["-X", "importtime", "-m", "warmup_job", "run", "--config", str(config)]
    done = subprocess.run(
        [sys.executable, *command], env=clean_env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [each for each in done.stderr.splitlines() if each.startswith("import time:")]
    return {each.rpartition("|")[2].strip() for each in lines}


def test_later_run_imports_neither_nautilus_nor_pandas(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Although it verifies the former snapshot, and keeps most of its bars."""
    situation = Situation(tmp_path, start_exchange)
    running = situation.at(EARLY_MS)
    config = write_config(tmp_path, running.url, snapshot={"root": str(situation.root)})
    imported_by_a_run(config)
    situation.at(EARLY_MS + 3 * MINUTE_MS)
    imported = imported_by_a_run(config)
    assert "pyarrow.parquet" in imported
    assert not {name for name in imported if name in SLOW}
    assert len(list((situation.root / "snapshots").iterdir())) == 2
