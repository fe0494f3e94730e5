"""The account's journal: everything that happened to it, for whoever checks a run afterwards.

`GET /_sim/account` shows it. Decimals are text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account.decimal_text import plain

if TYPE_CHECKING:
    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.order_records import (
        AlgoRecord,
        OrderRecord,
        TradeRecord,
    )


MOST_ENTRIES = 200_000
"""So many entries are kept: some 150 MB."""


class AccountJournal:
    """Numbered entries, oldest first. Times are the exchange's UTC ms.

    Args:
        most: How many entries are kept at least; the oldest ones are dropped.
    """

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._most = most
        self._entries: list[dict[str, Any]] = []
        self._dropped = 0

    def after(self, number: int) -> list[dict[str, Any]]:
        """Return the kept entries whose number is above ``number``; the first ever has number 1."""
        return self._entries[max(number - self._dropped, 0) :]

    def request(
        self, at_ms: int, method: str, path: str, client_id: str, status: int, code: int
    ) -> None:
        """Add a request that may have changed the account, and its answer; code 0: no error."""
        self._add(
            at_ms,
            "request",
            method=method,
            path=path,
            client_id=client_id,
            status=status,
            code=code,
        )

    def order(self, at_ms: int, order: OrderRecord, reason: str = "") -> None:
        """Add a change of an order."""
        self._add(
            at_ms,
            "order",
            client_id=order.client_id,
            order_id=order.order_id,
            kind="order",
            symbol=order.symbol,
            position_side=order.position_side,
            side=order.side,
            type=order.type,
            status=order.status,
            quantity=plain(order.quantity),
            filled=plain(order.filled),
            price=plain(order.price),
            stop_price=plain(order.stop_price),
            reduces=order.reduces,
            reason=reason or order.reason,
        )

    def algo(self, at_ms: int, algo: AlgoRecord) -> None:
        """Add a change of an algo order."""
        self._add(
            at_ms,
            "order",
            client_id=algo.client_id,
            order_id=algo.algo_id,
            kind="algo",
            symbol=algo.symbol,
            position_side=algo.position_side,
            side=algo.side,
            type=algo.type,
            status=algo.status,
            quantity=plain(algo.quantity),
            filled="0",
            price=plain(algo.price),
            stop_price=plain(algo.trigger_price),
            reduces=algo.reduces,
            reason=algo.reason,
        )

    def fill(self, trade: TradeRecord) -> None:
        """Add a fill."""
        self._add(
            trade.at_ms,
            "fill",
            client_id=trade.client_id,
            order_id=trade.order_id,
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            position_side=trade.position_side,
            side=trade.side,
            price=plain(trade.price),
            quantity=plain(trade.quantity),
            fee=plain(trade.commission),
            maker=trade.is_maker,
            realised=plain(trade.realised),
        )

    def position(self, at_ms: int, position: FuturesPosition) -> None:
        """Add a change of a position."""
        self._add(
            at_ms,
            "position",
            symbol=position.symbol,
            position_side=position.side,
            quantity=plain(position.quantity),
            entry_price=plain(position.entry_price),
        )

    def wallet(self, at_ms: int, balance: Decimal, change: Decimal, reason: str) -> None:
        """Add a change of the wallet; the reason is TRADE, COMMISSION, FUNDING and so on."""
        self._add(at_ms, "wallet", balance=plain(balance), change=plain(change), reason=reason)

    def _add(self, at_ms: int, event: str, **facts: object) -> None:
        number = self._dropped + len(self._entries) + 1
        self._entries.append({"n": number, "at_ms": at_ms, "event": event} | facts)
        if len(self._entries) > self._most + self._most // 10:  # seldom, because it moves the rest
            excess = len(self._entries) - self._most
            del self._entries[:excess]
            self._dropped += excess
