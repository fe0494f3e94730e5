"""Reports are written in a thread: a slow disk holds up neither the trader nor its end."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from msgspec.structs import replace

from tests.support.suite import HANG_S
from warmup_job.handoff.reporting.report import Report
from warmup_job.handoff.reporting.report_writer import ReportWriter
from warmup_job.handoff.state_dir import StateDir

REPORT = Report(state="live", why="", mode="paper", at_ms=0, since_ms=0, started_ms=0)


class SlowDisk(StateDir):
    """A folder on a disk that waits for the test."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "paper")
        self.begun, self.may_write = threading.Event(), threading.Event()
        self.writes = 0

    def write(self, path: Path, data: bytes) -> bool:
        self.writes += 1
        self.begun.set()
        assert self.may_write.wait(HANG_S)
        return super().write(path, data)


def test_report_writer_holds_up_nobody_and_writes_the_newest(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path)
    with ReportWriter(disk, HANG_S) as writer:
        writer.write(REPORT)
        assert disk.begun.wait(HANG_S)
        for at_ms in range(1, 100):
            writer.write(replace(REPORT, at_ms=at_ms))  # this returns while the disk is busy
        disk.may_write.set()
    assert json.loads((tmp_path / "paper.json").read_text())["at_ms"] == 99
    assert disk.writes == 2


def test_report_writer_end_does_not_wait_for_a_disk_that_hangs(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path)
    with ReportWriter(disk, 0.01) as writer:
        writer.write(REPORT)
        assert disk.begun.wait(HANG_S)
    assert not (tmp_path / "paper.json").exists()
    disk.may_write.set()
