"""A port that is taken is reported once, in few words, by everything that listens."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.support.commands import job
from warmup_job.errors import ConfigError
from warmup_job.handoff.reporting.http_port import serving
from warmup_job.handoff.reporting.report import Report

REPORT = Report(state="live", why="", mode="paper", at_ms=0, since_ms=0, started_ms=0)


def no_page() -> Any:
    pytest.fail("nobody has looked at the page")


def test_port_that_is_taken_is_named_once() -> None:
    async def serve(port: int) -> None:
        async with serving("127.0.0.1", port, lambda: REPORT, no_page):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            asyncio.run(serve(port))
        done = job("exchange", "--port", port)
    place = f"cannot listen on 127.0.0.1:{port} (Address already in use): choose another"
    assert str(refused.value) == f"trade.http_port: {place} port or trade.http_host"
    assert done.code == 2
    assert f"{place} --host or --port" in done.err


def test_host_that_does_not_exist_is_named() -> None:
    done = job("exchange", "--host", "no.such.host.invalid", "--port", 0)
    assert done.code == 2
    assert "cannot listen on no.such.host.invalid:0 (" in done.err
    assert "Unknown error" not in done.err
