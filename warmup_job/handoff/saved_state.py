"""The state that strategies keep over a restart (Nautilus' on_save and on_load), one file each."""

from __future__ import annotations

import hashlib
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
        False: that failed. A failure is logged once until it works again, as this is called after
        every bar.
    """
    if type(strategy).on_save is Strategy.on_save:
        return True  # it has no state
    strategy_id = str(strategy.id)
    whose = f"the state of {strategy_id}"
    try:
        state = strategy.save()
    except Exception as error:  # noqa: BLE001 - on_save is the strategy's own code
        state_dir.failed(whose, f"is not saved, its on_save raised {error!r}: correct on_save")
        return False
    state_dir.worked(whose)
    if not state:
        return True
    saved = _Saved(strategy_id, state, _digest(strategy_id, state))
    return state_dir.write(_place(state_dir, strategy), msgspec.json.encode(saved) + b"\n")


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


def _place(state_dir: StateDir, strategy: Strategy) -> Path:
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(strategy.id))
    return state_dir.folder / f"{name}.json"


def _digest(strategy_id: str, state: dict[str, bytes]) -> str:
    return hashlib.sha256(msgspec.json.encode([strategy_id, state], order="sorted")).hexdigest()
