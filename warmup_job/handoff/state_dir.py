"""The trader's own folder, `trade.state_dir`: locked for one trader, with atomic writes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from loguru import logger

from warmup_job.errors import LiveRefusedError, TraderError
from warmup_job.handoff.reporting.report import Report, now_ms
from warmup_job.market.times import utc_text
from warmup_job.modes import Mode
from warmup_job.snapshot.durable import replace_file
from warmup_job.snapshot.lock_file import open_lock_file, try_lock

LOCK = ".trader.lock"
_RECORD_BYTES = 512  # rewritten in place, so that a full volume has space for it
_REMEDY = (
    "mount it writable for this user or its group, with space, or name another one "
    "(trade.state_dir, WARMUP_STATE_DIR)"
)


class _Holder(msgspec.Struct, frozen=True):
    """Who holds the lock."""

    host: str
    pid: int
    mode: str
    since_ms: int


class StateDir:
    """A trader's folder: its report, and a folder per mode with the strategies' state.

    A file that cannot be written is logged once, and once more when it can be written again: as
    an ERROR in live trading, as a WARNING on paper.

    Args:
        path: the folder.
        mode: ``paper`` or ``live``.
        usable: whether it is locked and writable; otherwise nothing is read or written.
    """

    def __init__(self, path: Path, mode: Mode, *, usable: bool = True) -> None:
        self.path = path
        self.mode = mode
        self.usable = usable
        self._failing: set[str] = set()

    @property
    def folder(self) -> Path:
        """The folder with the state of this mode's strategies."""
        return self.path / self.mode

    def write_report(self, report: Report) -> None:
        """Replace ``<path>/<mode>.json``."""
        self.write(self.path / f"{self.mode}.json", msgspec.json.encode(report) + b"\n")

    def write(self, path: Path, data: bytes) -> bool:
        """Replace a file below `path` atomically; return False if that failed, which is logged."""
        if not self.usable:
            return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, data, temporary=path.parent)
        except OSError as error:
            self.failed(str(path), f"cannot be written ({error.strerror}): {_REMEDY}")
            return False
        self.worked(str(path))
        return True

    def failed(self, what: str, why: str) -> None:
        """Log that ``what`` failed and why, once until it works again."""
        if what not in self._failing:
            self._failing.add(what)
            logger.log(
                "ERROR" if self.mode == "live" else "WARNING",
                "{path} {problem}",
                event="state_dir.failing",
                path=what,
                problem=why,
            )

    def worked(self, what: str) -> None:
        """Log that ``what`` works again, if it had failed."""
        if what in self._failing:
            self._failing.remove(what)
            logger.info("{path} is written again", event="state_dir.writable_again", path=what)


@contextmanager
def held_state_dir(path: Path, mode: Mode) -> Iterator[StateDir]:
    """Lock the folder against every other trader, of either mode, until the block ends.

    The kernel frees the lock of a process that dies. On paper a folder that cannot be locked or
    written is a warning, and the trader keeps nothing.

    Args:
        path: the folder; it is created.
        mode: ``paper`` or ``live``.

    Yields:
        The folder.

    Raises:
        TraderError: another trader holds it.
        LiveRefusedError: live, and it cannot be locked or written.
    """
    with ExitStack() as held:
        try:
            _lock(path, mode, held)
            for folder in (path, path / mode):
                _try_to_write(folder)
        except OSError as error:
            state = _unusable(path, mode, error)
        else:
            state = StateDir(path, mode)
        yield state


def _lock(path: Path, mode: Mode, held: ExitStack) -> None:
    path.mkdir(parents=True, exist_ok=True)
    handle = open_lock_file(path / LOCK)
    held.callback(os.close, handle)
    if not try_lock(handle):
        raise TraderError(_taken(path, handle))
    mine = _Holder(socket.gethostname(), os.getpid(), mode, now_ms())
    os.pwrite(handle, msgspec.json.encode(mine).ljust(_RECORD_BYTES), 0)


def _unusable(path: Path, mode: Mode, error: OSError) -> StateDir:
    where = f"{error.filename}: " if error.filename else ""
    problem = f"the state folder {path} cannot be used ({where}{error.strerror or error})"
    if mode == "live":
        raise LiveRefusedError(
            f"live trading is refused: {problem}, so no state would survive a restart and a "
            f"second trader could start: {_REMEDY}"
        ) from None
    logger.warning(
        "{problem}: this paper trader keeps no state over a restart; {remedy}",
        event="state.not_kept",
        problem=problem,
        remedy=_REMEDY,
    )
    return StateDir(path, mode, usable=False)


def _try_to_write(folder: Path) -> None:
    """Make, rename and fsync a file, as the trader will do later."""
    folder.mkdir(exist_ok=True)
    trial = folder / ".trial"
    replace_file(trial, b"\n" * _RECORD_BYTES, temporary=folder)
    trial.unlink()


def _taken(path: Path, handle: int) -> str:
    time.sleep(0.1)  # a trader that has just locked it writes its record within that time
    try:
        holder = msgspec.json.decode(os.pread(handle, _RECORD_BYTES, 0), type=_Holder)
        first = (
            f"a {holder.mode} trader, pid {holder.pid} on {holder.host}, "
            f"since {utc_text(holder.since_ms)}"
        )
    except (OSError, msgspec.DecodeError):
        first = f"a trader that {LOCK} there does not name"
    return (
        f"the state folder {path} is in use by {first}: stop that one first, or give this one "
        "its own trade.state_dir (WARMUP_STATE_DIR)"
    )
