"""HedgeGridV1 with a journal of its bars, positions and orders, for a test to read later."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import msgspec
from nautilus_trader.model.data import Bar
from nautilus_trader.model.identifiers import ClientOrderId

from warmup_job.catalog.nautilus_bars import interval_of, open_ms_of
from warmup_job.hedge_grid.ladder import BOOKS
from warmup_job.hedge_grid.strategy import HedgeGridV1, HedgeGridV1Config
from warmup_job.regime.detector import DetectorBar


class AuditedConfig(HedgeGridV1Config, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """HedgeGridV1's configuration and the path of the journal."""

    journal: str


class Audited(HedgeGridV1):
    """Writes one line per event; a line is written completely or not at all."""

    def __init__(self, config: AuditedConfig) -> None:
        super().__init__(config)
        self.interval = interval_of(config.bar_type)
        self.quotes = 0
        self.file = os.open(config.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, kind: str, **fields: Any) -> None:
        os.write(self.file, msgspec.json.encode({"kind": kind} | fields) + b"\n")

    def kept(self) -> dict[str, Any]:
        return dict(msgspec.json.decode(super().on_save()["grid"]))

    def on_load(self, state: dict[str, bytes]) -> None:
        super().on_load(state)
        self.note("loaded", kept=self.kept())

    def on_save(self) -> dict[str, bytes]:
        self.note("saved", kept=self.kept())
        return super().on_save()

    def warmup_regime_detector(self, historical_bars: Iterable[DetectorBar]) -> None:
        bars = list(historical_bars)
        for bar in bars:
            self.note("history", open_ms=self.interval.floor(bar.close_ms or 0))
        super().warmup_regime_detector(bars)

    def on_historical_data(self, data: object) -> None:
        if isinstance(data, Bar):
            self.note("history", open_ms=open_ms_of(data, self.interval))
        super().on_historical_data(data)

    def on_quote_tick(self, tick: Any) -> None:
        self.quotes += 1
        super().on_quote_tick(tick)

    def on_bar(self, bar: Bar) -> None:
        self.note("bar", open_ms=open_ms_of(bar, self.interval), quotes=self.quotes)
        self.look()
        super().on_bar(bar)

    def on_order_event(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        if order is None:
            return  # the strategy is still in its constructor
        price = order.price if order.has_price else getattr(order, "trigger_price", None)
        self.note(
            type(event).__name__, order_id=str(event.client_order_id), side=order.side_string(),
            price=str(price), reason=str(getattr(event, "reason", "")),
            post_only=bool(getattr(event, "due_post_only", False)),
        )  # fmt: skip
        super().on_order_event(event)

    def look(self) -> None:
        """Note open orders and positions from Nautilus' cache, before a bar changes anything."""
        waiting, leaving = self._orders.entries.open_entries()
        held = {book: self._orders.account.position(book) for book in BOOKS}
        self.note(
            "look",
            entries=[[each.book, str(each.price)] for each in waiting],
            quote={
                book: str(
                    held[book].quantity * held[book].price
                    + sum(e.leaves * e.price for e in (*waiting, *leaving) if e.book == book)
                )
                for book in BOOKS
            },
            held={book: str(held[book].quantity) for book in BOOKS},
            lots=[
                [lot.key, lot.book, str(lot.quantity),
                 {"S": self.open_of(lot.stops), "T": self.open_of([lot.target])}]
                for lot in self._orders.exits.lots
            ],
        )  # fmt: skip

    def open_of(self, order_ids: Iterable[str | None]) -> str:
        """Return the open quantity of exits in base currency, or 0."""
        orders = [self.cache.order(ClientOrderId(each)) for each in order_ids if each]
        leaves = [each.leaves_qty.as_decimal() for each in orders if each and not each.is_closed]
        return str(sum(leaves)) if leaves else "0"
