"""The job beside a trader, as its volume shows it to a reader without write access."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmup_job.market.times import duration_text
from warmup_job.snapshot.lease import HEARTBEAT_S, LeaseRecord
from warmup_job.snapshot.status import Status


@dataclass(slots=True)
class JobBeside:
    """What the lease and ``status.json`` tell, look after look.

    A reader cannot test the lease's lock: for that it would have to take the lock itself, and a job
    that starts in that moment would take it for another job. It sees the lease's record change.

    Args:
        record: the lease at the first look; None: there is none.
        status: ``status.json`` at the first look; None: there is none.
        started_ms: when the trader's process started, UTC ms.
    """

    record: LeaseRecord | None
    status: Status | None
    started_ms: int
    _first: Status | None = field(init=False)
    _moved_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._first = self.status

    def look(self, record: LeaseRecord | None, status: Status | None, now_s: float) -> None:
        """Note what the volume shows now; ``now_s`` is a monotonic time in seconds."""
        if record is not None and record != self.record:
            self.record, self._moved_s = record, now_s
        self.status = status

    def activity(self, now_s: float) -> str:
        """Return what has been seen of the job until ``now_s``."""
        if self.record is None or self._moved_s is None:
            return "no job has been seen at work yet"
        still_s = now_s - self._moved_s
        if still_s < 2 * HEARTBEAT_S:
            return f"the job {self.record.owner} is at work"
        ago = duration_text(round(still_s) * 1000)
        return f"the job {self.record.owner} was last seen at work {ago} ago"

    def ending(self, until_ms: int) -> str | None:
        """Return how the job ended if it will publish nothing (more) before ``until_ms``.

        The end counts if it was written since the trader started, or if the job says that its next
        run comes later than ``until_ms`` (UTC ms). An older status may be an earlier job's.

        Returns:
            The job's code and message; None: a snapshot may still come.
        """
        status = self.status
        if status is None:
            return None
        pause_ms = status.repeat_every_ms
        is_pausing = pause_ms is not None and status.at_ms + pause_ms >= until_ms
        if status == self._first and status.at_ms < self.started_ms and not is_pausing:
            return None
        return f"the job has ended with code {status.code} ({status.message})"


def process_ending(code: int) -> str:
    """Describe the end of a job's process by its exit code; below 0: the signal that killed it."""
    how = f"killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return f"the job's process has {'been ' if code < 0 else ''}{how}"
