"""The trader's side of the control socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager

import msgspec
from loguru import logger

from warmup_job.errors import TraderError
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.reporting.flatten_report import FlatReport
from warmup_job.handoff.reporting.report import Report
from warmup_job.handoff.state_dir import StateDir
from warmup_job.modes import OperatorState
from warmup_job.trader.control_messages import (
    MAX_LINE_BYTES,
    ControlCommand,
    ControlMessage,
    ControlRequest,
)
from warmup_job.trader.control_socket import SOCKET, listening_socket, peer_of

_WISHES: dict[ControlCommand, OperatorState] = {
    "pause": "paused",
    "resume": "trading",
    "flatten": "flattening",
}


_LOOK_S, _LOOKS = 0.1, 30  # a pause waits 3 s until its cancels are confirmed


@asynccontextmanager
async def controlled(
    state_dir: StateDir, operator: OperatorControl, report: Callable[[], Report]
) -> AsyncIterator[None]:
    """Serve the control socket in the state folder until the block ends.

    Without a usable folder, or where its file system takes no sockets, the trader goes on without
    one; that is logged.

    Args:
        state_dir: the trader's locked folder.
        operator: takes the operator's wishes.
        report: returns the present report.
    """
    with ExitStack() as held:
        listener = _listen(state_dir, held)
        if listener is None:
            yield
            return
        server = _Server(operator, report)
        serving = await asyncio.start_unix_server(server.serve, sock=listener, limit=MAX_LINE_BYTES)
        try:
            yield
        finally:
            serving.close()
            server.stop()


def _listen(state_dir: StateDir, held: ExitStack) -> socket.socket | None:
    if not state_dir.usable:
        return None
    try:
        return held.enter_context(listening_socket(state_dir.path))
    except OSError as error:
        state_dir.failed(
            str(state_dir.path / SOCKET),
            f"cannot be made ({error.strerror}), so `warmup-job trader` cannot reach this trader: "
            "put trade.state_dir on a local file system",
        )
        return None


class _Server:
    """Answers requests; a connection may send several, one after the other."""

    def __init__(self, operator: OperatorControl, report: Callable[[], Report]) -> None:
        self._operator = operator
        self._report = report
        self._connections: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End the open connections."""
        for task in self._connections:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio.streams runs this as a task
        self._connections.add(task)
        by = peer_of(writer.get_extra_info("socket"))
        try:
            while line := await reader.readline():
                async for message in self._answer(line, by):
                    writer.write(msgspec.json.encode(message) + b"\n")
                    await writer.drain()
        except (ConnectionError, ValueError):  # it has left, or its line is too long
            logger.debug(
                "the control connection of {by} broke", event="control.connection_broke", by=by
            )
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, line: bytes, by: str) -> AsyncIterator[ControlMessage]:
        try:
            request = msgspec.json.decode(line, type=ControlRequest)
        except msgspec.DecodeError as error:
            yield ControlMessage(done=True, error=f"this is not a request: {error}")
            return
        command, lifted = request.command, None
        if command == "status":
            yield ControlMessage(done=True, report=self._report())
            return
        if request.after_drawdown and command == "resume":
            try:
                lifted = self._operator.lift_drawdown_stops(by)
            except TraderError as error:
                yield ControlMessage(done=True, error=str(error))
                return
        steps = self._operator.follow() if command == "flatten" else None
        kept = await self._operator.take(_WISHES[command], by)
        if command == "pause":
            await self._cancels_confirmed()
        flat = None
        while steps is not None and flat is None:
            step = await steps.get()
            if isinstance(step, FlatReport):
                flat = step
            else:
                yield ControlMessage(progress=step)
        if flat is not None:  # it is paused now
            kept = await self._operator.write()
        yield ControlMessage(done=True, kept=kept, lifted=lifted, report=self._report(), flat=flat)

    async def _cancels_confirmed(self) -> None:
        """Wait until no entry is open, for at most 3 s."""
        for _ in range(_LOOKS):
            if self._report().uncancelled is None:
                return
            await asyncio.sleep(_LOOK_S)
