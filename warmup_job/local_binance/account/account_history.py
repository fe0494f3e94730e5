"""The past of the account: orders, algo orders, fills and changes of the wallet, by pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    def orders(
        self,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        from_id: int | None = None,
    ) -> list[OrderRecord]:
        """Return orders of a symbol, oldest first; see `history_page`.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return history_page(
            ((each.created_ms, each.order_id, each) for each in self._store.all_orders(symbol)),
            now_ms=self._passing.seen_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            from_id=from_id,
            limit=limit,
        )

    def algo_orders(
        self,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        from_id: int | None = None,
    ) -> list[AlgoRecord]:
        """Return algo orders of a symbol, oldest first; see `history_page`.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return history_page(
            ((each.created_ms, each.algo_id, each) for each in self._store.all_algos(symbol)),
            now_ms=self._passing.seen_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            from_id=from_id,
            limit=limit,
        )

    def trades(
        self,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        from_id: int | None = None,
        order_id: int | None = None,
    ) -> list[TradeRecord]:
        """Return fills of a symbol or of one order, oldest first; see `history_page`.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return history_page(
            (
                (each.at_ms, each.trade_id, each)
                for each in self._ledger.trades
                if each.symbol == symbol and order_id in (None, each.order_id)
            ),
            now_ms=self._passing.seen_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            from_id=from_id,
            limit=limit,
        )

    def income(
        self,
        symbol: str | None = None,
        kind: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 100,
        page: int | None = None,
    ) -> list[IncomeRecord]:
        """Return changes of the wallet, oldest first.

        Args:
            symbol: Of this symbol only.
            kind: Of this kind only.
            start_ms: The first time; None: seven days before the end.
            end_ms: The last time; None: now.
            limit: The most entries.
            page: Which page of the time, from 1; None: the first with ``start_ms``, or else the
                newest entries.
        """
        return history_page(
            (
                (each.at_ms, each.income_id, each)
                for each in self._ledger.income
                if symbol in (None, each.symbol) and kind in (None, each.kind)
            ),
            now_ms=self._passing.seen_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            from_id=None if start_ms is None else 0,
            limit=limit,
            page=page,
        )


def history_page[T](
    entries: Iterable[tuple[int, int, T]],
    *,
    now_ms: int,
    start_ms: int | None,
    end_ms: int | None,
    from_id: int | None,
    limit: int,
    page: int | None = None,
) -> list[T]:
    """Return a page of a history, oldest first.

    Args:
        entries: Time, id and entry, oldest first.
        now_ms: The exchange's time, UTC ms.
        start_ms: The first time; None: seven days before the end.
        end_ms: The last time; None: now.
        from_id: The first id; None: the newest entries are listed.
        limit: The most entries.
        page: Which page of ``limit`` entries, from 1 and the oldest; None: see ``from_id``.
    """
    last_ms = now_ms if end_ms is None else end_ms
    first_ms = last_ms - LOOK_BACK_MS if start_ms is None else start_ms
    if from_id is not None and start_ms is None:
        first_ms = 0
    chosen = [
        entry
        for at_ms, entry_id, entry in entries
        if first_ms <= at_ms <= last_ms and (from_id is None or entry_id >= from_id)
    ]
    if page is not None:
        return chosen[(page - 1) * limit : page * limit]
    return chosen[-limit:] if from_id is None else chosen[:limit]
