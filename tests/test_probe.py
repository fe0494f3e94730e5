"""The image's health check, as a process."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.conftest import Exchange, clean_env


def probe(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "warmup_job.probe", *arguments],
        env=clean_env(**env), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_says_what_the_port_answers(exchange: Exchange) -> None:
    well = probe(f"{exchange.url}/fapi/v1/time")
    assert (well.returncode, well.stdout[:14]) == (0, '{"serverTime":')
    ill = probe(f"{exchange.url}/nothing/here")
    assert ill.returncode == 1


def test_it_asks_the_traders_own_port_for_its_health(exchange: Exchange) -> None:
    port = exchange.url.rpartition(":")[2]
    assert probe(WARMUP_HTTP_PORT=port).returncode == 1  # this one has no /healthz
    assert probe().returncode == 0  # no port: nothing to ask
    odd = probe(WARMUP_HTTP_PORT="http")
    assert (odd.returncode, odd.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("listens", [True, False])
def test_a_port_that_is_silent_or_closed_is_ill(listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listens:
            server.close()
        ill = probe(WARMUP_HTTP_PORT=str(port))
    assert ill.returncode == 1
    assert "Traceback" not in ill.stderr
    assert str(port) in ill.stderr
