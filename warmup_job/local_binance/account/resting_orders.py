"""The open orders of the account, arranged so that a trade which reaches none of them is cheap.

The market has four slots a second, and most of them change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from warmup_job.local_binance.account.order_records import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from warmup_job.local_binance.account.order_records import OrderRecord
    from warmup_job.local_binance.account.order_requests import PositionSide


class OpeningValue(NamedTuple):
    """The orders of one symbol and side that would open or enlarge a position."""

    orders: int
    bids: Decimal
    """Value of what is left of the buy orders, quote asset."""
    asks: Decimal
    """Value of what is left of the sell orders, quote asset."""


NO_OPENING = OpeningValue(0, NOTHING, NOTHING)


class RestingOrders:
    """The open orders, by symbol and in the order of their placement."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[int, OrderRecord]] = {}
        self._sorted: dict[str, tuple[list[OrderRecord], list[OrderRecord]]] = {}
        self._opening: dict[tuple[str, PositionSide], OpeningValue] = {}
        self._dated: dict[int, OrderRecord] = {}

    def put(self, order: OrderRecord) -> None:
        """Note the newest record of an order, which may have ended."""
        orders = self._orders.setdefault(order.symbol, {})
        before = orders.get(order.order_id)
        if before is not None:
            self._count(before, -1)
        self._dated.pop(order.order_id, None)
        if order.is_open:
            orders[order.order_id] = order
            self._count(order, 1)
            if order.good_till_ms:
                self._dated[order.order_id] = order
        else:
            orders.pop(order.order_id, None)
            if not orders:
                del self._orders[order.symbol]
        self._sorted.pop(order.symbol, None)

    def symbols(self) -> list[str]:
        """Return the symbols with open orders."""
        return list(self._orders)

    def of(self, symbol: str | None) -> list[OrderRecord]:
        """Return the open orders of one symbol or of all, oldest first."""
        if symbol is not None:
            return list(self._orders.get(symbol, {}).values())
        if len(self._orders) == 1:
            return [order for orders in self._orders.values() for order in orders.values()]
        orders = (order for orders in self._orders.values() for order in orders.values())
        return sorted(orders, key=lambda order: order.order_id)

    def passed_by(self, symbol: str, price: Decimal) -> list[OrderRecord]:
        """Return the open orders that a trade at ``price`` is beyond: best price first."""
        bids, asks = self._by_price(symbol)
        passed: list[OrderRecord] = []
        for order in bids:
            if price >= order.price:
                break
            passed.append(order)
        for order in asks:
            if price <= order.price:
                break
            passed.append(order)
        return passed

    def opening(self) -> Mapping[tuple[str, PositionSide], OpeningValue]:
        """Return the value of the orders that would open a position, by symbol and side."""
        return self._opening

    def opening_of(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the value of the opening buy and sell orders of a symbol, quote asset."""
        values = [value for (name, _), value in self._opening.items() if name == symbol]
        return (
            sum((value.bids for value in values), NOTHING),
            sum((value.asks for value in values), NOTHING),
        )

    def dated(self, now_ms: int) -> list[OrderRecord]:
        """Return the open orders whose date is over."""
        return [order for order in self._dated.values() if order.good_till_ms <= now_ms]

    def _by_price(self, symbol: str) -> tuple[list[OrderRecord], list[OrderRecord]]:
        known = self._sorted.get(symbol)
        if known is None:
            orders = self.of(symbol)
            bids = [order for order in orders if order.side == "BUY"]
            asks = [order for order in orders if order.side == "SELL"]
            bids.sort(key=lambda order: -order.price)
            asks.sort(key=lambda order: order.price)
            known = self._sorted[symbol] = (bids, asks)
        return known

    def _count(self, order: OrderRecord, sign: int) -> None:
        if order.reduces:
            return
        key = (order.symbol, order.position_side)
        before = self._opening.get(key, NO_OPENING)
        value = sign * order.left * order.price
        after = OpeningValue(
            before.orders + sign,
            before.bids + value if order.side == "BUY" else before.bids,
            before.asks + value if order.side == "SELL" else before.asks,
        )
        if after.orders:
            self._opening[key] = after
        else:
            del self._opening[key]
