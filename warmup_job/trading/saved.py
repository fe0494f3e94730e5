"""What strategies keep over a restart (Nautilus' on_save and on_load), one small file each."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.snapshot.durable import read_whole, replace_file

_MOST_BYTES = 64 << 20


class _Saved(msgspec.Struct, frozen=True):
    strategy_id: str
    state: dict[str, bytes]
    sha256: str


def save(folder: Path, strategy: Strategy) -> bool:
    """Replace the strategy's file whole, if it has anything to keep; False: that cannot be."""
    if type(strategy).on_save is Strategy.on_save:
        return True  # it keeps nothing
    try:
        state = strategy.save()
        if state:
            folder.mkdir(parents=True, exist_ok=True)
            strategy_id = str(strategy.id)
            saved = _Saved(strategy_id, state, _digest(strategy_id, state))
            replace_file(_place(folder, strategy), msgspec.json.encode(saved) + b"\n", aside=folder)
    except Exception as error:  # noqa: BLE001 - on_save is the strategy's own code
        logger.error("{}: its state cannot be saved: {}", strategy.id, error)
        return False
    return True


def load(folder: Path, strategy: Strategy) -> bool:
    """Give the strategy what it kept; False: there is nothing, or it cannot be used.

    What cannot be used is set aside as ``….unusable``, and said: starting without it is safer than
    not starting, as what is at the exchange is reconciled anyway.
    """
    path = _place(folder, strategy)
    try:
        saved = msgspec.json.decode(read_whole(path, _MOST_BYTES), type=_Saved)
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


def _place(folder: Path, strategy: Strategy) -> Path:
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(strategy.id))
    return folder / f"{name}.json"


def _digest(strategy_id: str, state: dict[str, bytes]) -> str:
    return hashlib.sha256(msgspec.json.encode([strategy_id, state], order="sorted")).hexdigest()
