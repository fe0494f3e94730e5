"""The wheel, in a clean virtual environment, away from the repository."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.containers import checked
from tests.support.exchange import Exchange
from tests.support.suite import REPO

UV = str(Path(sys.executable).with_name("uv"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`uv build`, and what a user does with the wheel; the folder of its commands."""
    folder = tmp_path_factory.mktemp("wheel")
    checked(UV, "build", "-q", "--wheel", "-o", str(folder), str(REPO))
    (wheel,) = folder.glob("*.whl")
    checked(UV, "venv", "-q", "--python", sys.executable, str(folder / "venv"))
    python = str(folder / "venv/bin/python")
    lock = str(REPO / "requirements.lock")
    checked(UV, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", lock)
    checked(UV, "pip", "install", "-q", "--python", python, "--no-deps", str(wheel))
    checked(UV, "pip", "check", "-q", "--python", python)
    return folder / "venv/bin"


def test_wheel_works_on_its_own(
    installed: Path, start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    exchange = start_exchange(seed=7)
    shutil.copytree(REPO / "configs", tmp_path / "configs")
    job = str(installed / "warmup-job")
    there = exchange.env() | {"WARMUP_ROOT": str(tmp_path / "snapshot"), "PYTHONPATH": ""}
    printed = checked(
        job, "run", "--config", "configs/demo.yaml", "--json", env=there, cwd=tmp_path
    )
    assert json.loads(printed)["manifest"]["streams"][0]["bar_count"] >= 499
    checked(job, "verify", "snapshot", env=there, cwd=tmp_path)
    question = ["--market", "futures", "--environment", "local", "--symbols", "BTCUSDT"]
    checked(job, "init", "mine", *question, "--strategy", "mine:Mine", env=there, cwd=tmp_path)
    assert "15m" in checked(job, "plan", "--config", "mine/warmup.yaml", env=there, cwd=tmp_path)
    code = "import warmup_job; from warmup_job import HedgeGridV1; print(warmup_job.__file__)"
    where = checked(str(installed / "python"), "-c", code, env=there, cwd=tmp_path)
    assert str(installed.parent) in where
