"""What a trader did, by the journal in its state folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.handoff.reporting.journal_entries import (
    JournalEntry,
    OrderEnded,
    OrderFill,
    OrderOpened,
    StateEntered,
    journal_path,
    read_journal,
)
from warmup_job.market.times import utc_text
from warmup_job.modes import Mode

MODES: tuple[Mode, ...] = ("live", "paper")


class ShownOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order at one price, for as long as it was open there. Times are UTC ms."""

    from_ms: int
    to_ms: int | None
    """None: it is open, as far as the journal goes."""
    side: str
    book: str
    price: float
    quantity: str
    closes: bool


class ShownFill(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A trade."""

    at_ms: int
    side: str
    book: str
    price: float
    quantity: str
    fee: str
    maker: bool
    closes: bool


class ShownState(msgspec.Struct, frozen=True, rename="camel"):
    """The trader has entered this state."""

    at_ms: int
    state: str
    why: str


class TraderTrace(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is drawn of a trader; orders and fills by instrument."""

    text: str
    states: list[ShownState]
    orders: dict[str, list[ShownOrder]]
    fills: dict[str, list[ShownFill]]

    def last_ms(self, instrument: str) -> int | None:
        """Return when the newest fill or order of an instrument was; None: there is none."""
        times = [each.at_ms for each in self.fills.get(instrument, ())]
        times += [each.to_ms or each.from_ms for each in self.orders.get(instrument, ())]
        return max(times, default=None)


def read_trace(state_dir: Path) -> TraderTrace:
    """Read the newest journal in a trader's state folder.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    try:
        ages = {
            mode: journal_path(state_dir, mode).stat().st_mtime_ns
            for mode in MODES
            if journal_path(state_dir, mode).exists()
        }
        if not ages:
            raise ConfigError(
                f"--state {state_dir}: no trader has kept a journal there: name the "
                "trade.state_dir of a trader of this version"
            )
        mode = max(ages, key=lambda each: ages[each])
        return trace_of(read_journal(state_dir, mode), mode)
    except OSError as error:
        raise ConfigError(f"--state {state_dir} cannot be read: {error.strerror}") from None


def trace_of(entries: list[JournalEntry], mode: Mode) -> TraderTrace:
    """Turn a journal's lines into what is drawn."""
    states: list[ShownState] = []
    orders: dict[str, list[ShownOrder]] = {}
    fills: dict[str, list[ShownFill]] = {}
    begun: dict[str, OrderOpened] = {}
    seen: set[tuple[str, str]] = set()

    def end(name: str, at_ms: int | None) -> None:
        order = begun.pop(name, None)
        if order is not None and order.price:
            orders.setdefault(order.instrument, []).append(
                ShownOrder(
                    from_ms=order.at_ms, to_ms=at_ms, side=order.side, book=order.book,
                    price=float(order.price), quantity=order.quantity, closes=order.closes,
                )
            )  # fmt: skip

    for entry in entries:
        if isinstance(entry, StateEntered):
            states.append(ShownState(entry.at_ms, entry.state, entry.why))
        elif isinstance(entry, OrderOpened):
            end(entry.order, entry.at_ms)
            begun[entry.order] = entry
        elif isinstance(entry, OrderEnded):
            end(entry.order, entry.at_ms)
        elif isinstance(entry, OrderFill) and (entry.order, entry.trade) not in seen:
            seen.add((entry.order, entry.trade))  # a restart reports older trades again
            fills.setdefault(entry.instrument, []).append(
                ShownFill(
                    at_ms=entry.at_ms, side=entry.side, book=entry.book, price=float(entry.price),
                    quantity=entry.quantity, fee=entry.fee, maker=entry.maker, closes=entry.closes,
                )
            )  # fmt: skip
    for name in list(begun):
        end(name, None)
    newest = f"{states[-1].state} since {utc_text(states[-1].at_ms)}" if states else "not started"
    return TraderTrace(text=f"{mode}, {newest}", states=states, orders=orders, fills=fills)
