"""What strategies keep over a restart (Nautilus' on_save and on_load), one small file each."""

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
    """Replace the strategy's file whole, if it has anything to keep; False: that failed.

    A failure is logged once, until it works again: this is called after every bar.
    """
    if type(strategy).on_save is Strategy.on_save:
        return True  # it keeps nothing
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
    """Give the strategy what it kept; False: there is nothing, or it cannot be used.

    What cannot be used is set aside as ``….unusable``, and said: starting without it is safer than
    not starting, as what is at the exchange is reconciled anyway.
    """
    if not state_dir.usable:
        return False
    path = _place(state_dir, strategy)
    try:
        saved = msgspec.json.decode(read_regular_file(path, _MOST_BYTES), type=_Saved)
        if saved.strategy_id != str(strategy.id):
            raise ValueError(f"it is that of {saved.strategy_id}")
        if saved.sha256 != _digest(saved.strategy_id, saved.state):
            raise ValueError("it was altered after it was written")
        strategy.load(saved.state)
    except FileNotFoundError:
        return False
    except Exception as error:  # noqa: BLE001 - on_load is the strategy's own code
        logger.error("{}: {} cannot be used and is set aside: {}", strategy.id, path, error)
        try:
            path.replace(path.with_name(path.name + ".unusable"))
        except OSError as failed:
            logger.error("{} cannot be set aside either: {}", path, failed)
        return False
    logger.info("{}: goes on from what it kept in {}", strategy.id, path)
    return True


def _place(state_dir: StateDir, strategy: Strategy) -> Path:
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(strategy.id))
    return state_dir.folder / f"{name}.json"


def _digest(strategy_id: str, state: dict[str, bytes]) -> str:
    return hashlib.sha256(msgspec.json.encode([strategy_id, state], order="sorted")).hexdigest()
