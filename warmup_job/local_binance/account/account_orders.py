"""The orders of the account as its clients use them: placed, changed, cancelled and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.order_records import NOTHING, OrderRecord, shows_closing
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_checks import OrderChecks
    from warmup_job.local_binance.account.order_engine import OrderEngine
    from warmup_job.local_binance.account.order_requests import (
        NewOrder,
        OrderChange,
        OrderReference,
    )
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.passing_time import PassingTime
    from warmup_job.local_binance.account.trading_options import TradingOptions


class AccountOrders:
    """Accepts orders of the matching engine. Times are the exchange's UTC ms.

    Args:
        prices: Prices and filters.
        store: The orders.
        checks: Checks an order before it is accepted.
        engine: Fills and ends orders.
        passing: Brings the account up to date before a request.
        options: How closing orders are shown.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        store: OrderStore,
        checks: OrderChecks,
        engine: OrderEngine,
        passing: PassingTime,
        options: TradingOptions,
    ) -> None:
        self._prices = prices
        self._store = store
        self._checks = checks
        self._engine = engine
        self._passing = passing
        self._options = options

    def place(self, new: NewOrder, now_ms: int) -> OrderRecord:
        """Accept an order and fill what can be filled at once.

        Returns:
            The order after its first fills.

        Raises:
            ErrorAnswer: The order is refused.
        """
        self._passing.advance(now_ms)
        self._prices.listed(new.symbol)
        order_id = self._store.next_id()
        position_side = new.position_side or "BOTH"
        order = OrderRecord(
            order_id=order_id,
            client_id=new.client_id or f"local_{order_id}",
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            original_type=new.type,
            time_in_force=new.time_in_force,
            position_side=position_side,
            quantity=new.quantity,
            price=new.price or NOTHING,
            reduce_only=bool(new.reduce_only)
            or shows_closing(self._options, new.side, position_side),
            status="NEW",
            created_ms=now_ms,
            updated_ms=now_ms,
            good_till_ms=new.good_till_ms or 0,
        )
        self._checks.check_mode(order, new.reduce_only)
        self._checks.check_order(order, now_ms)
        return self._engine.enter(order, now_ms)

    def amend(self, change: OrderChange, now_ms: int) -> OrderRecord:
        """Change the price and quantity of an open limit order.

        A quantity that is filled already cancels the order, and so does a price at which a
        post-only order would take
        (https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Modify-Order).

        Raises:
            ErrorAnswer: −2013, it is not open; −5027, nothing would change; or as `place`.
        """
        self._passing.advance(now_ms)
        order = self.one(change.symbol, change.order)
        if not order.is_open or order.side != change.side or order.type != "LIMIT":
            raise error_answers.no_such_order()
        price, quantity = change.price, change.quantity
        if (order.price, order.quantity) == (price, quantity):
            raise order_errors.unchanged_amendment()
        filters = self._prices.filters(change.symbol)
        self._checks.check_limit(order, price, now_ms)
        filters.check_quantity(quantity, market=False)
        if quantity <= order.filled or self._checks.would_take(order, price, now_ms):
            return self._engine.end(order, "CANCELED", now_ms)
        if not order.reduces:
            filters.check_notional(quantity * price)
            left = (quantity - order.filled) * price
            self._checks.check_margin(order, left, now_ms, order.left * order.price)
        return self._engine.amend(order, price, quantity, now_ms)

    def cancel(self, symbol: str, reference: OrderReference, now_ms: int) -> OrderRecord:
        """Cancel an open order.

        Raises:
            ErrorAnswer: −2011, it does not exist or is not open; −1121, unknown symbol.
        """
        self._passing.advance(now_ms)
        self._prices.listed(symbol)
        order = self._store.find(symbol, reference.order_id, reference.client_id)
        if order is None or not order.is_open:
            raise error_answers.nothing_to_cancel()
        return self._engine.end(order, "CANCELED", now_ms)

    def cancel_all(self, symbol: str, now_ms: int) -> list[OrderRecord]:
        """Cancel all open orders of a symbol, but not its algo orders.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._passing.advance(now_ms)
        return [self._engine.end(order, "CANCELED", now_ms) for order in self.open(symbol)]

    def countdown(self, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Cancel all orders of a symbol after ``countdown_ms``, unless called again; 0 stops it.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._passing.advance(now_ms)
        self._prices.listed(symbol)
        self._passing.count_down(symbol, now_ms + countdown_ms if countdown_ms else None)

    def one(self, symbol: str, reference: OrderReference) -> OrderRecord:
        """Return an order by its id or client id.

        Raises:
            ErrorAnswer: −2013, there is none; −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        order = self._store.find(symbol, reference.order_id, reference.client_id)
        if order is None:
            raise error_answers.no_such_order()
        return order

    def open(self, symbol: str | None = None) -> list[OrderRecord]:
        """Return the open orders of one symbol or of all, oldest first.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        if symbol is not None:
            self._prices.listed(symbol)
        return self._store.open_orders(symbol)
