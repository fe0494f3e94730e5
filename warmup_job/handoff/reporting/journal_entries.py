"""The lines of a trader's journal, `<trade.state_dir>/<mode>.journal.jsonl`: JSON objects."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from warmup_job.modes import Mode
from warmup_job.snapshot.durable import read_regular_file
from warmup_job.snapshot.manifest import Moment

MOST_JOURNAL_BYTES = 16 << 20
"""A longer journal is renamed to `….jsonl.1`, which replaces the one before."""

OrderSideName = Literal["BUY", "SELL"]
OrderEnding = Literal["filled", "canceled", "expired", "rejected"]
BookName = Literal["LONG", "SHORT", ""]
PriceText = Annotated[str, Meta(pattern=r"^([0-9]{1,30}(\.[0-9]{1,30})?)?\Z")]
"""A decimal, or empty."""


class StateEntered(msgspec.Struct, frozen=True, tag="state", tag_field="event"):
    """The trader has entered a state (see `Report.state`). Times are UTC ms."""

    at_ms: Moment
    state: str
    why: str


class OrderOpened(msgspec.Struct, frozen=True, tag="order", tag_field="event"):
    """The exchange has accepted an order, or its new price or quantity."""

    at_ms: Moment
    order: str
    instrument: str
    side: OrderSideName
    book: BookName
    """The side of a hedge; empty on one-way accounts."""
    type: str
    price: PriceText
    """Of a stop its trigger price; empty: it has none."""
    quantity: str
    closes: bool
    """Whether it closes a position."""


class OrderFill(msgspec.Struct, frozen=True, tag="fill", tag_field="event"):
    """A trade of an order."""

    at_ms: Moment
    order: str
    trade: str
    instrument: str
    side: OrderSideName
    book: BookName
    price: PriceText
    quantity: str
    fee: str
    maker: bool
    closes: bool


class OrderEnded(msgspec.Struct, frozen=True, tag="end", tag_field="event"):
    """An order is no longer open."""

    at_ms: Moment
    order: str
    how: OrderEnding


JournalEntry = StateEntered | OrderOpened | OrderFill | OrderEnded


def journal_path(state_dir: Path, mode: Mode) -> Path:
    """Return where the journal is."""
    return state_dir / f"{mode}.journal.jsonl"


def older_journal_path(path: Path) -> Path:
    """Return where the lines are that were before those of ``path``."""
    return path.with_name(path.name + ".1")


def read_journal(state_dir: Path, mode: Mode) -> list[JournalEntry]:
    """Read a journal; a line that is not whole, as after a crash, is passed over.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    path = journal_path(state_dir, mode)
    texts = [read_regular_file(path, 2 * MOST_JOURNAL_BYTES)]
    with contextlib.suppress(FileNotFoundError):  # it has not been that long yet
        texts.insert(0, read_regular_file(older_journal_path(path), 2 * MOST_JOURNAL_BYTES))
    decoder = msgspec.json.Decoder(JournalEntry)
    entries: list[JournalEntry] = []
    for line in b"".join(texts).splitlines():
        try:
            entries.append(decoder.decode(line))
        except ValueError:
            continue
    return entries
