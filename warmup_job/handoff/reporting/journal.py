"""Keeps what a trader did, for people who look at it later: states, orders, fills."""

from __future__ import annotations

import contextlib
import os
import queue
import threading

import msgspec
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.common.component import MessageBus
from nautilus_trader.model.enums import LiquiditySide, OrderSide
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderUpdated,
)
from nautilus_trader.model.identifiers import PositionId

from warmup_job.handoff.reporting.journal_entries import (
    MOST_JOURNAL_BYTES,
    BookName,
    JournalEntry,
    OrderEnded,
    OrderEnding,
    OrderFill,
    OrderOpened,
    OrderSideName,
    StateEntered,
    journal_path,
    older_journal_path,
)
from warmup_job.handoff.state_dir import StateDir
from warmup_job.market.times import NS_PER_MS
from warmup_job.snapshot.durable import FILE_MODE

_LAST_S = 1.0
_MOST_WAITING = 10_000  # lines; a disk that hangs must not fill the memory
_ENDS: dict[type[OrderEvent], OrderEnding] = {
    OrderCanceled: "canceled",
    OrderExpired: "expired",
    OrderRejected: "rejected",
}


class Journal:
    """Appends lines in a thread, so that the disk delays no event.

    It is no part of the trader's state: nothing reads it back, it is not fsynced, and a line that
    cannot be written is lost.

    Args:
        state_dir: the trader's folder; None: nothing is kept.
        most_bytes: a longer file is renamed.
    """

    def __init__(self, state_dir: StateDir | None, most_bytes: int = MOST_JOURNAL_BYTES) -> None:
        self._state_dir = state_dir if state_dir is not None and state_dir.usable else None
        self._most_bytes = most_bytes
        self._lines: queue.Queue[JournalEntry | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._cache: CacheFacade | None = None

    def attach(self, msgbus: MessageBus, cache: CacheFacade) -> None:
        """Keep the order events of this message bus.

        Args:
            msgbus: the node's.
            cache: the node's, which has the orders.
        """
        if self._state_dir is None:
            return
        self._cache = cache
        self._thread.start()
        msgbus.subscribe(topic="events.order.*", handler=self.take)

    def enter(self, state: str, why: str, at_ms: int) -> None:
        """Keep that the trader has entered a state."""
        self._put(StateEntered(at_ms, state, why))

    def take(self, event: OrderEvent) -> None:
        """Keep an event of an order. Any thread may call it."""
        for entry in self._entries(event):
            self._put(entry)

    def close(self) -> None:
        """Wait a moment until all lines are written."""
        if self._thread.is_alive():
            try:
                self._lines.put(None, timeout=_LAST_S)
            except queue.Full:
                return
            self._thread.join(_LAST_S)

    def _put(self, entry: JournalEntry) -> None:
        if self._state_dir is not None:
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(entry)

    def _entries(self, event: OrderEvent) -> list[JournalEntry]:
        cache = self._cache
        order = None if cache is None else cache.order(event.client_order_id)
        at_ms, name = event.ts_event // NS_PER_MS, str(event.client_order_id)
        if type(event) in _ENDS:
            return [OrderEnded(at_ms, name, _ENDS[type(event)])]
        if (
            cache is None
            or order is None
            or not isinstance(event, OrderAccepted | OrderUpdated | OrderFilled)
        ):
            return []
        side: OrderSideName = "BUY" if order.side == OrderSide.BUY else "SELL"
        instrument = str(event.instrument_id)
        if isinstance(event, OrderFilled):
            book = _book(event.position_id)
            entries: list[JournalEntry] = [
                OrderFill(
                    at_ms, name, str(event.trade_id), instrument, side, book,
                    str(event.last_px), str(event.last_qty), str(event.commission),
                    event.liquidity_side == LiquiditySide.MAKER,
                    order.is_reduce_only or _closes(book, side),
                )
            ]  # fmt: skip
            return entries + ([OrderEnded(at_ms, name, "filled")] if order.is_closed else [])
        book = _book(cache.position_id(event.client_order_id))
        price = order.price if order.has_price else None
        if price is None and order.has_trigger_price:
            price = order.trigger_price
        return [
            OrderOpened(
                at_ms, name, instrument, side, book, order.type_string(),
                "" if price is None else str(price), str(order.quantity),
                order.is_reduce_only or _closes(book, side),
            )
        ]  # fmt: skip

    def _run(self) -> None:
        while True:
            waiting = [self._lines.get()]
            while not self._lines.empty() and len(waiting) < _MOST_WAITING:
                waiting.append(self._lines.get_nowait())
            self._append([entry for entry in waiting if entry is not None])
            if None in waiting:
                return

    def _append(self, entries: list[JournalEntry]) -> None:
        if self._state_dir is None or not entries:
            return
        path = journal_path(self._state_dir.path, self._state_dir.mode)
        data = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, FILE_MODE), "ab") as file:
                size = os.fstat(file.fileno()).st_size
                if size and os.pread(file.fileno(), 1, size - 1) != b"\n":  # cut off by a crash
                    data = b"\n" + data
                file.write(data)
            if size + len(data) > self._most_bytes:
                path.replace(older_journal_path(path))
        except OSError as error:
            self._state_dir.failed(str(path), f"cannot be written ({error.strerror})")
        else:
            self._state_dir.worked(str(path))


def _book(position_id: PositionId | None) -> BookName:
    ending = str(position_id).rpartition("-")[2]
    return "LONG" if ending == "LONG" else "SHORT" if ending == "SHORT" else ""


def _closes(book: BookName, side: OrderSideName) -> bool:
    return (book, side) in {("LONG", "SELL"), ("SHORT", "BUY")}
