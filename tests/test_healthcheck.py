"""The image's health check, as a process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commands import clean_env
from tests.support.exchange import Exchange


def probe(
    *arguments: str, module: str = "warmup_job.process.healthcheck", **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=clean_env(**env), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_healthcheck_prints_what_the_port_answers(exchange: Exchange) -> None:
    well = probe(f"{exchange.url}/fapi/v1/time")
    assert (well.returncode, well.stdout[:14]) == (0, '{"serverTime":')
    ill = probe(f"{exchange.url}/nothing/here")
    assert ill.returncode == 1


def test_healthcheck_asks_the_traders_port_by_default(exchange: Exchange) -> None:
    port = exchange.url.rpartition(":")[2]
    assert probe(WARMUP_HTTP_PORT=port).returncode == 1  # this one has no /healthz
    assert probe().returncode == 0  # no port: no request
    odd = probe(WARMUP_HTTP_PORT="http")
    assert (odd.returncode, odd.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("listens", [True, False])
def test_healthcheck_fails_for_a_silent_or_closed_port(listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listens:
            server.close()
        ill = probe(WARMUP_HTTP_PORT=str(port))
    assert ill.returncode == 1
    assert "Traceback" not in ill.stderr
    assert str(port) in ill.stderr


def runs(path: Path, ago_s: float | None, failed: int = 0) -> str:
    """Write a job's status.json whose last success was this long ago."""
    last_ms = None if ago_s is None else int((time.time() - ago_s) * 1000)
    status = {"message": "no answer", "failed_in_a_row": failed, "last_success_ms": last_ms}
    path.write_text(json.dumps(status))
    return str(path)


def test_healthcheck_passes_for_successful_runs(tmp_path: Path) -> None:
    path = runs(tmp_path / "status.json", 5)
    well = probe(path, "900")
    assert (well.returncode, well.stdout[:20]) == (0, "the last success was")
    assert probe(runs(tmp_path / "status.json", 5, failed=2), "900").returncode == 0


def test_healthcheck_fails_with_the_reason_for_failing_or_hanging_runs(tmp_path: Path) -> None:
    failing = probe(runs(tmp_path / "status.json", 1000, failed=4), "900")
    assert failing.returncode == 1
    assert "4 run(s) have failed since: no answer" in failing.stdout
    assert probe(runs(tmp_path / "status.json", 1000), "900").returncode == 1
    never = probe(runs(tmp_path / "status.json", None, failed=1), "900")
    assert never.returncode == 1
    assert "no run has succeeded yet, 1 run(s)" in never.stdout


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"last_success_ms": "x"}'])
def test_healthcheck_fails_for_an_unreadable_status(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "status.json"
    if content is not None:
        path.write_bytes(content)
    ill = probe(str(path), "900")
    assert (ill.returncode, ill.stderr.count("\n")) == (1, 1)
    assert probe(str(path)).returncode == 1
    assert "usage" in probe(str(path), "soon").stderr


@pytest.mark.parametrize("seconds", ["900", "1", "soon"])
def test_healthcheck_answers_the_same_under_its_former_name(tmp_path: Path, seconds: str) -> None:
    arguments = (runs(tmp_path / "status.json", 100, failed=1), seconds)
    now, before = probe(*arguments), probe(*arguments, module="warmup_job.probe")
    assert (now.returncode, now.stderr) == (before.returncode, before.stderr)
    assert now.stdout[:20] == before.stdout[:20]
