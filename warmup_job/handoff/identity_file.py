"""The identity of a state folder: which orders at the exchange are those of its trader."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import msgspec
from loguru import logger
from msgspec.structs import replace

from warmup_job.handoff.outgoing_orders.order_ids import (
    FOLDER_LENGTH,
    RUN_LENGTH,
    TraderIdentity,
    in_alphabet,
)
from warmup_job.handoff.reporting.report import now_ms
from warmup_job.handoff.state_dir import StateDir
from warmup_job.market.client_order_ids import DIGITS
from warmup_job.snapshot.durable import read_regular_file

FILE = "identity.json"
_MOST_BYTES = 65_536
_FIRST_TAG = "001"
"""The tag of every trader of versions that had no identity."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    folder: str
    run: int
    adopted: tuple[str, ...] = ()


def begin_run(state_dir: StateDir, name: str, prefix: str) -> TraderIdentity:
    """Return the identity of a trader that starts now; call it before the folder is written to.

    Args:
        state_dir: keeps the identity; one that is not usable gives a new identity each time.
        name: the trader id without its tag.
        prefix: the first part of the tag.
    """
    kept = _read(state_dir)
    kept = msgspec.structs.replace(kept, run=kept.run + 1)
    _write(state_dir, kept)
    run = in_alphabet(kept.run, RUN_LENGTH)
    return TraderIdentity(name, prefix, kept.folder, run, frozenset(kept.adopted), now_ms())


def adopt(state_dir: StateDir, identity: TraderIdentity, tags: Iterable[str]) -> TraderIdentity:
    """Return the identity with other traders' tags added, and keep them.

    Args:
        state_dir: keeps them.
        identity: of the trader that takes the orders over.
        tags: of traders that no longer run.
    """
    kept = _read(state_dir)
    adopted = identity.adopted | frozenset(tags)
    _write(state_dir, msgspec.structs.replace(kept, adopted=tuple(sorted(adopted))))
    return replace(identity, adopted=adopted)


def _read(state_dir: StateDir) -> _Kept:
    path = state_dir.path / FILE
    if state_dir.usable:
        try:
            return msgspec.json.decode(read_regular_file(path, _MOST_BYTES), type=_Kept)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            logger.error(
                "{path} cannot be read ({error}), so this trader does not know its own orders of "
                "before: live trading is refused while they are open",
                event="identity.unreadable",
                path=path,
                error=error,
            )
    folder = "".join(secrets.choice(DIGITS) for _ in range(FOLDER_LENGTH))
    was_used = state_dir.usable and any(
        any(state_dir.path.glob(pattern)) for pattern in ("*.json", "paper/*.json", "live/*.json")
    )
    return _Kept(folder=folder, run=0, adopted=(_FIRST_TAG,) if was_used else ())


def _write(state_dir: StateDir, kept: _Kept) -> None:
    state_dir.write(state_dir.path / FILE, msgspec.json.encode(kept) + b"\n")
