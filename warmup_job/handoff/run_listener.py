"""What the parts of a running trader report to it and may ask it: one interface for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument


class RunListener(Protocol):
    """The runner, as its streams, their delivery and its websockets see it."""

    def on_change(self) -> None:
        """Decide again whether orders may leave: a stream or a subscriber has changed."""

    def on_connection_change(self) -> None:
        """Decide again: a stream was heard for the first time, broke, or the account was read."""

    def on_stream_complete(self) -> None:
        """Deliver the bars that are due: a stream now has every bar that has closed."""

    def on_newest_bar(self) -> None:
        """Save the strategies' state: on_bar has had the newest bar of a stream."""

    def on_failure(self, error: BaseException) -> None:
        """End the run with this error."""

    def start_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine as a task. Its failure ends the run, and the run's end cancels it."""

    def is_heard(self) -> bool:
        """Return whether every expected stream has sent a message (and the account was read)."""

    def instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        """Return the node's instrument; None: the node does not have it."""
