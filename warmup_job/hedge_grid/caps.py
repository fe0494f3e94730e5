"""How much may be held: which rungs may be sent so that all of them could be filled. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from warmup_job.hedge_grid.ladder import BOOKS, Book, Rung


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits of what is held and what waits to be: per book, and of both together."""

    quote: Decimal
    """Per book, quote currency."""
    quantity: Decimal | None = None
    """Per book, base currency."""
    gross: Decimal | None = None
    """Both books together, quote currency."""
    quote_key: str = "max_inventory_quote"
    """The key whose rule is the tightest of those that make ``quote``."""
    equity: Decimal | None = None
    """What they were reckoned from, quote currency; None: not from the equity."""


class Exposure(NamedTuple):
    """What a book holds, or would if what is on its way were filled."""

    quantity: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)

    def plus(self, quantity: Decimal, quote: Decimal) -> Exposure:
        """With that much more."""
        return Exposure(self.quantity + quantity, self.quote + quote)


def caps_of(
    *,
    equity: Decimal,
    account_leverage: Decimal,
    maintenance: Decimal,
    max_inventory_quote: Decimal,
    max_position_size: Decimal,
    max_position_pct: Decimal,
    max_leverage_used: Decimal,
    liquidation_buffer: Decimal,
) -> Caps:
    """The caps of an account with this equity (quote currency).

    Args:
        maintenance: the maintenance margin, a fraction of the notional.
        max_position_pct: the fraction of the equity that a book's margin may tie up.
        liquidation_buffer: how far, as a fraction of the price, a book's liquidation stays away,
            were it filled alone and the other book empty.
    """
    equity = max(equity, Decimal(0))
    rules = {
        "max_inventory_quote": max_inventory_quote,
        "max_position_pct": max_position_pct * equity * account_leverage,
        "emergency_liquidation_buffer": equity / (liquidation_buffer + maintenance),
    }
    tightest = min(rules, key=rules.__getitem__)
    return Caps(rules[tightest], max_position_size, max_leverage_used * equity, tightest, equity)


def rungs_within_caps(
    rungs: Iterable[Rung], exposure: Mapping[Book, Exposure], caps: Caps
) -> list[Rung]:
    """The rungs that fit, nearest first; beyond one that does not, its book gets none.

    Where both books want the same level and only one would fit, neither gets it: whoever was asked
    first would else hold more.
    """
    held = {book: exposure.get(book, Exposure()) for book in BOOKS}
    by_level: dict[int, list[Rung]] = {}
    for rung in rungs:
        by_level.setdefault(rung.level, []).append(rung)
    full: set[Book] = set()
    admitted = []
    for level in sorted(by_level):
        fitting = []
        for rung in by_level[level]:
            after = held[rung.book].plus(rung.quantity.as_decimal(), rung.notional)
            if _fits(after, caps) and rung.book not in full:
                fitting.append(rung)
            else:
                full.add(rung.book)
        gross = sum((each.quote for each in held.values()), Decimal(0))
        wanted = sum((rung.notional for rung in fitting), Decimal(0))
        if caps.gross is not None and gross + wanted > caps.gross:
            break
        for rung in fitting:
            held[rung.book] = held[rung.book].plus(rung.quantity.as_decimal(), rung.notional)
        admitted += fitting
    return admitted


def _fits(after: Exposure, caps: Caps) -> bool:
    return after.quote <= caps.quote and (caps.quantity is None or after.quantity <= caps.quantity)
