"""Wait for a snapshot that a job beside the trader makes.

docs/how-to/deployment.md, "The order of the start", says what each case leads to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from loguru import logger

from warmup_job.errors import SnapshotError
from warmup_job.market.times import duration_text
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.process.long_wait import LOG_EVERY_S, sleep_and_log
from warmup_job.snapshot.layout import resolve_current
from warmup_job.snapshot.lease import read_lease
from warmup_job.snapshot.status import read_status
from warmup_job.snapshot.verify import Snapshot
from warmup_job.trader.job_beside import JobBeside, process_ending
from warmup_job.trader.usable_snapshot import can_be_continued, open_for_trading

_LOOK_S = 0.05  # between two looks at the volume


class SnapshotWait(msgspec.Struct, frozen=True):
    """How long a trader waits for a snapshot, and what ends the wait.

    Attributes:
        most_ms: The longest wait, ms; 0: none.
        started_ms: When the trader's process started, UTC ms: a job that ended since then is the
            one that was waited for.
        job: Returns the exit code of the job that this process has started (below 0: the signal
            that killed it), None while it runs; None: the job is somebody else's process.
        on_wait: Called with what is waited for, again and again.
        log_every_s: Seconds between two lines in the log.
    """

    most_ms: int = 0
    started_ms: int = 0
    job: Callable[[], int | None] | None = None
    on_wait: Callable[[str], object] = lambda _: None
    log_every_s: float = LOG_EVERY_S


NO_WAIT = SnapshotWait()


class _CurrentSnapshot:
    """Verifies the current snapshot, and each snapshot only once."""

    def __init__(self, plan: WarmupPlan, now_ms: Callable[[], int]) -> None:
        self._plan = plan
        self._now_ms = now_ms
        self._judged: str | None = ""
        self.old: Snapshot | None = None
        """A usable snapshot that is so old that nothing of it can be kept."""
        self.error = SnapshotError("")

    def look(self) -> Snapshot | None:
        """Return the current snapshot if it is usable, and new enough to be continued."""
        name = _current_name(self._plan.root)
        if name == self._judged:
            return None
        self._judged, self.old = name, None
        try:
            snapshot = open_for_trading(self._plan, self._now_ms())
        except SnapshotError as error:
            self.error = error
            return None
        if can_be_continued(self._plan, snapshot, self._now_ms()):
            return snapshot
        self.old = snapshot
        return None


async def awaited_snapshot(
    plan: WarmupPlan, now_ms: Callable[[], int], wait: SnapshotWait
) -> Snapshot:
    """Verify the current snapshot; wait for one if there is none that the trader can continue.

    The wait ends when a usable snapshot is published, when the job has ended without one, and after
    ``wait.most_ms``. A snapshot that is older than ``snapshot.max_age`` is not waited for: the
    trader fetches the few missing bars while its node connects, which no job could do sooner.

    Args:
        plan: what the snapshot must have been made for.
        now_ms: returns Binance's clock, UTC ms.
        wait: how long to wait, and what else ends the wait.

    Returns:
        The verified snapshot. It may be old, also after a wait that brought no newer one.

    Raises:
        SnapshotError: there is none that can be used; the message says how the wait ended.
    """
    if not wait.most_ms:
        return open_for_trading(plan, now_ms())
    root, current = plan.root, _CurrentSnapshot(plan, now_ms)
    beside = JobBeside(read_lease(root), read_status(root), wait.started_ms)
    begun_s, until_ms = time.monotonic(), time.time_ns() // 1_000_000 + wait.most_ms
    most = duration_text(wait.most_ms)

    def log(passed_s: float, _left_s: float) -> None:
        logger.info(
            "waiting for a snapshot on {root} for {passed_s} s of {most}: {activity}",
            event="snapshot.waiting",
            root=root,
            passed_s=round(passed_s),
            most=most,
            activity=beside.activity(time.monotonic()),
        )

    waiting = asyncio.create_task(
        sleep_and_log(wait.most_ms / 1000, log, every_s=wait.log_every_s), name="snapshot wait"
    )
    why, looks = "", 0
    code: int | None = None
    try:
        while not why:
            # In this order: whatever a job has published before its end is seen in the same look.
            is_over, before = waiting.done(), code
            code = None if wait.job is None else wait.job()
            beside.look(read_lease(root), read_status(root), time.monotonic())
            if (snapshot := current.look()) is not None:
                if looks:
                    _log_found(snapshot, time.monotonic() - begun_s)
                return snapshot
            activity = beside.activity(time.monotonic())
            # A signal that ends both may be seen after the job's end: look once more.
            ended = code if before is not None else None
            why = _ending(beside, until_ms, ended) or (
                f"the wait of {most} is over; {activity}" if is_over else ""
            )
            if not why:
                if not looks:
                    log(0, 0)
                looks += 1
                wait.on_wait(f"waiting for a snapshot on {root}, at most {most}: {activity}")
                await asyncio.wait({waiting}, timeout=_LOOK_S)
    finally:
        waiting.cancel()
    logger.warning("no snapshot came: {reason}", event="snapshot.not_awaited", reason=why)
    if current.old is not None:
        return current.old
    problems = (*current.error.problems, f"no snapshot came: {why}")
    raise SnapshotError("; ".join(problems), problems=problems)


def _ending(beside: JobBeside, until_ms: int, code: int | None) -> str:
    """Return why no snapshot is to be expected any more; empty: one may come."""
    ending = beside.ending(until_ms)
    if ending is None and code is not None:
        ending = process_ending(code)
    return ending or ""


def _log_found(snapshot: Snapshot, waited_s: float) -> None:
    logger.info(
        "the snapshot {snapshot} was published after {waited}",
        event="snapshot.awaited",
        snapshot=snapshot.folder.name,
        waited=duration_text(round(waited_s * 1000)),
    )


def _current_name(root: Path) -> str | None:
    """Return the id of the current snapshot; None: there is none."""
    try:
        return resolve_current(root).name
    except SnapshotError:
        return None
