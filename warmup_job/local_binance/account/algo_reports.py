"""The changes of algo orders: stored, written to the journal, and sent as events.

The algo service is another service than the matching engine, so it reports later what has happened
there (https://github.com/nautechsystems/nautilus_trader/issues/3664).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from warmup_job.local_binance.account import user_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmup_job.local_binance.account.account_journal import AccountJournal
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord
    from warmup_job.local_binance.account.order_store import OrderStore

_REPORT_MS = 500
"""How much later the algo service reports what has happened in the matching engine."""


class AlgoReports:
    """Stores and reports changes of algo orders. Times are the exchange's UTC ms.

    Args:
        prices: Knows the listed symbols.
        store: The orders.
        journal: Receives every change.
        on_event: Receives every user data event.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        store: OrderStore,
        journal: AccountJournal,
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        self._prices = prices
        self._store = store
        self._journal = journal
        self._on_event = on_event
        self._due: deque[AlgoRecord] = deque()
        self.now_ms = 0
        """The exchange's time, which may be later than what is being matched."""

    @property
    def has_more(self) -> bool:
        """Whether the algo service has something to report later."""
        return bool(self._due)

    def put(self, algo: AlgoRecord) -> AlgoRecord:
        """Store a change of an algo order, and report it."""
        self._store.put_algo(algo)
        self._journal.algo(algo.updated_ms, algo)
        self._tell(algo)
        return algo

    def put_quietly(self, algo: AlgoRecord) -> None:
        """Store a change that the algo service reports later."""
        self._store.put_algo(algo)
        self._journal.algo(algo.updated_ms, algo)
        self._due.append(replace(algo, updated_ms=algo.updated_ms + _REPORT_MS))

    def finish(self, order: OrderRecord, at_ms: int) -> None:
        """Note that the order of an algo order, if an algo order created it, has ended."""
        algo = self._store.find_algo(order.algo_id, None) if order.algo_id else None
        if algo is not None:
            self.put_quietly(replace(algo, status="FINISHED", updated_ms=at_ms))

    def send_due(self, at_ms: int) -> None:
        """Send the reports that are due."""
        while self._due and self._due[0].updated_ms <= at_ms:
            self._tell(self._due.popleft())

    def _tell(self, algo: AlgoRecord) -> None:
        created = self._store.created_by(algo)
        symbol = self._prices.listed(algo.symbol)
        self._on_event(user_events.algo_update(algo, symbol, self.now_ms, created))
