"""What the operator wants of a trader: kept in `trade.state_dir`, so that it survives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
from loguru import logger

from warmup_job.errors import TraderError
from warmup_job.handoff.disk_thread import DiskThread
from warmup_job.handoff.reporting.flatten_report import FlatReport, FlattenReport
from warmup_job.handoff.reporting.report import now_ms
from warmup_job.handoff.state_dir import StateDir
from warmup_job.market.times import utc_text
from warmup_job.modes import OperatorState
from warmup_job.snapshot.durable import read_regular_file

FILE = "operator.json"
_MOST_BYTES = 65_536
_WRITE_S = 3.0  # a disk that is slower than that does not hold up what the operator wants
_AGAIN_S = 5.0  # between two attempts to write


type _Steps = asyncio.Queue[str | FlatReport]


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    state: OperatorState
    since_ms: int
    by: str = ""


class OperatorControl:
    """Holds the operator's wish and passes it on.

    Args:
        state_dir: where the wish is kept; None: nowhere.
        write_s: how long a write may delay a wish, seconds.
    """

    def __init__(self, state_dir: StateDir | None = None, write_s: float = _WRITE_S) -> None:
        self._state_dir = state_dir
        self._write_s = write_s
        self._disk = DiskThread("operator-control")
        self._wish = _Wish(state="trading", since_ms=now_ms())
        self._flattening: list[_Steps] = []
        self.on_change: Callable[[], object] = lambda: None
        """Called after every change."""
        self.on_lift: Callable[[], int] | None = None
        """Lifts the stops that drawdowns have set, and returns how many; None: there are no
        strategies yet."""
        self.flatten: FlattenReport | None = None
        """The newest flatten; None: there was none since the start of the process."""
        if state_dir is not None and state_dir.usable:
            self._wish = _read(state_dir) or self._wish
        self._on_disk = self._wish
        self._note_flatten()

    @property
    def state(self) -> OperatorState:
        """What the operator wants now."""
        return self._wish.state

    @property
    def reason(self) -> str:
        """Why entries are held back; empty: they are not."""
        if self.state == "trading":
            return ""
        what = "positions are being closed" if self.state == "flattening" else "no entries"
        by = f" ({self._wish.by})" if self._wish.by else ""
        return f"{what}, by the operator since {utc_text(self._wish.since_ms)}{by}"

    async def take(self, state: OperatorState, by: str = "") -> bool:
        """Note a wish on the disk, then act on it.

        Args:
            state: what the operator wants.
            by: who that is, for the log.

        Returns:
            Whether the wish survives a restart. It is acted on in any case.
        """
        wish = self._wish if state == self.state else _Wish(state=state, since_ms=now_ms(), by=by)
        kept = await self._keep(wish)
        self._act_on(wish)
        return kept

    def set(self, state: OperatorState, by: str = "") -> None:
        """Act on a wish at once; `write` makes it survive a restart."""
        self._act_on(_Wish(state=state, since_ms=now_ms(), by=by))

    def _act_on(self, wish: _Wish) -> None:
        state, by = wish.state, wish.by
        if state != self.state:
            logger.warning(
                "operator: {before} → {state}{_by}",
                event="operator.changed",
                before=self.state,
                state=state,
                by=by,
                _by=f" ({by})" if by else "",
            )
            waiting: list[_Steps] = []
            if state != "flattening":
                waiting, self._flattening = self._flattening, []
            why = f"the operator has changed it to {state} before it was flat"
            cut = FlatReport(flat=False, why_not=why)
            self._end_flatten(cut)
            self._wish = wish
            self._note_flatten()
            self.on_change()
            _tell(waiting, cut)

    def _note_flatten(self) -> None:
        if self.state == "flattening":
            self.flatten = FlattenReport(since_ms=self._wish.since_ms)

    def _end_flatten(self, end: FlatReport) -> None:
        if self.flatten is not None and self.flatten.end is None:
            self.flatten = msgspec.structs.replace(self.flatten, end=end)

    def lift_drawdown_stops(self, by: str = "") -> int:
        """Let the strategies that a drawdown has stopped trade again.

        Args:
            by: who wants that, for the log.

        Returns:
            How many were stopped.

        Raises:
            TraderError: the strategies have not started, or one failed.
        """
        if self.on_lift is None:
            raise TraderError("it has only begun to start: ask again in a few seconds")
        lifted = self.on_lift()
        logger.warning(
            "operator: {stops} drawdown stop(s) lifted{_by}",
            event="operator.drawdown_stops_lifted",
            stops=lifted,
            by=by,
            _by=f" ({by})" if by else "",
        )
        return lifted

    async def write(self) -> bool:
        """Write the wish, unless it is on the disk already; return whether it is then.

        Until then the disk has an earlier one, such as a flatten that has ended.
        """
        return self._wish is self._on_disk or await self._keep(self._wish)

    async def _keep(self, wish: _Wish) -> bool:
        state_dir = self._state_dir
        if state_dir is None:
            return False
        path, data = state_dir.path / FILE, msgspec.json.encode(wish) + b"\n"
        try:
            async with asyncio.timeout(self._write_s):
                kept = await self._disk.start(partial(state_dir.write, path, data))
        except TimeoutError:
            state_dir.failed(str(path), f"takes longer than {self._write_s} s to write")
            return False
        if kept:
            self._on_disk = wish
        return kept

    async def keep_written(self) -> None:
        """Write again what could not be written, until the task is cancelled."""
        while True:
            await asyncio.sleep(_AGAIN_S)
            await self.write()

    # -- a flatten's progress ----------------------------------------------------------------------

    def follow(self) -> _Steps:
        """Return a queue with a flatten's progress; it ends with a `FlatReport`."""
        queue: _Steps = asyncio.Queue()
        self._flattening.append(queue)
        return queue

    def progress(self, text: str, *, is_problem: bool = False) -> None:
        """Log a step of a flatten, and pass it on.

        Args:
            text: the step.
            is_problem: whether it is worth a warning.
        """
        logger.log(
            "WARNING" if is_problem else "INFO", "flatten: {step}", event="flatten.step", step=text
        )
        if self.flatten is not None:
            self.flatten = msgspec.structs.replace(self.flatten, step=text)
        for queue in self._flattening:
            queue.put_nowait(text)

    def flattened(self, report: FlatReport) -> None:
        """Note that the trader is flat: it stays paused."""
        for line in report.lines():
            logger.info("flatten: {text}", event="flatten.closed", text=line)
        waiting, self._flattening = self._flattening, []
        self._end_flatten(report)  # first, so that the report of the change has it
        self.set("paused", self._wish.by)
        _tell(waiting, report)


def _tell(waiting: list[_Steps], report: FlatReport) -> None:
    for queue in waiting:
        queue.put_nowait(report)


def _read(state_dir: StateDir) -> _Wish | None:
    path = state_dir.path / FILE
    try:
        wish = msgspec.json.decode(read_regular_file(path, _MOST_BYTES), type=_Wish)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        # Whether the operator had paused it is unknown, and a pause risks nothing.
        logger.error(
            "{path} cannot be read ({error}), so the trader starts paused: `warmup-job trader "
            "resume` lets it trade",
            event="operator.unreadable",
            path=path,
            error=error,
        )
        return _Wish(state="paused", since_ms=now_ms(), by=f"{FILE} is unreadable")
    if wish.state != "trading":
        logger.warning(
            "{state} since {since}: {path}",
            event="operator.state_restored",
            state=wish.state,
            since=utc_text(wish.since_ms),
            path=path,
        )
    return wish
