"""A run imports nothing that is slow and that it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import clean_env
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import needs_nautilus
from tests.support.second_run import EARLY_MS, MINUTE_MS, Situation
from tests.support.suite import REPO
from warmup_job.catalog.installed_nautilus import NAUTILUS_VERSION
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.market.pages import Market
from warmup_job.snapshot.verify import Snapshot, find_problems, open_snapshot

SLOW = {
    "nautilus_trader", "pandas", "requests", "urllib3", "fsspec", "prometheus_client.aiohttp",
    "pyarrow.compute",
}  # fmt: skip


def imported_by_a_run(config: Path, *options: str, **env: str) -> set[str]:
    """Run the job in an interpreter of its own, and return the modules that it imported.

    Args:
        config: the configuration.
        options: further ones of the interpreter.
        env: variables of its environment.
    """
    command = ["-X", "importtime", *options, "-m", "warmup_job", "run", "--config", str(config)]
    done = subprocess.run(
        [sys.executable, *command], env=clean_env(**env), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
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


@pytest.mark.parametrize("market", ["um", "spot"])
def test_first_run_imports_neither_nautilus_nor_pandas(
    start_exchange: Callable[..., Exchange], tmp_path: Path, market: Market
) -> None:
    """On an empty volume."""
    config = first_config(tmp_path, start_exchange(now_ms=EARLY_MS), market)
    imported = imported_by_a_run(config, WARMUP_ROOT=str(tmp_path / "ours"))
    assert "pyarrow.parquet" in imported
    assert not {name for name in imported if name in SLOW}
    ours = open_snapshot(tmp_path / "ours")
    assert not find_problems(ours)
    assert ours.manifest.versions.nautilus_trader == NAUTILUS_VERSION


@needs_nautilus
@pytest.mark.parametrize("market", ["um", "spot"])
def test_first_run_writes_what_a_run_that_asks_nautilus_writes(
    start_exchange: Callable[..., Exchange], tmp_path: Path, market: Market
) -> None:
    config = first_config(tmp_path, start_exchange(now_ms=EARLY_MS), market)
    imported_by_a_run(config, WARMUP_ROOT=str(tmp_path / "ours"))
    other = (
        tmp_path / "packages" / "nautilus_trader-9.9.dist-info"
    )  # found before the installed one
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: nautilus_trader\nVersion: 9.9\n")
    asked = imported_by_a_run(
        config, PYTHONPATH=f"{other.parent}:{REPO}", WARMUP_ROOT=str(tmp_path / "theirs")
    )
    assert "nautilus_trader" in asked
    ours, theirs = open_snapshot(tmp_path / "ours"), open_snapshot(tmp_path / "theirs")
    assert theirs.manifest.versions.nautilus_trader == "9.9"
    assert_same_content(ours, theirs)


@pytest.mark.parametrize("market", ["um", "spot"])
def test_job_runs_where_nautilus_is_not_installed(
    start_exchange: Callable[..., Exchange], tmp_path: Path, market: Market
) -> None:
    """Both runs on a volume, and the commands that read it, without nautilus_trader and pandas."""
    config = first_config(tmp_path, start_exchange(now_ms=EARLY_MS), market)
    env = environment_without_nautilus(tmp_path / "packages")
    for root in ("alone", "alone", "full"):
        where = env if root == "alone" else {}
        imported_by_a_run(
            config, *(["-S"] if where else []), WARMUP_ROOT=str(tmp_path / root), **where
        )
    alone, full = open_snapshot(tmp_path / "alone"), open_snapshot(tmp_path / "full")
    assert alone.manifest.versions == full.manifest.versions
    assert_same_content(alone, full)
    for command in (
        ["plan", "--config", str(config)],
        ["verify", str(tmp_path / "alone"), "--config", str(config)],
        ["inspect", str(tmp_path / "alone")],
    ):
        done = python_without_nautilus(env, "-m", "warmup_job", *command)
        assert done.returncode == 0, done.stderr


def test_job_without_nautilus_says_what_it_cannot_do(tmp_path: Path) -> None:
    """An entry that only Nautilus' parser can read; the error says what to do."""
    env = environment_without_nautilus(tmp_path / "packages")
    entry = next(each.info() for each in default_symbols() if each.market == "um")
    code = (
        "import json, sys; from warmup_job.errors import RefusedError; "
        "from warmup_job.job.make_instruments import make_instrument\n"
        "try: make_instrument('um', 'BTCUSDT', json.loads(sys.argv[1]), None)\n"
        "except RefusedError as error: print(error)"
    )
    done = python_without_nautilus(env, "-c", code, json.dumps(entry | {"status": "NOVEL"}))
    assert "BTCUSDT: only Nautilus' parser can read its exchangeInfo entry" in done.stdout
    done = python_without_nautilus(
        env, "-c", code, json.dumps(entry | {"status": "PENDING_TRADING"})
    )
    assert "BTCUSDT is listed but cannot be traded (status PENDING_TRADING)" in done.stdout


def first_config(folder: Path, running: Exchange, market: Market) -> Path:
    return write_config(
        folder / "config",
        running.url,
        venue={"market": market},
        warmup={"streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 70}]},
    )


def assert_same_content(one: Snapshot, other: Snapshot) -> None:
    """Check that two intact snapshots have the same files, digest and id suffix."""
    assert not find_problems(one)
    assert one.manifest.files == other.manifest.files
    assert one.manifest.instruments == other.manifest.instruments
    assert one.manifest.content_digest == other.manifest.content_digest
    assert one.folder.name.rpartition("-")[2] == other.folder.name.rpartition("-")[2]


def environment_without_nautilus(folder: Path) -> dict[str, str]:
    """Make a folder with every installed package but nautilus_trader and pandas.

    Returns:
        The variables for an interpreter that is started with -S, so without its own packages.
    """
    folder.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(("nautilus_trader", "pandas")):
            (folder / installed.name).symlink_to(installed)
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(REPO)))}


def python_without_nautilus(
    env: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", *arguments], env=clean_env(**env), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
