"""The strategy's saved state, and what it remembers of each lot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from warmup_job.hedge_grid.account_result import AccountResult
from warmup_job.hedge_grid.ladder import Book, ExitSteps

STATE_VERSION = 2
_READABLE = (1, STATE_VERSION)
"""Version 1 has no lots, no fees and no account."""


class SavedLot(msgspec.Struct, frozen=True):
    """What a lot was created with. An entry without a fill is saved too, with the quantity 0.

    So the entry price of a lot is known even if the process is killed right after the fill.
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


def by_key(lots: Iterable[SavedLot]) -> Mapping[str, SavedLot]:
    """Index lots by their key; a lot with a fill precedes its entry."""
    return {lot.key: lot for lot in sorted(lots, key=lambda lot: lot.quantity)}
