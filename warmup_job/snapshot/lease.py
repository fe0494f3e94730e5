"""Single flight on one volume: of the jobs that start together one works, the others wait for it.

The lease is a file, <root>/.lease. Its holder keeps a flock on it, which the kernel frees when the
process dies, and rewrites it every second; a holder that lives but does not do that (stopped, or
cut off) is taken over by putting a new file in its place. Every holder has its own generation. A
short lock, <root>/.lock, guards each change of the lease and each swap of what is current, and who
swaps looks under it whether the lease is still his: a holder that was taken over cannot publish.

No clocks are compared: a waiter measures by his own for how long the lease has not changed.
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
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from warmup_job.errors import VolumeError
from warmup_job.snapshot.durable import volume_error
from warmup_job.snapshot.layout import LEASE, LOCK, STAGING
from warmup_job.snapshot.lock_file import open_lock_file, try_lock

BEAT_S = 1.0
STALE_S = 10.0
"""A holder whose lease has not changed for so long is taken over."""
_POLL_S, _GUARD_MOST_S = 0.05, 20.0
_RECORD_BYTES = 512  # always rewritten whole and in place: a beat needs no space on a full volume


class LeaseRecord(msgspec.Struct, frozen=True):
    """What stands in the lease; ``result`` is the snapshot that its holder, now done, vouches for.

    A result of None: it is still at work, or ended without one.
    """

    generation: int = 0
    owner: str = "nobody"
    beat: int = 0
    result: str | None = None


class Lease:
    """The lease of a volume, held by this process until `release`; it beats by itself."""

    def __init__(self, root: Path, record: LeaseRecord, handle: int) -> None:
        self.root = root
        self.record = record
        self._handle = handle
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def require(self) -> None:
        """Be sure that no other job has taken over; within `guard` that lasts.

        Raises:
            VolumeError: one has.
        """
        try:
            ours, there = os.fstat(self._handle), os.lstat(self.root / LEASE)
            held = (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
        except OSError:
            held = False
        if not held:
            raise VolumeError(
                f"this job stood still for over {STALE_S:.0f} s and another one took over the "
                f"volume {self.root}: nothing of this one was published, start it again"
            )

    @contextmanager
    def guard(self) -> Iterator[None]:
        """The short lock, with the lease still ours.

        Raises:
            VolumeError: another job has taken over, or the lock could not be had.
        """
        with _opened(self.root, LOCK) as lock:
            give_up_at = time.monotonic() + _GUARD_MOST_S
            while not try_lock(lock):
                if time.monotonic() > give_up_at:
                    raise VolumeError(
                        f"{self.root / LOCK} stays locked: end the stopped process that holds it"
                    )
                time.sleep(_POLL_S)
            self.require()
            yield

    def release(self, result: str | None = None) -> None:
        """Let go; ``result``: the id of the snapshot that is current now and up to date."""
        self._released.set()
        self._heart.join()
        if result is not None:
            with suppress(OSError):
                _write(self._handle, msgspec.structs.replace(self.record, result=result))
        os.close(self._handle)

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            self.record = msgspec.structs.replace(self.record, beat=self.record.beat + 1)
            with suppress(OSError):
                _write(self._handle, self.record)


@dataclass(slots=True)
class _Watch:
    """What a waiter has seen of the holder: which generation first, and since when no change."""

    generation: int = 0
    record: LeaseRecord = field(default_factory=LeaseRecord)
    since_s: float = field(default_factory=time.monotonic)

    def is_stale(self, record: LeaseRecord) -> bool:
        """Note what the holder's record is now; whether it has not changed for too long."""
        self.generation = self.generation or record.generation
        if record != self.record:
            self.record, self.since_s = record, time.monotonic()
        return time.monotonic() - self.since_s > STALE_S


async def take_lease[Result](
    root: Path,
    use: Callable[[str], Result | None],
    *,
    most_s: float,
    on_wait: Callable[[str], object],
) -> Lease | Result:
    """The lease of ``root``; or, if another job held it, what can be made of its result.

    Args:
        use: told the id of the other job's snapshot; None: this job cannot do with it.
        most_s: how long to wait at most.
        on_wait: told who holds it, once, if it must be waited for.

    Raises:
        VolumeError: the volume cannot be written or locked, or the holder was not done in time.
    """
    give_up_at = time.monotonic() + most_s
    watch, told = _Watch(), False
    with _opened(root, LOCK) as lock:
        while True:
            if try_lock(lock):
                try:
                    found = _attempt(root, watch, use)
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)
                if found is not None:
                    return found
            if watch.generation and not told:
                told = True
                on_wait(watch.record.owner)
            if time.monotonic() + _POLL_S > give_up_at:
                raise VolumeError(
                    f"another job ({_owner(root)}) was at work on the volume {root} for all "
                    "the time that this one had (warmup.deadline): start it again"
                )
            await asyncio.sleep(_POLL_S)


def _attempt[Result](
    root: Path, watch: _Watch, use: Callable[[str], Result | None]
) -> Lease | Result | None:
    """Under the lock: the lease, or the result that was waited for; None: somebody holds it."""
    with ExitStack() as closing:
        handle = closing.enter_context(_opened(root, LEASE))
        record = _read(handle)
        if not try_lock(handle):
            if not watch.is_stale(record):
                return None
            handle = closing.enter_context(_new_lease(root))
        elif watch.generation and record.result is not None:
            used = use(record.result)
            if used is not None:
                return used
        mine = LeaseRecord(record.generation + 1, f"{socket.gethostname()}:{os.getpid()}")
        _write(handle, mine)
        return Lease(root, mine, os.dup(handle))  # the lock is the open file's, and goes along


@contextmanager
def _opened(root: Path, name: str, flags: int = 0) -> Iterator[int]:
    """A file of the volume's by its handle; a link there is not followed."""
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
    """A new file in the place of a stale holder's, locked."""
    fresh = f"{STAGING}/{LEASE}.{secrets.token_hex(4)}"
    with _opened(root, fresh, os.O_EXCL) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (root / fresh).replace(root / LEASE)
        yield handle


def _read(handle: int) -> LeaseRecord:
    """What stands in the lease; whatever cannot be read counts as nobody's."""
    try:
        return msgspec.json.decode(os.pread(handle, _RECORD_BYTES, 0), type=LeaseRecord)
    except (ValueError, RecursionError):  # malformed, or text that is not UTF-8
        return LeaseRecord()


def _owner(root: Path) -> str:
    """Who holds the lease, as far as can be told without the lock."""
    with _opened(root, LEASE) as handle:
        return _read(handle).owner


def _write(handle: int, record: LeaseRecord) -> None:
    os.pwrite(handle, msgspec.json.encode(record).ljust(_RECORD_BYTES), 0)
