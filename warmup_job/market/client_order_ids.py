"""A trader's client order ids: what an order is for, and who made it. Pure.

An id is ``<kind>-<date>-<time>-<tag>-<strategy's tag>-<count>``: Nautilus' own, with HedgeGridV1's
kinds E (entry), T1, T2, … (take profit) and S1, S2, … (stop loss; in base 36, so Sa follows S9),
and F (a flatten closes a position), beside Nautilus' O. Binance accepts at most 36 characters of
``[.A-Z:/a-z0-9_-]``:
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, NamedTuple

from warmup_job.process.refusal_text import FLATTEN_KIND

type Purpose = Literal["entry", "take_profit", "stop_loss", "close"]
"""``close``: a flatten closes a position by it."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Of numbers in base 36."""
_TAG = "[.A-Z:/a-z0-9_]+"
_ID = re.compile(rf"([A-Z][0-9a-z]*)-([0-9]{{8}}-[0-9]{{6}}-({_TAG})-{_TAG}-[1-9][0-9]*)", re.ASCII)
_EXIT = re.compile("[TS][1-9a-z][0-9a-z]*")


class ClientOrderParts(NamedTuple):
    """What an order id says."""

    kind: str
    """``E``, ``T1``, ``S2a``, ``F``, ``O``."""
    tag: str
    """Of the trader that made it."""
    key: str
    """All behind the kind: the same for an entry and for the exits of what it has filled."""

    @property
    def made_ms(self) -> int | None:
        """When the key was made, by its trader's clock, to the second, UTC ms; None: never."""
        try:
            made = datetime.strptime(f"{self.key[:15]}+0000", "%Y%m%d-%H%M%S%z")
        except ValueError:  # digits that are no time
            return None
        return int(made.timestamp()) * 1000

    @property
    def purpose(self) -> Purpose | None:
        """What the order is for; None: its id does not say it."""
        if self.kind == "E":
            return "entry"
        if self.kind == FLATTEN_KIND:
            return "close"
        if _EXIT.fullmatch(self.kind) is None:
            return None
        return "take_profit" if self.kind[0] == "T" else "stop_loss"


def parse_client_order_id(order_id: str) -> ClientOrderParts | None:
    """Return what an order id says; None: no trader made it."""
    found = _ID.fullmatch(order_id)
    return None if found is None else ClientOrderParts(found[1], found[3], found[2])


def flatten_order_id(key: str) -> str:
    """Return the id of an order by which a flatten closes a position.

    Args:
        key: a new one.
    """
    return f"{FLATTEN_KIND}-{key}"


def base36(number: int) -> str:
    """Return a number that is not negative in base 36: 0 to 9 and a to z."""
    number, digit = divmod(number, len(DIGITS))
    return (base36(number) if number else "") + DIGITS[digit]
