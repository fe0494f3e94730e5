"""Allow one working job per volume; jobs that start meanwhile wait for its result.

The lease is the file <root>/.lease. Its holder keeps a flock on it, which the kernel releases when
the process dies, and rewrites it every second (heartbeat). If a holder lives but does not rewrite
it (stopped, or cut off from the volume), a waiter takes over by putting a new file in its place.
Every holder has its own generation number. A short lock, <root>/.lock, guards each change of the
lease and each replacement of ``current``. The publisher checks under this lock that it still holds
the lease, so a job that was taken over cannot publish.

No clocks are compared: a waiter measures on its own clock how long the lease has not changed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from warmup_job.errors import VolumeError
from warmup_job.process.long_wait import LOG_EVERY_S
from warmup_job.snapshot.durable import read_regular_file, volume_error
from warmup_job.snapshot.layout import LEASE, LOCK, STAGING
from warmup_job.snapshot.lock_file import open_lock_file, try_lock

HEARTBEAT_S = 1.0
STALE_S = 10.0
"""A waiter takes over when the lease has not changed for this long."""
_POLL_S, _GUARD_TIMEOUT_S = 0.05, 20.0
_RECORD_BYTES = 512  # always overwritten in place: a heartbeat needs no free space


class LeaseRecord(msgspec.Struct, frozen=True):
    """The content of the lease file.

    Attributes:
        generation: A number that grows by one with every holder.
        owner: HOST:PID of the holder.
        beat: A number that grows by one with every heartbeat.
        result: The id of the up-to-date snapshot that the holder left; None: it is still working,
            or ended without a result.
    """

    generation: int = 0
    owner: str = "nobody"
    beat: int = 0
    result: str | None = None


class Lease:
    """The lease of a volume, held until `release`; a thread writes the heartbeat."""

    def __init__(self, root: Path, record: LeaseRecord, handle: int) -> None:
        self.root = root
        self.record = record
        self._handle = handle
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def check_held(self) -> None:
        """Raise if another job took the lease over. Inside `guard` the answer stays true.

        Raises:
            VolumeError: Another job took over.
        """
        try:
            ours, current = os.fstat(self._handle), os.lstat(self.root / LEASE)
            held = (ours.st_dev, ours.st_ino) == (current.st_dev, current.st_ino)
        except OSError:
            held = False
        if not held:
            raise VolumeError(
                f"this job was stopped for over {STALE_S:.0f} s, and another job took over the "
                f"volume {self.root}. This job published nothing; start it again"
            )

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Hold the short lock and the lease for the duration of the block.

        Raises:
            VolumeError: Another job took the lease over, or the lock could not be acquired.
        """
        with _opened(self.root, LOCK) as lock:
            give_up_at = time.monotonic() + _GUARD_TIMEOUT_S
            while not try_lock(lock):
                if time.monotonic() > give_up_at:
                    raise VolumeError(
                        f"{self.root / LOCK} has been locked for over {_GUARD_TIMEOUT_S:.0f} s: "
                        "end the stopped process that holds it"
                    )
                time.sleep(_POLL_S)
            self.check_held()
            yield

    def release(self, result: str | None = None) -> None:
        """Release the lease; ``result`` is the id of the snapshot that is now up to date."""
        self._released.set()
        self._heart.join()
        if result is not None:
            with suppress(OSError):
                _write(self._handle, msgspec.structs.replace(self.record, result=result))
        os.close(self._handle)

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_S):
            self.record = msgspec.structs.replace(self.record, beat=self.record.beat + 1)
            with suppress(OSError):
                _write(self._handle, self.record)


class _Watch(msgspec.Struct):
    """What a waiter observed: the first holder's generation, and since when nothing changed."""

    generation: int = 0
    record: LeaseRecord = msgspec.field(default_factory=LeaseRecord)
    since_s: float = msgspec.field(default_factory=time.monotonic)

    def is_stale(self, record: LeaseRecord) -> bool:
        """Store the holder's current record; return whether it is unchanged for over STALE_S."""
        self.generation = self.generation or record.generation
        if record != self.record:
            self.record, self.since_s = record, time.monotonic()
        return time.monotonic() - self.since_s > STALE_S


async def acquire_lease[Result](
    root: Path,
    reuse: Callable[[str], Result | None],
    *,
    timeout_s: float,
    on_wait: Callable[[str], object],
    remind_every_s: float = LOG_EVERY_S,
) -> Lease | Result:
    """Acquire the lease of ``root``, or reuse the result of the job that held it.

    Args:
        root: The volume.
        reuse: Called with the id of the other job's snapshot. It returns what this job can use of
            it, or None if it cannot use it.
        timeout_s: The longest wait.
        on_wait: Called with the holder (HOST:PID) if this job has to wait, and again while it does.
        remind_every_s: Seconds between two calls of ``on_wait``.

    Returns:
        The lease, or what ``reuse`` returned.

    Raises:
        VolumeError: The volume cannot be written or locked, or the holder did not finish in time.
    """
    give_up_at = time.monotonic() + timeout_s
    watch, report_at = _Watch(), 0.0
    with _opened(root, LOCK) as lock:
        while True:
            if try_lock(lock):
                try:
                    acquired = _attempt(root, watch, reuse)
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)
                if acquired is not None:
                    return acquired
            if watch.generation and time.monotonic() >= report_at:
                report_at = time.monotonic() + remind_every_s
                on_wait(watch.record.owner)
            if time.monotonic() + _POLL_S > give_up_at:
                raise VolumeError(
                    f"another job ({_owner(root)}) kept the volume {root} until this job's "
                    "warmup.deadline: start this job again"
                )
            await asyncio.sleep(_POLL_S)


def _attempt[Result](
    root: Path, watch: _Watch, reuse: Callable[[str], Result | None]
) -> Lease | Result | None:
    """Return the lease, or the awaited result, or None if another job holds the lease.

    Call it under the short lock.
    """
    with ExitStack() as closing:
        handle = closing.enter_context(_opened(root, LEASE))
        record = _read(handle)
        if not try_lock(handle):
            if not watch.is_stale(record):
                return None
            handle = closing.enter_context(_new_lease(root))
        elif watch.generation and record.result is not None:
            reused = reuse(record.result)
            if reused is not None:
                return reused
        mine = LeaseRecord(record.generation + 1, f"{socket.gethostname()}:{os.getpid()}")
        _write(handle, mine)
        return Lease(root, mine, os.dup(handle))  # the flock belongs to the open file: dup keeps it


@contextmanager
def _opened(root: Path, name: str, flags: int = 0) -> Iterator[int]:
    """Open a file of the volume without following a symbolic link; OSErrors become VolumeErrors."""
    try:
        handle = open_lock_file(root / name, flags)
    except OSError as error:
        raise volume_error(root, error) from None
    try:
        yield handle
    except OSError as error:
        raise volume_error(root, error) from None
    finally:
        os.close(handle)


@contextmanager
def _new_lease(root: Path) -> Iterator[int]:
    """Put a new, locked lease file in the place of a stale holder's."""
    fresh = f"{STAGING}/{LEASE}.{secrets.token_hex(4)}"
    with _opened(root, fresh, os.O_EXCL) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (root / fresh).replace(root / LEASE)
        yield handle


def _read(handle: int) -> LeaseRecord:
    """Read the record; an unreadable one counts as a lease without an owner."""
    try:
        return msgspec.json.decode(os.pread(handle, _RECORD_BYTES, 0), type=LeaseRecord)
    except (ValueError, RecursionError):  # malformed, or text that is not UTF-8
        return LeaseRecord()


def read_lease(root: Path) -> LeaseRecord | None:
    """Read who holds or held the lease; this takes no lock and needs no write access.

    The record alone does not tell whether its owner still works: a dead one leaves it as it was.
    The ``beat`` of one that works grows every `HEARTBEAT_S`.

    Returns:
        The record; None: it is missing or unreadable.
    """
    try:
        content = read_regular_file(root / LEASE, _RECORD_BYTES)
        return msgspec.json.decode(content, type=LeaseRecord)
    except (OSError, ValueError, RecursionError):  # malformed, or text that is not UTF-8
        return None


def _owner(root: Path) -> str:
    """Read the holder without the lock, so it may be out of date."""
    with _opened(root, LEASE) as handle:
        return _read(handle).owner


def _write(handle: int, record: LeaseRecord) -> None:
    os.pwrite(handle, msgspec.json.encode(record).ljust(_RECORD_BYTES), 0)
