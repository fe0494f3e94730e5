"""The past of the account: orders, algo orders, fills and changes of the wallet, by pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from warmup_job.market.interval import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmup_job.local_binance.account.account_ledger import AccountLedger
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_records import (
        AlgoRecord,
        IncomeRecord,
        OrderRecord,
        TradeRecord,
    )
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.passing_time import PassingTime

LOOK_BACK_MS = 7 * DAY_MS
"""Binance goes back seven days if the client names no start."""


class HistoryQuery(NamedTuple):
    """Which part of a history is asked for."""

    start_ms: int | None = None
    """The first time, UTC ms; None: seven days before the end, or the oldest if there is an id."""
    end_ms: int | None = None
    """The last time, UTC ms; None: now."""
    limit: int = 500
    """The most entries."""
    first_id: int | None = None
    """The first id; None: the newest entries are listed."""
    page: int | None = None
    """Which page of ``limit`` entries, from 1 and the oldest; None: see ``first_id``."""


EVERYTHING = HistoryQuery()


class AccountHistory:
    """Lists what has happened. Times are the exchange's UTC ms.

    Args:
        prices: Knows the listed symbols.
        store: The orders.
        ledger: The fills and the income.
        passing: Knows until when the account is up to date.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        store: OrderStore,
        ledger: AccountLedger,
        passing: PassingTime,
    ) -> None:
        self._prices = prices
        self._store = store
        self._ledger = ledger
        self._passing = passing

    def orders(self, symbol: str, query: HistoryQuery = EVERYTHING) -> list[OrderRecord]:
        """Return orders of a symbol, oldest first.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return self._page(
            ((each.created_ms, each.order_id, each) for each in self._store.all_orders(symbol)),
            query,
        )

    def algo_orders(self, symbol: str, query: HistoryQuery = EVERYTHING) -> list[AlgoRecord]:
        """Return algo orders of a symbol, oldest first.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return self._page(
            ((each.created_ms, each.algo_id, each) for each in self._store.all_algos(symbol)),
            query,
        )

    def trades(
        self, symbol: str, query: HistoryQuery = EVERYTHING, order_id: int | None = None
    ) -> list[TradeRecord]:
        """Return fills of a symbol or of one order, oldest first.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return self._page(
            (
                (each.at_ms, each.trade_id, each)
                for each in self._ledger.trades
                if each.symbol == symbol and order_id in (None, each.order_id)
            ),
            query,
        )

    def income(
        self, query: HistoryQuery = EVERYTHING, symbol: str | None = None, kind: str | None = None
    ) -> list[IncomeRecord]:
        """Return changes of the wallet, oldest first; with a start the first ones, not the newest.

        Args:
            query: The part that is asked for.
            symbol: Of this symbol only.
            kind: Of this kind only.
        """
        return self._page(
            (
                (each.at_ms, each.income_id, each)
                for each in self._ledger.income
                if symbol in (None, each.symbol) and kind in (None, each.kind)
            ),
            query._replace(first_id=None if query.start_ms is None else 0),
        )

    def _page[T](self, entries: Iterable[tuple[int, int, T]], query: HistoryQuery) -> list[T]:
        """Return what is asked for of entries with a time and an id, oldest first."""
        last_ms = self._passing.seen_ms if query.end_ms is None else query.end_ms
        first_ms = last_ms - LOOK_BACK_MS if query.start_ms is None else query.start_ms
        first_id, limit = query.first_id, query.limit
        if first_id is not None and query.start_ms is None:
            first_ms = 0
        chosen = [
            entry
            for at_ms, entry_id, entry in entries
            if first_ms <= at_ms <= last_ms and (first_id is None or entry_id >= first_id)
        ]
        if query.page is not None:
            return chosen[(query.page - 1) * limit : query.page * limit]
        return chosen[-limit:] if first_id is None else chosen[:limit]
