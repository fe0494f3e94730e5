"""Position limits, and the rungs that fit within them if all their orders fill. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from warmup_job.hedge_grid.grid_config import HedgeGridV1Config
from warmup_job.hedge_grid.ladder import BOOKS, Book, Rung


class Caps(msgspec.Struct, frozen=True):
    """Upper limits for positions plus open entries, per book and for both books together."""

    quote: Decimal
    """Per book, quote currency."""
    quantity: Decimal | None = None
    """Per book, base currency."""
    gross: Decimal | None = None
    """Both books together, quote currency."""
    quote_key: str = "max_inventory_quote"
    """The configuration key that sets ``quote``."""
    gross_key: str = "max_leverage_used"
    """What sets ``gross``: the configuration key, or ``leverage`` of the account."""
    equity: Decimal | None = None
    """The equity that the caps were computed from, quote currency; None: they ignore it."""


class Exposure(NamedTuple):
    """The size of a book, or its size if some orders fill."""

    quantity: Decimal = Decimal(0)
    """Base currency."""
    quote: Decimal = Decimal(0)
    """Quote currency."""

    def plus(self, quantity: Decimal, quote: Decimal) -> Exposure:
        """Return the exposure increased by these amounts."""
        return Exposure(self.quantity + quantity, self.quote + quote)


def caps_of(
    equity: Decimal, leverage: Decimal, maintenance: Decimal, config: HedgeGridV1Config
) -> Caps:
    """Compute the caps of an account.

    Args:
        equity: Balance plus unrealised result, quote currency; a negative one counts as 0.
        leverage: The account's leverage for the instrument.
        maintenance: The maintenance margin as a share of the notional.
        config: The limits. ``max_position_pct`` is the largest value of a book as a share of the
            equity, whatever the leverage. ``max_margin_pct`` replaces it: the share of the equity
            that a book's margin may use. ``emergency_liquidation_buffer`` is the least distance
            from the price to a book's liquidation price, as a share of the price, when only that
            book is filled. ``max_leverage_used`` limits both books together, as a multiple of the
            equity, and so does the account's leverage if that is lower.
    """
    equity = max(equity, Decimal(0))
    margin_pct = config.max_margin_pct
    limits = {
        "max_inventory_quote": config.max_inventory_quote,
        **(
            {"max_position_pct": config.max_position_pct * equity}
            if margin_pct is None
            else {"max_margin_pct": margin_pct * equity * leverage}
        ),
        "emergency_liquidation_buffer": equity
        / (config.emergency_liquidation_buffer + maintenance),
    }
    tightest = min(limits, key=limits.__getitem__)
    # Above equity times leverage Binance rejects an order for lack of margin (-2019).
    gross = min(config.max_leverage_used, leverage) * equity
    gross_key = "leverage" if leverage < config.max_leverage_used else "max_leverage_used"
    return Caps(limits[tightest], config.max_position_size, gross, tightest, gross_key, equity)


def describe_tighter_cap(
    equity: Decimal, leverage: Decimal, maintenance: Decimal, config: HedgeGridV1Config, quote: str
) -> str:
    """Return how ``max_position_pct`` limits a book more than it did in earlier versions.

    They multiplied it by the leverage. Empty: nothing changes for this account.

    Args:
        equity: As for `caps_of`.
        leverage: As for `caps_of`.
        maintenance: As for `caps_of`.
        config: The limits.
        quote: The quote currency's code.
    """
    if config.max_margin_pct is not None:
        return ""
    now = caps_of(equity, leverage, maintenance, config).quote
    as_margin = msgspec.structs.replace(config, max_margin_pct=config.max_position_pct)
    before = caps_of(equity, leverage, maintenance, as_margin).quote
    if before <= now:
        return ""
    return (
        f"max_position_pct {config.max_position_pct} limits each book to {now:.2f} {quote}, its "
        f"share of the equity of {equity:.2f} {quote}; earlier versions multiplied it by the "
        f"leverage and allowed {before:.2f} {quote}: set position.max_margin_pct to "
        f"{config.max_position_pct} to have that again"
    )


def rungs_within_caps(
    rungs: Iterable[Rung], exposure: Mapping[Book, Exposure], caps: Caps
) -> list[Rung]:
    """Return the rungs that fit, nearest level first.

    Once a rung does not fit, its book gets no further rungs. If the gross cap has no room for the
    rungs of both books at a level, neither gets one: no book takes precedence.

    Args:
        rungs: The rungs to admit.
        exposure: Positions and the open entries that stay.
        caps: The limits.
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
