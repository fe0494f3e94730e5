"""The reason why the grid cannot send a single entry, with the setting to change. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from nautilus_trader.model.instruments import Instrument

from warmup_job.hedge_grid.caps import Caps, rungs_within_caps
from warmup_job.hedge_grid.ladder import (
    BOOKS,
    Book,
    GridSettings,
    Rung,
    levels_in_regime,
    min_rung_quantity,
)
from warmup_job.regime.detector import Regime


class NoEntries(NamedTuple):
    """Why no entry can be sent."""

    kind: str
    """Identifies the reason while the numbers in ``text`` change with the price."""
    text: str
    is_wanted: bool = False
    """Whether the configuration asks for it, so that nothing is wrong."""


def explain_no_entries(
    ladder: Sequence[Rung],
    caps: Caps,
    settings: GridSettings,
    instrument: Instrument,
    regime: Regime,
    size_factors: Mapping[Book, Decimal],
    oversized: Sequence[str] = (),
) -> NoEntries | None:
    """Return why no rung could be sent even without any position; None if one could.

    Args:
        ladder: The whole ladder that `build_ladder` makes of the other arguments.
        caps: The current caps.
        settings: The ladder's settings.
        instrument: The traded instrument.
        regime: The current regime.
        size_factors: The funding factors of each book.
        oversized: The orders that are too small or too large, see
            `warmup_job.hedge_grid.order_sizes.size_problems`.
    """
    if not ladder:
        return _explain_empty_ladder(settings, regime, size_factors, oversized)
    if rungs_within_caps(ladder, {}, caps):
        return None
    quote, base = instrument.quote_currency.code, instrument.base_currency.code
    if caps.equity is not None and caps.equity <= 0:
        return NoEntries(
            "equity",
            f"the account has no {quote}: deposit some (in paper mode, set "
            "trade.starting_balances)",
        )
    first = ladder[0]
    quantity = first.quantity.as_decimal()
    order = f"the smallest order is {_plain(quantity)} {base}, worth {first.notional:.2f} {quote}"
    if quantity <= min_rung_quantity(instrument, first.price.as_decimal(), settings.exits):
        order += " (the exchange's minimum)"
        alternative = ""  # a smaller base_qty would not help
    else:
        alternative = " or lower base_qty"
    if caps.quantity is not None and quantity > caps.quantity:
        key, verb = "max_position_size", "raise"
        limit = f"{_plain(caps.quantity)} {base} per book"
    elif first.notional > caps.quote:
        key = caps.quote_key
        verb = "lower" if key == "emergency_liquidation_buffer" else "raise"
        limit = f"{caps.quote:.2f} {quote} per book"
    else:
        key, verb = caps.gross_key, "raise"
        limit = f"{caps.gross or 0:.2f} {quote} for the nearest orders of both books together"
    if caps.equity is not None and key not in ("max_position_size", "max_inventory_quote"):
        limit += f" at an equity of {caps.equity:.2f} {quote}"
    return NoEntries(key, f"{order}; {key} allows {limit}: {verb} it{alternative}")


def _explain_empty_ladder(
    settings: GridSettings,
    regime: Regime,
    size_factors: Mapping[Book, Decimal],
    oversized: Sequence[str],
) -> NoEntries | None:
    levels = {book: levels_in_regime(book, regime, settings) for book in BOOKS}
    wanted = [book for book in BOOKS if levels[book][0] and levels[book][1] > 0]
    if not wanted:
        return NoEntries(
            "policy",
            f"policy {settings.policy} has none in regime {regime.value} (counter_levels "
            f"{settings.counter_levels}, counter_qty_scale {settings.counter_qty_scale})",
            is_wanted=True,
        )
    if all(size_factors.get(book, Decimal(1)) <= 0 for book in wanted):
        return NoEntries("funding", "funding costs more than funding_max_cost_bps", is_wanted=True)
    if oversized:
        return NoEntries("minimum", "; ".join(oversized))
    return NoEntries(
        "instrument",
        "the first order exceeds the exchange's largest quantity, notional or price: lower "
        "base_qty or change grid_step_bps",
    )


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
