"""/metrics: when it is loaded, and what it shows while the volume does not answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from tests.support.reports import WHOLE
from tests.support.snapshots import make
from tests.support.suite import HANG_S
from warmup_job.handoff.reporting import metrics_handler
from warmup_job.snapshot.volume_metrics import VolumeFigures, read_volume

TRADER = """
import asyncio, socket, sys, aiohttp
from tests.support.reports import WHOLE
from warmup_job.handoff.reporting.http_port import serving

async def visit():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with (
        serving("127.0.0.1", port, lambda: WHOLE, None),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        for path, is_loaded in (("/healthz", False), ("/metrics", True)):
            assert (await client.get(path)).status == 200, path
            assert ("prometheus_client" in sys.modules) == is_loaded, path

asyncio.run(visit())
"""


def test_metrics_are_imported_for_the_first_scrape_and_probes_need_none() -> None:
    subprocess.run([sys.executable, "-c", TRADER], check=True, timeout=HANG_S)


def test_metrics_lack_the_figures_of_a_volume_that_hangs_until_it_answers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    answers = threading.Event()
    reads: list[Path] = []

    def read_slowly(root: Path) -> VolumeFigures:
        reads.append(root)
        answers.wait()
        return read_volume(root)

    monkeypatch.setattr(metrics_handler, "read_volume", read_slowly)
    monkeypatch.setattr(metrics_handler, "_READ_S", 0.05)

    async def scrapes() -> list[str]:
        app = web.Application()
        app.router.add_get("/", metrics_handler.metrics_handler(lambda: WHOLE, [tmp_path]))
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            async with ClientSession() as session:

                async def scrape() -> str:
                    async with session.get(url) as answer:
                        return await answer.text()

                found = [await scrape(), await scrape()]
                answers.set()
                while "warmup_snapshot_bars{" not in found[-1]:
                    found.append(await scrape())
                return found
        finally:
            await runner.cleanup()

    first, second, *_, last = asyncio.run(scrapes())
    for text in (first, second):
        assert "warmup_trader_ready 0.0" in text or "warmup_trader_ready 1.0" in text
        assert "warmup_snapshot" not in text
    assert "warmup_trader_ready" in last
    assert len(reads) <= 3  # one waited for the disk, whatever was asked meanwhile
