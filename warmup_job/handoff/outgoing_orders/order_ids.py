"""Whose order an order is, by the tag in its id. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from warmup_job.market.client_order_ids import base36, parse_client_order_id

FOLDER_LENGTH, RUN_LENGTH = 3, 1


def tag_of_instruments(instrument_ids: Iterable[str]) -> str:
    """Return the tag of a trader that has none of its own: three characters, by its instruments."""
    digest = hashlib.sha256(" ".join(sorted(instrument_ids)).encode()).digest()
    return in_alphabet(int.from_bytes(digest[:8]), 3)


def in_alphabet(number: int, length: int) -> str:
    """Return a number's last digits in base 36."""
    return base36(number).zfill(length)[-length:]


class TraderIdentity(msgspec.Struct, frozen=True):
    """Who a trader is, as its order ids show.

    Args:
        name: the trader id without its tag.
        prefix: the first part of the tag, by configuration.
        folder: three characters that its state folder keeps: its orders from before a restart.
        run: one character that changes with each start.
        adopted: tags of other traders whose orders it has taken over.
        began_ms: when this run got hold of the state folder, Unix ms; the run before has ended by
            then. None: unknown.
    """

    name: str = "WARMUP"
    prefix: str = "001"
    folder: str = ""
    run: str = ""
    adopted: frozenset[str] = frozenset()
    began_ms: int | None = None

    @property
    def tag(self) -> str:
        """The tag in the ids of the orders that this run makes."""
        return f"{self.prefix}{self.folder}{self.run}"

    @property
    def trader_id(self) -> str:
        """Nautilus' trader id."""
        return f"{self.name}-{self.tag}"

    def owns(self, order_id: str) -> bool:
        """Return whether this trader made an order, in this run or before, or has taken it over."""
        parts = parse_client_order_id(order_id)
        return parts is not None and self.owns_tag(parts.tag)

    def owns_tag(self, tag: str) -> bool:
        """Return whether a tag is this trader's, of this run or of one before, or adopted."""
        if tag == self.tag or tag in self.adopted:
            return True
        own = tag[-FOLDER_LENGTH - RUN_LENGTH : -RUN_LENGTH] == self.folder
        return bool(self.folder) and own and len(tag) > FOLDER_LENGTH + RUN_LENGTH
