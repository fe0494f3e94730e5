"""The state that strategies keep over a restart (Nautilus' on_save and on_load), one file each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.disk_thread import DiskThread
from warmup_job.handoff.state_dir import StateDir
from warmup_job.snapshot.durable import read_regular_file

_MOST_BYTES = 64 << 20
_LAST_S = 5.0  # a disk that is slower than that does not hold up the trader's end


class _Saved(msgspec.Struct, frozen=True):
    strategy_id: str
    state: dict[str, bytes]
    sha256: str


class StateSaver:
    """Saves the strategies' states while they trade, without delaying an event.

    A state is taken on the event loop and written in a thread, because a write waits for the disk.
    Requests that arrive during a write lead to one more write. A state that has not changed is not
    written again. A failure is logged once until it works again.

    Args:
        state_dir: the trader's folder.
        strategies: whose states it saves; those without any have no file.
        last_s: how long `close` waits for the disk, seconds.
    """

    def __init__(
        self, state_dir: StateDir, strategies: Sequence[Strategy], last_s: float = _LAST_S
    ) -> None:
        self._state_dir = state_dir
        self._strategies = strategies
        self._last_s = last_s
        self._requested = asyncio.Event()
        self._disk = DiskThread("state-saver")
        self._written: dict[str, bytes] = {}

    def request(self) -> None:
        """Save soon. Call it on the event loop."""
        self._requested.set()

    async def run(self) -> None:
        """Save on each request, until it is cancelled."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            for strategy in self._strategies:
                await self._start(strategy)

    async def close(self) -> bool:
        """Save the present states as the last ones; call it once `run` is cancelled.

        Returns:
            Whether all of them are on the disk.
        """
        writes = [self._start(strategy) for strategy in self._strategies]
        try:
            async with asyncio.timeout(self._last_s):
                return all(await asyncio.gather(*writes))
        except TimeoutError:
            logger.error(
                "{path} takes longer than {seconds} s to write: the last state of the strategies "
                "may be lost",
                event="state.not_written",
                path=self._state_dir.folder,
                seconds=self._last_s,
            )
            return False

    def _start(self, strategy: Strategy) -> asyncio.Future[bool]:
        """Take a state and begin to write it; the thread keeps the order."""
        data = _encoded(self._state_dir, strategy)
        return self._disk.start(partial(self._write, strategy, data))

    def _write(self, strategy: Strategy, data: bytes | None) -> bool:
        whose = str(strategy.id)
        if not data or self._written.get(whose) == data:
            return data is not None
        if not self._state_dir.write(_place(self._state_dir, strategy), data):
            return False
        self._written[whose] = data
        return True


def load(state_dir: StateDir, strategy: Strategy) -> bool:
    """Restore the strategy's state by its on_load.

    A file that fails its checksum, or that on_load refuses, is renamed to ``….unusable`` and an
    error is logged. To start without it is safer than not to start: orders and positions at the
    exchange are reconciled anyway.

    Args:
        state_dir: the trader's folder.
        strategy: whose state it is.

    Returns:
        False: there is no state, or it cannot be used.
    """
    if not state_dir.usable:
        return False
    path = _place(state_dir, strategy)
    try:
        saved = msgspec.json.decode(read_regular_file(path, _MOST_BYTES), type=_Saved)
        if saved.strategy_id != str(strategy.id):
            raise ValueError(f"it belongs to {saved.strategy_id}")
        if saved.sha256 != _digest(saved.strategy_id, saved.state):
            raise ValueError("its checksum failed: it was altered after it was written")
        strategy.load(saved.state)
    except FileNotFoundError:
        return False
    except Exception as error:  # noqa: BLE001 - on_load is the strategy's own code
        logger.error(
            "{strategy}: {path} cannot be used and is renamed to *.unusable: {error}",
            event="state.unusable",
            strategy=strategy.id,
            path=path,
            error=error,
        )
        try:
            path.replace(path.with_name(path.name + ".unusable"))
        except OSError as failed:
            logger.error(
                "{path} cannot be renamed either: {error}",
                event="state.not_renamed",
                path=path,
                error=failed,
            )
        return False
    logger.info(
        "{strategy}: state restored from {path}",
        event="state.restored",
        strategy=strategy.id,
        path=path,
    )
    return True


def _encoded(state_dir: StateDir, strategy: Strategy) -> bytes | None:
    """Return the content of the strategy's file.

    Returns:
        Empty: the strategy has no state. None: its on_save failed, which is logged once.
    """
    if type(strategy).on_save is Strategy.on_save:
        return b""
    strategy_id = str(strategy.id)
    whose = f"the state of {strategy_id}"
    try:
        state = strategy.on_save()  # its save() would log each time
    except Exception as error:  # noqa: BLE001 - on_save is the strategy's own code
        state_dir.failed(whose, f"is not saved, its on_save raised {error!r}: correct on_save")
        return None
    state_dir.worked(whose)
    if not state:
        return b""
    saved = _Saved(strategy_id, state, _digest(strategy_id, state))
    return msgspec.json.encode(saved) + b"\n"


def _place(state_dir: StateDir, strategy: Strategy) -> Path:
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(strategy.id))
    return state_dir.folder / f"{name}.json"


def _digest(strategy_id: str, state: dict[str, bytes]) -> str:
    return hashlib.sha256(msgspec.json.encode([strategy_id, state], order="sorted")).hexdigest()
