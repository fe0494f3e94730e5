"""The strategy's saved state, and what it remembers of each lot. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from warmup_job.hedge_grid.account_result import AccountResult
from warmup_job.hedge_grid.ladder import Book, ExitSteps

STATE_VERSION = 2
_READABLE = (1, STATE_VERSION)
"""Version 1 has no lots, no fees and no account."""


class SavedLot(msgspec.Struct, frozen=True):
    """What a lot was created with. An open entry without a fill is saved too, with the quantity 0.

    So a lot is known even if its entry is filled while no trader runs, or right before a SIGKILL.
    """

    key: str
    book: Book
    entry: Decimal
    """Average price of the fills; for an entry without a fill, the order's price."""
    quantity: Decimal
    """The quantity that is still held, base currency."""
    step_bps: Decimal
    tp_steps: int
    sl_steps: int
    unfilled: Decimal = Decimal(0)
    """The part of its entry's order that was open, base currency."""
    exits: int = 0
    """The highest number in the order ids of its exits, so that none is used again."""

    @property
    def steps(self) -> ExitSteps:
        """Where its exits are."""
        return ExitSteps(self.step_bps, self.tp_steps, self.sl_steps)


class GridState(msgspec.Struct, frozen=True):
    """The strategy's saved state; prices and amounts in quote currency."""

    version: int
    center: Decimal | None
    capital: Decimal | None
    realised: Decimal
    peak: Decimal
    stopped: bool
    fees: Decimal = Decimal(0)
    lots: tuple[SavedLot, ...] = ()
    account: AccountResult | None = None
    """Live only."""
    breaker_until_ns: int = 0
    """Until when the circuit breaker is open, Unix ns; a past time means that it is closed."""


def decode_state(data: bytes) -> GridState:
    """Read a state of this or an earlier version.

    Raises:
        ValueError: It is not a state, or a later version has written it.
    """
    state = msgspec.json.decode(data, type=GridState)
    if state.version not in _READABLE:
        raise ValueError(f"the state has version {state.version}; this version reads 1 and 2")
    return state


def describe_old_exits(lots: Iterable[SavedLot], now: ExitSteps) -> str:
    """Return which lots keep exits of other steps than the file has now; empty if none does."""
    counts: dict[ExitSteps, int] = {}
    for lot in lots:
        if lot.quantity > 0 and lot.steps != now:
            counts[lot.steps] = counts.get(lot.steps, 0) + 1
    if not counts:
        return ""
    kept = "; ".join(f"{count} with {steps.describe()}" for steps, count in counts.items())
    return (
        f"the strategy file has other exits than some lots were opened with. These lots keep "
        f"theirs: {kept}. New lots use {now.describe()}"
    )


def by_key(lots: Iterable[SavedLot]) -> dict[str, SavedLot]:
    """Index lots by their key; a lot takes the unfilled part of its own entry."""
    found: dict[str, SavedLot] = {}
    for lot in sorted(lots, key=lambda lot: lot.quantity):
        entry = found.get(lot.key, lot)
        found[lot.key] = replace(lot, unfilled=max(lot.unfilled, entry.unfilled))
    return found


def filled_since(saved: SavedLot, unfilled: Decimal) -> SavedLot:
    """Return a lot with what its entry has filled since it was saved.

    Args:
        saved: The lot or entry.
        unfilled: The part of the entry's order that is open now; 0 if it is no longer open.
    """
    filled = max(saved.unfilled - unfilled, Decimal(0))
    return replace(saved, quantity=saved.quantity + filled, unfilled=unfilled)
