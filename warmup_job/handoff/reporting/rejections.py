"""Counts the orders and cancels that the exchange rejected or Nautilus denied, by their code."""

from __future__ import annotations

import re
from collections import Counter

from nautilus_trader.common.component import MessageBus
from nautilus_trader.model.events import (
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderModifyRejected,
    OrderRejected,
)

from warmup_job.binance.order_rejections import rejection_code
from warmup_job.handoff.reporting.report import Rejections

_STATUS = re.compile(r"\bHTTP (\d{3})\b")
_NAMES = {
    "no usable answer": "no_answer",
    "trading is halted": "halted",
    "history is being replayed": "replay",
    "it names no book": "no_book",
    "order_size_usdt": "order_size",
    "MAX_ORDER_": "rate",
}
"""Parts of the reasons of `order_denial`, `order_limits`, `certain_orders` and Nautilus' rates."""
_KINDS: dict[type[OrderEvent], str] = {
    OrderRejected: "rejected",
    OrderDenied: "denied",
    OrderCancelRejected: "cancel_rejected",
    OrderModifyRejected: "modify_rejected",
}


class RejectionCounter:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def attach(self, msgbus: MessageBus) -> None:
        """Count the order events of this message bus."""
        msgbus.subscribe(topic="events.order.*", handler=self.count)

    def count(self, event: OrderEvent) -> None:
        """Count an event, if it is a rejection."""
        kind = _KINDS.get(type(event))
        if kind is not None:
            self._counts[kind, code_of(str(event.reason), kind)] += 1

    def report(self) -> tuple[Rejections, ...]:
        """Return the counts, in the order of kind and code."""
        return tuple(
            Rejections(kind=kind, code=code, count=count)
            for (kind, code), count in sorted(self._counts.items())
        )


def code_of(reason: str, kind: str = "rejected") -> str:
    """Return Binance's error code in a reason, such as ``-2010``, or a name for a reason without.

    Args:
        reason: of the event.
        kind: of the event; a denial for a reason that is not ours is Nautilus' risk engine's.
    """
    code = rejection_code(reason)
    if code is not None:
        return str(code)
    for words, name in _NAMES.items():
        if words in reason:
            return name
    status = _STATUS.search(reason)
    if status is not None:
        return f"http_{status[1]}"
    return "risk_engine" if kind == "denied" else "other"
