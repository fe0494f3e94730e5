"""The ladder of limit orders around the centre, and the sizes that the instrument allows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

import msgspec
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity

from warmup_job.catalog.instruments import largest_market_order
from warmup_job.regime.detector import Regime

Book = Literal["LONG", "SHORT"]
"""The long or the short position of the instrument (hedge mode), with its orders."""
BOOKS: tuple[Book, Book] = ("LONG", "SHORT")
BPS = Decimal(10_000)
PolicyName = Literal["core-and-scalp", "throttled-counter"]
MOST_RAISED = 2
"""An order may be this many times its configured quantity to reach the exchange's minimum."""


class ExitSteps(NamedTuple):
    """Where a lot's exits are, in grid steps from its entry price."""

    step_bps: Decimal
    tp_steps: int
    sl_steps: int

    def describe(self) -> str:
        """Return the settings under their names in the strategy file."""
        return f"grid_step_bps {self.step_bps}, tp_steps {self.tp_steps}, sl_steps {self.sl_steps}"


class GridSettings(msgspec.Struct, frozen=True):
    """Settings of ladder and exits: steps in bps of the price, quantities in base currency."""

    step_bps: Decimal
    levels_long: int
    levels_short: int
    base_qty: Decimal
    qty_scale: Decimal
    """Each level's quantity is this many times that of the level before it."""
    tp_steps: int
    sl_steps: int
    policy: PolicyName
    counter_levels: int
    counter_qty_scale: Decimal
    min_order_quote: Decimal = Decimal(0)
    """An entry that is worth less is not sent, quote currency."""
    max_order_quote: Decimal | None = None
    """An entry that is worth more is not sent, quote currency."""

    def takes_value(self, value: Decimal) -> bool:
        """Return whether an entry may be worth this much, quote currency."""
        most = self.max_order_quote
        return value >= self.min_order_quote and (most is None or value <= most)

    def configured_quantity(self, level: int) -> Decimal:
        """Return a level's quantity before policy, funding and the exchange's minimum."""
        return self.base_qty * self.qty_scale ** (level - 1)

    @property
    def exits(self) -> ExitSteps:
        """The exits of new lots."""
        return ExitSteps(self.step_bps, self.tp_steps, self.sl_steps)


class Rung(NamedTuple):
    """One limit order of the ladder; ``level`` counts from 1, away from the centre."""

    book: Book
    level: int
    price: Price
    quantity: Quantity

    @property
    def notional(self) -> Decimal:
        """Price times quantity, quote currency."""
        return Decimal(self.price.as_decimal() * self.quantity.as_decimal())


class LadderCenter(msgspec.Struct):
    """The price that the ladder is built around."""

    trigger_bps: float
    """How far the market may move away from it, bps."""
    price: Decimal | None = None

    def follow(self, mid: Decimal) -> Decimal:
        """Move the centre to the market's middle price if that is too far away; return it."""
        price = self.price
        if price is None or abs(mid - price) / price * BPS > self.trigger_bps:
            price = self.price = mid
        return price


def build_ladder(
    center: Decimal,
    regime: Regime,
    settings: GridSettings,
    instrument: Instrument,
    size_factors: Mapping[Book, Decimal] | None = None,
) -> list[Rung]:
    """Build the ladder: buys below the centre (LONG) and sells above it (SHORT).

    Level k is at center · (1 ∓ step)^k with the quantity base_qty · qty_scale^(k−1). Prices are
    rounded to the tick, away from the centre; quantities are rounded down to the step and raised
    to the instrument's minimum, which also covers the rung's exits. A book ends before the first
    rung that exceeds the instrument's largest price, quantity or notional, that would have to be
    raised to more than `MOST_RAISED` times its configured quantity, or that is worth less or more
    than the settings allow.

    Args:
        center: The grid's centre price.
        regime: The market regime; it selects the levels by the policy.
        settings: The ladder's settings.
        instrument: Tick, step and limits.
        size_factors: Factors for the quantities, 0 to 1 (funding); a book at 0 has no rungs.
    """
    rungs = []
    for book in BOOKS:
        levels, scale = levels_in_regime(book, regime, settings)
        scale *= (size_factors or {}).get(book, Decimal(1))
        for level in range(1, levels + 1 if scale > 0 else 1):
            price = rung_price(center, book, level, settings, instrument)
            if price <= 0 or not _takes_price(instrument, price):
                break
            configured = settings.configured_quantity(level)
            quantity = order_quantity(instrument, configured * scale, price, settings.exits)
            if quantity > MOST_RAISED * configured or not _takes(instrument, quantity, price):
                break
            if not settings.takes_value(quantity * price):
                break
            rungs.append(
                Rung(book, level, instrument.make_price(price), instrument.make_qty(quantity))
            )
    return rungs


def levels_in_regime(book: Book, regime: Regime, settings: GridSettings) -> tuple[int, Decimal]:
    """Return a book's number of levels in this regime, and the factor for their quantities."""
    levels = settings.levels_long if book == "LONG" else settings.levels_short
    if regime is Regime.SIDEWAYS:
        return levels, Decimal(1)
    against = book == ("SHORT" if regime is Regime.UP else "LONG")
    if against or settings.policy == "core-and-scalp":
        return min(levels, settings.counter_levels), settings.counter_qty_scale
    return levels, Decimal(1)


def is_on_maker_side(rung: Rung, mid: Decimal) -> bool:
    """Return whether an order at the rung would rest in the order book instead of filling."""
    price = rung.price.as_decimal()
    return bool(price < mid if rung.book == "LONG" else price > mid)


def step_ratio(step_bps: Decimal, *, up: bool) -> Decimal:
    """Return the factor by which one grid step changes a price."""
    return 1 + step_bps / BPS if up else 1 - step_bps / BPS


def min_order_quantity(instrument: Instrument) -> Decimal:
    """Return the instrument's smallest order quantity, regardless of its notional."""
    step, least = instrument.size_increment.as_decimal(), instrument.min_quantity
    return Decimal(step if least is None else max(step, least.as_decimal()))


def min_rung_quantity(instrument: Instrument, price: Decimal, exits: ExitSteps) -> Decimal:
    """Return the smallest quantity whose entry and exits all have the minimum notional."""
    if instrument.min_notional is None:
        return min_order_quantity(instrument)
    steps = max(exits.tp_steps, exits.sl_steps)
    lowest = price * step_ratio(exits.step_bps, up=False) ** steps
    # A take profit is rounded by up to one tick.
    lowest = max(lowest - instrument.price_increment.as_decimal(), lowest / 2)
    notional = instrument.min_notional.as_decimal() / lowest
    step = instrument.size_increment.as_decimal()
    return max(min_order_quantity(instrument), to_multiple(notional, step, ROUND_CEILING))


def order_quantity(
    instrument: Instrument, wanted: Decimal, price: Decimal, exits: ExitSteps
) -> Decimal:
    """Round a quantity down to the step, and raise it to the smallest one for this price."""
    step = instrument.size_increment.as_decimal()
    least = min_rung_quantity(instrument, price, exits)
    return max(to_multiple(wanted, step, ROUND_FLOOR), least)


def rung_price(
    center: Decimal, book: Book, level: int, settings: GridSettings, instrument: Instrument
) -> Decimal:
    """Return the price of a level, rounded to the tick, away from the centre."""
    ratio = step_ratio(settings.step_bps, up=book == "SHORT")
    rounding = ROUND_CEILING if book == "SHORT" else ROUND_FLOOR
    return to_multiple(center * ratio**level, instrument.price_increment.as_decimal(), rounding)


def to_multiple(value: Decimal, unit: Decimal, rounding: str) -> Decimal:
    """Round ``value`` to a multiple of ``unit``, with the unit's decimals."""
    return (value / unit).to_integral_value(rounding) * unit


def half_step(price: Decimal, step_bps: Decimal) -> Decimal:
    """Return how far from a price the half of a grid step is; nearer orders are on one rung."""
    return price * step_bps / BPS / 2


def round_down(value: Decimal, unit: Decimal) -> Decimal:
    """Return the largest multiple of ``unit`` that is not larger than ``value``."""
    return to_multiple(value, unit, ROUND_FLOOR)


def _takes(instrument: Instrument, quantity: Decimal, price: Decimal) -> bool:
    """Return whether an order is not too large; a lot may have to be closed at market."""
    notional = instrument.max_notional
    return quantity <= largest_market_order(instrument) and (
        notional is None or quantity * price <= notional.as_decimal()
    )


def _takes_price(instrument: Instrument, price: Decimal) -> bool:
    least, most = instrument.min_price, instrument.max_price
    return (least is None or price >= least.as_decimal()) and (
        most is None or price <= most.as_decimal()
    )
