"""Answers /metrics: the trader's report, the figures of its volumes, and those of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aiohttp.typedefs import Handler
from aiohttp.web import Request, StreamResponse

from warmup_job.exposition.families import Metric
from warmup_job.exposition.registered import exposition_handler
from warmup_job.handoff.disk_thread import DiskThread
from warmup_job.handoff.reporting.metrics import report_metrics
from warmup_job.handoff.reporting.report import Report
from warmup_job.snapshot.volume_metrics import VolumeFigures, read_volume, volume_metrics

_READ_S = 2.0  # less than Prometheus waits for an answer (10 s)


class _VolumeReader:
    """Reads the figures of folders without delaying the event loop.

    Args:
        folders: the folders.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._disk = DiskThread("volume-figures")
        self._reading: asyncio.Future[list[VolumeFigures]] | None = None

    async def read(self) -> list[VolumeFigures]:
        """Return the present figures; none of a volume that hangs, until it answers again."""
        if self._reading is None:
            self._reading = self._disk.start(lambda: [read_volume(each) for each in self._folders])
        reading = self._reading
        await asyncio.wait((reading,), timeout=_READ_S)
        if not reading.done():
            return []
        if self._reading is reading:
            self._reading = None
        return reading.result()


def metrics_handler(report: Callable[[], Report], folders: Sequence[Path]) -> Handler:
    """Return what answers /metrics, as OpenMetrics for whoever accepts it.

    Args:
        report: returns the present report.
        folders: the snapshot volume, and the state folder, whose rate limits count too.
    """
    reader, volumes = _VolumeReader(folders), list[VolumeFigures]()

    def collect() -> Iterator[Metric]:
        yield from report_metrics(report())
        yield from volume_metrics(volumes)

    answer = exposition_handler(collect)

    async def handle(request: Request) -> StreamResponse:
        volumes[:] = await reader.read()
        return await answer(request)

    return handle
