"""Which orders are too small or too large, and what the exchange's minimum undoes. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from nautilus_trader.model.instruments import Instrument

from warmup_job.hedge_grid.ladder import (
    BOOKS,
    MOST_RAISED,
    Book,
    GridSettings,
    min_rung_quantity,
    order_quantity,
    rung_price,
    to_multiple,
)

_NOTABLE = Decimal("1.05")
"""An order that is so many times as large as configured is worth a warning."""


class RungSize(NamedTuple):
    """The size of one order of the whole ladder."""

    book: Book
    level: int
    price: Decimal
    configured: Decimal
    """Base currency."""
    least: Decimal
    """The exchange's minimum for the order and its exits, base currency."""
    sent: Decimal
    """Base currency."""

    @property
    def value(self) -> Decimal:
        """What the order is worth, quote currency."""
        return self.price * self.sent

    @property
    def is_raised(self) -> bool:
        """Whether the order is larger than configured."""
        return self.sent > self.configured

    @property
    def is_oversized(self) -> bool:
        """Whether the order would be so much larger that it is not sent."""
        return self.sent > MOST_RAISED * self.configured

    def describe(self) -> str:
        """Return the sizes for a log."""
        times = self.sent / self.configured
        return (
            f"{self.book} {self.level} from {_plain(self.configured)} to {_plain(self.sent)} "
            f"({times:.2f} times)"
        )


def rung_sizes(center: Decimal, settings: GridSettings, instrument: Instrument) -> list[RungSize]:
    """Return the sizes of the whole ladder around ``center``, before policy and funding."""
    sizes = []
    for book in BOOKS:
        for level in range(1, _levels(settings, book) + 1):
            price = rung_price(center, book, level, settings, instrument)
            if price <= 0:
                break
            configured = settings.configured_quantity(level)
            sizes.append(
                RungSize(
                    book,
                    level,
                    price,
                    configured,
                    min_rung_quantity(instrument, price, settings.exits),
                    order_quantity(instrument, configured, price, settings.exits),
                )
            )
    return sizes


def size_problems(center: Decimal, settings: GridSettings, instrument: Instrument) -> list[str]:
    """Return why the ladder's sizes cannot be traded, one line each; empty if they can."""
    sizes = rung_sizes(center, settings, instrument)
    problems = _value_problems(sizes, settings, instrument)
    large = [size for size in sizes if size.is_oversized]
    if not large:
        return problems
    worst = max(large, key=lambda size: size.sent / size.configured)
    base = instrument.base_currency.code
    problem = (
        f"grid.base_qty {_plain(settings.base_qty)}: the exchange's minimum would raise "
        f"{len(large)} of {len(sizes)} orders to more than {MOST_RAISED} times their configured "
        f"size, {worst.describe()} {base} at a price of {_plain(worst.price)}: set it to at least "
        f"{_plain(_fitting_base(sizes, settings, instrument))}"
    )
    return [problem, *problems]


def _value_problems(
    sizes: list[RungSize], settings: GridSettings, instrument: Instrument
) -> list[str]:
    """Return which orders the venue file's section ``risk`` does not allow, one line per limit."""
    quote, most = instrument.quote_currency.code, settings.max_order_quote
    small = [size for size in sizes if size.value < settings.min_order_quote]
    large = [size for size in sizes if most is not None and size.value > most]
    lines = []
    if small:
        least = min(small, key=lambda size: size.value)
        lines.append(
            f"risk.min_order_size_usdt {_plain(settings.min_order_quote)}: {len(small)} of "
            f"{len(sizes)} orders are worth less, {least.book} {least.level} only "
            f"{least.value:.2f} {quote}: lower it or raise grid.base_qty"
        )
    if large and most is not None:
        greatest = max(large, key=lambda size: size.value)
        lines.append(
            f"risk.max_order_size_usdt {_plain(most)}: {len(large)} of {len(sizes)} orders are "
            f"worth more, {greatest.book} {greatest.level} even {greatest.value:.2f} {quote}: "
            "raise it or lower grid.base_qty"
        )
    return lines


class SizeNote(NamedTuple):
    """What the exchange's minimum changes in the ladder."""

    text: str
    is_unusual: bool = False
    """Whether orders are notably larger than configured; otherwise a setting has less effect."""


def size_notes(
    center: Decimal,
    settings: GridSettings,
    instrument: Instrument,
) -> list[SizeNote]:
    """Return what the exchange's minimum changes in the ladder, one line each.

    Args:
        center: The ladder's centre price.
        settings: The ladder's settings.
        instrument: The exchange's limits.
    """
    sizes = rung_sizes(center, settings, instrument)
    base = instrument.base_currency.code
    notes, lines = [], []
    raised = [size for size in sizes if size.is_raised]
    if raised:
        shown = ", ".join(size.describe() for size in raised[:3])
        more = f" and {len(raised) - 3} more" if len(raised) > 3 else ""
        text = (
            f"the exchange's minimum raises {len(raised)} of {len(sizes)} orders: {shown}{more} "
            f"{base}: with grid.base_qty {_plain(_fitting_base(sizes, settings, instrument))} none "
            "is raised"
        )
        most = max(size.sent / size.configured for size in raised)
        notes.append(SizeNote(text, is_unusual=most > _NOTABLE))
    lines += _qty_scale_warning(sizes, settings, base)
    scale = settings.counter_qty_scale
    if settings.counter_levels and 0 < scale < 1:
        less = [size for size in sizes if size.level <= settings.counter_levels]
        kept = [size for size in less if size.least >= size.sent]
        partly = [
            size for size in less if size not in kept and size.least > size.configured * scale
        ]
        if kept:
            lines.append(
                f"policy.counter_qty_scale {_plain(scale)} has no effect on {len(kept)} of "
                f"{len(less)} orders: they have the exchange's minimum without it"
            )
        if partly:
            lines.append(
                f"policy.counter_qty_scale {_plain(scale)} has less effect on {len(partly)} of "
                f"{len(less)} orders: the exchange's minimum is more than that share of them"
            )
    kept = [size for size in sizes if size.least >= size.sent]
    if kept:
        lines.append(
            f"funding cannot shrink {len(kept)} of {len(sizes)} orders, because they have the "
            "exchange's minimum: they stay whole until funding costs funding_max_cost_bps"
        )
    return [*notes, *map(SizeNote, lines)]


def _qty_scale_warning(sizes: list[RungSize], settings: GridSettings, base: str) -> list[str]:
    """Return that ``qty_scale`` makes no order larger or smaller than the first of its book."""
    first = {size.book: size.sent for size in sizes if size.level == 1}
    further = [size for size in sizes if size.level > 1]
    if settings.qty_scale == 1 or any(size.sent != first[size.book] for size in further):
        return []
    if not further:
        return [f"grid.qty_scale {_plain(settings.qty_scale)} has no effect on a single level"]
    line = (
        f"grid.qty_scale {_plain(settings.qty_scale)} has no effect: the quantity step and the "
        f"exchange's minimum make all {len(sizes)} orders {_plain(sizes[0].sent)} {base}"
    )
    return [line]


def _fitting_base(sizes: list[RungSize], settings: GridSettings, instrument: Instrument) -> Decimal:
    """Return the smallest base_qty with which no order is raised."""
    step = instrument.size_increment.as_decimal()
    least = max(size.least / settings.qty_scale ** (size.level - 1) for size in sizes)
    return to_multiple(least, step, ROUND_CEILING)


def _levels(settings: GridSettings, book: Book) -> int:
    return settings.levels_long if book == "LONG" else settings.levels_short


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
