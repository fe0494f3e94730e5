"""The entries that are open although a policy or the operator wants none."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.reporting.report import UncancelledReport
from warmup_job.modes import Orders


class UncancelledEntries:
    """Finds them, and remembers since when there are some.

    Args:
        own_orders: the trader's.
        why: returns why the newest cancel was refused; empty: none is.
    """

    def __init__(self, own_orders: OwnOrders, why: Callable[[], str]) -> None:
        self._own_orders = own_orders
        self._why = why
        self._since_ms: int | None = None

    def look(self, unwanted: Iterable[Orders], now_ms: int) -> UncancelledReport | None:
        """Return the entries that are open and unwanted now; None: there are none.

        Args:
            unwanted: which orders must not rest.
            now_ms: Unix ms.
        """
        found = []
        if any(each != "keep" for each in unwanted):
            found = [order for _, order in self._own_orders.select("cancel_entries")]
        if not found:
            self._since_ms = None
            return None
        self._since_ms = now_ms if self._since_ms is None else self._since_ms
        return UncancelledReport(
            ids=tuple(sorted({order.client_order_id.value for order in found})),
            ms=max(0, now_ms - self._since_ms),
            why=self._why(),
        )
