"""The exchange's account after each entry of its journal (GET /_sim/account). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

type Entry = Mapping[str, Any]
"""An entry of the journal: ``n``, ``at_ms``, ``event`` and its fields; decimals are text."""
type Side = tuple[str, str]
"""A symbol and a position side: LONG, SHORT or BOTH."""

ZERO = Decimal(0)
_OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})
"""A triggered stop is replaced by its order within the same ms; until then it protects nothing."""
_STOPS = frozenset({"STOP", "STOP_MARKET", "TRAILING_STOP_MARKET"})
_OURS = re.compile(r"(?P<kind>[EF]|[TS][0-9a-z]+)-(?P<key>.+)")


def number(text: object) -> Decimal:
    """Return a decimal of the journal; what is absent counts as 0."""
    return ZERO if text in {None, ""} else Decimal(str(text))


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """An open order as the exchange reported it last."""

    order_id: str
    side: Side
    kind: str
    """E for an entry, T or S for the exits of a lot, F for a flatten; empty: another id."""
    key: str
    """What the entry and the exits of one lot have in common."""
    type: str
    price: Decimal
    """The limit, or the price that triggers it."""
    leaves: Decimal
    closes: bool
    """Whether it can only make its position smaller."""
    whole: bool
    """Whether it closes its whole position, whatever that is (``closePosition``)."""
    since_ms: int

    @property
    def is_stop(self) -> bool:
        """Whether it limits the loss of a position, or closes it at market."""
        return self.closes and self.type in _STOPS | {"MARKET"}


@dataclass(frozen=True, slots=True)
class Moment:
    """The account after one entry of the journal."""

    at_ms: int
    entry: Entry
    positions: Mapping[Side, Decimal]
    """Absolute quantities; a side that was never held is absent."""
    orders: Mapping[tuple[str, str], SeenOrder]
    """Open orders by kind (``order`` or ``algo``) and client id."""
    lots: Mapping[str, Decimal]
    """By the key of its entry: what the entry filled less what its exits closed."""


def kind_and_key(client_id: str) -> tuple[str, str]:
    """Return E, T, S or F and the key of a trader's id; two empty texts for any other id."""
    match = _OURS.fullmatch(client_id)
    return (match["kind"][0], match["key"]) if match else ("", "")


def closes(entry: Entry) -> bool:
    """Return whether an order or a fill makes its position smaller."""
    if entry["position_side"] == "BOTH":
        return bool(entry.get("reduces"))
    return bool((entry["position_side"] == "LONG") == (entry["side"] == "SELL"))


def replay(journal: Sequence[Entry]) -> Iterator[Moment]:
    """Yield the account after each entry, in order; each moment has its own containers."""
    positions: dict[Side, Decimal] = {}
    orders: dict[tuple[str, str], SeenOrder] = {}
    lots: dict[str, Decimal] = {}
    for entry in journal:
        if entry["event"] == "position":
            positions = positions | {side_of(entry): abs(number(entry["quantity"]))}
        elif entry["event"] == "order":
            orders = _with_order(orders, entry)
        elif entry["event"] == "fill":
            lots = _with_fill(lots, entry)
        yield Moment(entry["at_ms"], entry, positions, orders, lots)


def side_of(entry: Entry) -> Side:
    """Return the symbol and position side of an order, fill or position."""
    return entry["symbol"], entry["position_side"]


def _with_order(
    orders: dict[tuple[str, str], SeenOrder], entry: Entry
) -> dict[tuple[str, str], SeenOrder]:
    name = (entry["kind"], entry["client_id"])
    if entry["status"] not in _OPEN:
        return {each: order for each, order in orders.items() if each != name}
    kind, key = kind_and_key(entry["client_id"])
    quantity = number(entry["quantity"])
    known = orders.get(name)
    order = SeenOrder(
        order_id=entry["client_id"],
        side=side_of(entry),
        kind=kind,
        key=key,
        type=entry["type"],
        price=number(entry.get("price")) or number(entry.get("stop_price")),
        leaves=quantity - number(entry.get("filled")),
        closes=closes(entry),
        whole=quantity == 0,
        since_ms=known.since_ms if known else entry["at_ms"],
    )
    return orders | {name: order}


def _with_fill(lots: dict[str, Decimal], entry: Entry) -> dict[str, Decimal]:
    kind, key = kind_and_key(entry["client_id"])
    if kind == "E":
        return lots | {key: lots.get(key, ZERO) + number(entry["quantity"])}
    if key in lots:
        return lots | {key: lots[key] - number(entry["quantity"])}
    return lots
