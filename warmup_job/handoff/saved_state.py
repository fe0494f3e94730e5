"""The state that strategies keep over a restart (Nautilus' on_save and on_load), one file each."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.state_dir import StateDir
from warmup_job.snapshot.durable import read_regular_file

_MOST_BYTES = 64 << 20


class _Saved(msgspec.Struct, frozen=True):
    strategy_id: str
    state: dict[str, bytes]
    sha256: str


def save(state_dir: StateDir, strategy: Strategy) -> bool:
    """Replace the strategy's file, if the strategy has any state.

    Args:
        state_dir: the trader's folder.
        strategy: its on_save returns the state.

    Returns:
        False: that failed. A failure is logged once until it works again.
    """
    data = _encoded(state_dir, strategy)
    return data is not None and (not data or state_dir.write(_place(state_dir, strategy), data))


class StateSaver:
    """Saves the strategies' states while they trade, without delaying an event.

    A state is taken on the event loop and written in a thread, because a write waits for the disk.
    Requests that arrive during a write lead to one more write. A state that has not changed is not
    written again.

    Args:
        state_dir: the trader's folder.
        strategies: whose states it saves.
    """

    def __init__(self, state_dir: StateDir, strategies: Sequence[Strategy]) -> None:
        self._state_dir = state_dir
        self._strategies = strategies
        self._requested = asyncio.Event()
        self._writing = threading.Lock()
        self._is_closed = False
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
                data = _encoded(self._state_dir, strategy)
                if data:
                    await asyncio.to_thread(self._write, strategy, data)

    def close(self) -> None:
        """Save once more, now; a write that is still in its thread changes nothing after it."""
        with self._writing:
            self._is_closed = True
            for strategy in self._strategies:
                save(self._state_dir, strategy)

    def _write(self, strategy: Strategy, data: bytes) -> None:
        with self._writing:
            whose = str(strategy.id)
            if self._is_closed or self._written.get(whose) == data:
                return
            if self._state_dir.write(_place(self._state_dir, strategy), data):
                self._written[whose] = data


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
            "{}: {} cannot be used and is renamed to *.unusable: {}", strategy.id, path, error
        )
        try:
            path.replace(path.with_name(path.name + ".unusable"))
        except OSError as failed:
            logger.error("{} cannot be renamed either: {}", path, failed)
        return False
    logger.info("{}: state restored from {}", strategy.id, path)
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
