"""Why a grid that may trade cannot send a single order: said once, with what to change. Pure."""

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
    """A reason: ``kind`` tells it from others while its numbers move with the price."""

    kind: str
    text: str
    is_wanted: bool = False
    """Whether the configuration asks for it: nothing is wrong."""


def explain_no_entries(
    ladder: Sequence[Rung],
    caps: Caps,
    settings: GridSettings,
    instrument: Instrument,
    regime: Regime,
    shares: Mapping[Book, Decimal],
) -> NoEntries | None:
    """Why none of the ladder's orders could leave, though nothing is held; None: one could.

    Args:
        ladder: all of it, as `build_ladder` makes it of the other arguments.
    """
    if not ladder:
        return _why_empty(settings, regime, shares)
    if rungs_within_caps(ladder, {}, caps):
        return None
    quote, base = instrument.quote_currency.code, instrument.base_currency.code
    if caps.equity is not None and caps.equity <= 0:
        return NoEntries(
            "equity",
            f"the account has no {quote} to trade with: transfer some (on paper, set "
            "trade.starting_balances)",
        )
    first = ladder[0]
    quantity = first.quantity.as_decimal()
    least = min_rung_quantity(instrument, first.price.as_decimal(), settings)
    order = f"the smallest order is {_plain(quantity)} {base}, worth {first.notional:.2f} {quote}"
    if quantity <= least:  # the exchange's own: a smaller base_qty would not help
        order += ", the least that the exchange takes"
        remedy = "raise it"
    else:
        remedy = "raise it, or lower base_qty"
    if caps.quantity is not None and quantity > caps.quantity:
        return NoEntries(
            "max_position_size",
            f"{order}; max_position_size allows {_plain(caps.quantity)} {base}: {remedy}",
        )
    of = "" if caps.equity is None else f" of an equity of {caps.equity:.2f}"
    if first.notional > caps.quote:
        key = caps.quote_key
        if key == "emergency_liquidation_buffer":
            remedy = remedy.replace("raise", "lower", 1)
        of = "" if key == "max_inventory_quote" else of
        return NoEntries(
            key, f"{order}; {key} allows {caps.quote:.2f} {quote} a book{of}: {remedy}"
        )
    return NoEntries(
        "max_leverage_used",
        f"{order}; max_leverage_used allows {caps.gross or 0:.2f} {quote} for both books together"
        f"{of}, which is less than the nearest orders of both: {remedy}",
    )


def _why_empty(
    settings: GridSettings, regime: Regime, shares: Mapping[Book, Decimal]
) -> NoEntries | None:
    thin = {book: levels_in_regime(book, regime, settings) for book in BOOKS}
    wanted = [book for book in BOOKS if thin[book][0] and thin[book][1] > 0]
    if not wanted:
        return NoEntries(
            "policy",
            f"in regime {regime.value} policy {settings.policy} has none (counter_levels "
            f"{settings.counter_levels}, counter_qty_scale {settings.counter_qty_scale})",
            is_wanted=True,
        )
    if all(shares.get(book, Decimal(1)) <= 0 for book in wanted):
        return NoEntries("funding", "funding costs more than funding_max_cost_bps", is_wanted=True)
    return NoEntries(
        "instrument",
        "even the first order is beyond the exchange's largest quantity, notional or price: lower "
        "base_qty, or choose another grid_step_bps",
    )


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
