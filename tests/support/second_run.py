"""One volume on which the job runs again and again at chosen times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loguru import logger

from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from warmup_job.config import load
from warmup_job.job.run_job import Outcome, warm
from warmup_job.plan.resolve import resolve

MINUTE_MS = 60_000
EARLY_MS = 1_780_000_203_000  # 3 s into a minute


class Situation:
    """One exchange address whose clock is set for each run, and one volume."""

    def __init__(self, folder: Path, start: Callable[..., Exchange], **exchange: Any) -> None:
        self.folder = folder
        self.root = folder / "volume"
        self._start, self._exchange = start, exchange
        self._port = 0
        self.running: Exchange | None = None
        self.log: list[str] = []

    def at(self, now_ms: int, **changes: Any) -> Exchange:
        """Run the exchange at ``now_ms``."""
        if self.running is not None:
            self.running.stop()
        options = self._exchange | changes
        self.running = self._start(port=self._port, now_ms=now_ms, **options)
        self._port = int(self.running.url.rpartition(":")[2])
        return self.running

    def run(self, *, root: Path | None = None, full: bool = False, **warmup: Any) -> Outcome:
        """Run the job against it; ``root``: another volume."""
        assert self.running is not None
        market = warmup.pop("market", "um")
        warmup = {"on_failure": "fail", "max_gap_bars": 1000} | warmup
        path = write_config(
            self.folder / "config", self.running.url, venue={"market": market},
            snapshot={"root": str(root or self.root)}, warmup=warmup,
        )  # fmt: skip
        sink = logger.add(lambda message: self.log.append(str(message)), format="{message}")
        try:
            return asyncio.run(warm(resolve(load(path, environ={})), full=full))
        finally:
            logger.remove(sink)

    def whole(self, **warmup: Any) -> str:
        """Return the content digest of a full fetch on a fresh volume."""
        root = self.folder / f"fresh{len(list(self.folder.iterdir()))}"
        return digest(self.run(root=root, **warmup))


def digest(outcome: Outcome) -> str:
    assert outcome.manifest is not None
    return outcome.manifest.content_digest
