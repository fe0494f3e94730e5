"""The grid's ladder: a pure function of (mid, settings, instrument limits)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

Book = Literal["LONG", "SHORT"]
_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the instrument allows: tick and step sizes, smallest quantity and notional."""

    tick: Decimal
    step: Decimal
    min_quantity: Decimal
    min_notional: Decimal


class Rung(NamedTuple):
    """One limit order to have: ``level`` counts from 1 away from the mid."""

    book: Book
    level: int
    price: Decimal
    quantity: Decimal


def build_ladder(
    mid: Decimal,
    *,
    step_bps: Decimal,
    levels: dict[Book, int],
    base_qty: Decimal,
    qty_scale: Decimal,
    limits: Limits,
) -> list[Rung]:
    """Buy rungs below the mid (LONG) and sell rungs above it (SHORT), in geometric steps.

    Level k stands at mid · (1 ∓ step)^k with base_qty · qty_scale^(k−1). Prices are rounded away
    from the mid to the tick, quantities down to the step; what is below the instrument's least
    quantity or notional is raised to it.
    """
    rungs = []
    for book, count in levels.items():
        ratio = 1 - step_bps / _BPS if book == "LONG" else 1 + step_bps / _BPS
        rounding = ROUND_FLOOR if book == "LONG" else ROUND_CEILING
        for level in range(1, count + 1):
            price = to_multiple(mid * ratio**level, limits.tick, rounding)
            if price <= 0:
                break
            wanted = to_multiple(base_qty * qty_scale ** (level - 1), limits.step, ROUND_FLOOR)
            least = to_multiple(limits.min_notional / price, limits.step, ROUND_CEILING)
            rungs.append(Rung(book, level, price, max(wanted, least, limits.min_quantity)))
    return rungs


def take_profit_price(
    book: Book, entry: Decimal, *, step_bps: Decimal, tp_steps: int, tick: Decimal
) -> Decimal:
    """Where a filled rung is closed: ``tp_steps`` grid steps in its favour, rounded outwards."""
    if book == "LONG":
        return to_multiple(entry * (1 + step_bps / _BPS) ** tp_steps, tick, ROUND_CEILING)
    return to_multiple(entry * (1 - step_bps / _BPS) ** tp_steps, tick, ROUND_FLOOR)


def to_multiple(value: Decimal, unit: Decimal, rounding: str) -> Decimal:
    """``value`` rounded to a multiple of ``unit``, in the unit's own decimals."""
    return (value / unit).to_integral_value(rounding) * unit
