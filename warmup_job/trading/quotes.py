"""Quotes of everything that is traded: what fills orders on paper."""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_trader.common.actor import Actor
from nautilus_trader.model.identifiers import InstrumentId


class Quotes(Actor):
    """Subscribes to quotes, which the sandbox fills orders by, whatever the strategies follow."""

    def __init__(self, instrument_ids: Iterable[InstrumentId]) -> None:
        super().__init__()
        self._instrument_ids = tuple(instrument_ids)

    def on_start(self) -> None:
        """Subscribe."""
        for instrument_id in self._instrument_ids:
            self.subscribe_quote_ticks(instrument_id)

    def on_stop(self) -> None:
        """Let go of them."""
        for instrument_id in self._instrument_ids:
            self.unsubscribe_quote_ticks(instrument_id)
