"""Writes the trader's reports in a thread, because a write waits for the disk."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from loguru import logger

from warmup_job.handoff.reporting.report import Report
from warmup_job.handoff.state_dir import StateDir

_LAST_S = 3.0  # with all other waits at the end, less than a pod's grace period of 45 s


class ReportWriter:
    """Writes the newest report; one that came and went during a write is left out.

    Leaving the block waits for the last write, for a limited time.

    Args:
        state_dir: the trader's folder.
        last_s: how long leaving the block waits, seconds.
    """

    def __init__(self, state_dir: StateDir, last_s: float = _LAST_S) -> None:
        self._state_dir = state_dir
        self._last_s = last_s
        self._changed = threading.Condition()
        self._newest: Report | None = None
        self._is_closed = False
        # A daemon: a write that the disk never ends does not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="report-writer", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the last write."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(self._last_s)
        if self._thread.is_alive():
            logger.error(
                "{path} takes longer than {seconds} s to write: the last report is lost",
                event="report.not_written",
                path=self._state_dir.path,
                seconds=self._last_s,
            )

    def write(self, report: Report) -> None:
        """Write a report soon."""
        with self._changed:
            self._newest = report
            self._changed.notify()

    def _run(self) -> None:
        while (report := self._take()) is not None:
            self._state_dir.write_report(report)

    def _take(self) -> Report | None:
        """Wait for a report; None: there is none and none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._is_closed)
            report, self._newest = self._newest, None
            return report
