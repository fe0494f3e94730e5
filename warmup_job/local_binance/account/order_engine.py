"""The matching engine: what happens to an order after it was accepted.

Every change is written to the journal and sent as a user data event, in the order in which Binance
sends them: a fill as ACCOUNT_UPDATE and then ORDER_TRADE_UPDATE; a triggered algo order as
ALGO_UPDATE with TRIGGERING, the events of its order, and ALGO_UPDATE with TRIGGERED and FINISHED.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from warmup_job.local_binance.account import user_events
from warmup_job.local_binance.account.order_matching import (
    in_pieces,
    largest_piece,
    taker_fills,
)
from warmup_job.local_binance.account.order_records import NOTHING, OrderRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmup_job.local_binance.account.account_journal import AccountJournal
    from warmup_job.local_binance.account.account_ledger import AccountLedger
    from warmup_job.local_binance.account.algo_reports import AlgoReports
    from warmup_job.local_binance.account.engine_faults import EngineFaults
    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_checks import OrderChecks
    from warmup_job.local_binance.account.order_records import TradeRecord
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.account.trading_options import TradingOptions
    from warmup_job.local_binance.prices.price_feed import MarketTrade


class OrderEngine:
    """Fills and ends orders. Times are the exchange's UTC ms.

    Args:
        prices: Prices and filters.
        settings: The margin types.
        store: The orders.
        ledger: The wallet and the positions.
        checks: Knows what can be closed.
        journal: Receives every change.
        on_event: Receives every user data event.
        reports: Learns when the order of an algo order has ended.
        options: Fees and pieces.
        faults: More pieces.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        settings: SimulatedAccount,
        store: OrderStore,
        ledger: AccountLedger,
        checks: OrderChecks,
        journal: AccountJournal,
        on_event: Callable[[dict[str, Any]], None],
        reports: AlgoReports,
        options: TradingOptions,
        faults: EngineFaults,
    ) -> None:
        self._prices = prices
        self._faults = faults
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._checks = checks
        self._journal = journal
        self._on_event = on_event
        self._options = options
        self._reports = reports

    # --- orders ---

    def enter(self, order: OrderRecord, at_ms: int) -> OrderRecord:
        """Accept an order, and fill what can be filled at once."""
        self._store.put(order)
        self._journal.order(at_ms, order)
        self._tell_order(order, "NEW")
        return self.take(order, at_ms)

    def amend(
        self, order: OrderRecord, price: Decimal, quantity: Decimal, at_ms: int
    ) -> OrderRecord:
        """Change an open order, and fill what can be filled at once."""
        changed = replace(order, price=price, quantity=quantity, updated_ms=at_ms)
        self._store.put(changed)
        self._journal.order(at_ms, changed, "AMENDMENT")
        self._tell_order(changed, "AMENDMENT")
        return self.take(changed, at_ms)

    def take(self, order: OrderRecord, at_ms: int) -> OrderRecord:
        """Fill an order against the book; what cannot be filled rests or expires."""
        if self._checks.would_take(order, order.price, at_ms):
            return self.end(order, "EXPIRED", at_ms, "post-only, and would take")
        filters = self._prices.filters(order.symbol)
        book = self._prices.book(order.symbol, at_ms)
        market = order.type != "LIMIT"
        wanted = min(order.left, self._checks.closable(order)) if order.reduces else order.left
        limit = order.price
        if market:
            away = filters.take_bound if order.side == "BUY" else -filters.take_bound
            limit = book.best_for(order.side) * (1 + away)
        fills = taker_fills(order.side, wanted, limit, book, filters)
        if order.time_in_force == "FOK" and sum(fill.quantity for fill in fills) < order.left:
            return self.end(order, "EXPIRED", at_ms, "not filled whole")
        for fill in in_pieces(fills, self._pieces(order.symbol), order.quantity, filters.step):
            order = self._fill(order, fill.price, fill.quantity, at_ms, is_maker=False)
        if order.is_open and (market or order.time_in_force in ("IOC", "FOK")):
            return self.end(order, "EXPIRED", at_ms, "not filled at once")
        return order

    def end(self, order: OrderRecord, status: str, at_ms: int, reason: str = "") -> OrderRecord:
        """Cancel or expire an open order."""
        order = self._store.put(replace(order, status=status, updated_ms=at_ms, reason=reason))
        self._journal.order(at_ms, order)
        self._tell_order(order, status)
        self._reports.finish(order, at_ms)
        return order

    def match_trade(self, symbol: str, trade: MarketTrade) -> None:
        """Let a trade of the market fill resting orders."""
        price, left = Decimal(trade.price), Decimal(trade.quantity)
        for order in self._store.resting.passed_by(symbol, price):
            if left > 0:
                left -= self._fill_resting(order, left, trade.at_ms)

    def _pieces(self, symbol: str) -> int:
        return max(self._options.fill_pieces, self._faults.fill_pieces(symbol))

    def _fill_resting(self, order: OrderRecord, at_most: Decimal, at_ms: int) -> Decimal:
        """Fill a resting order at its own price, and return the filled quantity."""
        order = self._store.newest(order)  # an earlier fill of the same trade may have ended it
        if not order.is_open:
            return NOTHING
        step = self._prices.filters(order.symbol).step
        piece = largest_piece(self._pieces(order.symbol), order.quantity, step)
        quantity = min(order.left, at_most, piece)
        if order.reduces:
            quantity = min(quantity, self._checks.closable(order))
        if quantity > 0:
            self._fill(order, order.price, quantity, at_ms, is_maker=True)
        return quantity

    def _fill(
        self, order: OrderRecord, price: Decimal, quantity: Decimal, at_ms: int, *, is_maker: bool
    ) -> OrderRecord:
        liquidates = order.type == "LIQUIDATION"
        rate = self._options.maker_rate if is_maker else self._options.taker_rate
        trade, position = self._ledger.book_fill(
            order, price, quantity, rate, is_maker=is_maker, at_ms=at_ms
        )
        filled = order.filled + quantity
        order = self._store.put(
            replace(
                order,
                filled=filled,
                cost=order.cost + price * quantity,
                status="FILLED" if filled == order.quantity else "PARTIALLY_FILLED",
                updated_ms=at_ms,
            )
        )
        self._journal.order(at_ms, order)
        if liquidates:
            self._ledger.charge_liquidation(trade, self._options.liquidation_rate)
        self._tell_position(position, at_ms)
        self._tell_order(order, "CALCULATED" if liquidates else "TRADE", trade)
        if not order.is_open:
            self._reports.finish(order, at_ms)
        self._end_pointless(order, at_ms)
        return self._store.newest(order)

    def _end_pointless(self, filled: OrderRecord, at_ms: int) -> None:
        """Expire the orders that would close a position which a fill has closed."""
        for order in self._store.open_orders(filled.symbol):
            if (
                order.reduces
                and order.position_side == filled.position_side
                and not self._checks.closable(order)
            ):
                self.end(order, "EXPIRED", at_ms, "the position is closed")

    # --- liquidation ---

    def liquidate(self, at_ms: int) -> None:
        """End all orders and close all positions at market."""
        for order in self._store.open_orders():
            self.end(order, "CANCELED", at_ms, "liquidation")
        for algo in self._store.open_algos():
            self._reports.put(
                replace(algo, status="EXPIRED", updated_ms=at_ms, reason="liquidation")
            )
        for position in self._ledger.open_positions():
            order_id = self._store.next_id()
            order = OrderRecord(
                order_id=order_id,
                client_id=f"autoclose-{order_id}",
                symbol=position.symbol,
                side="SELL" if position.quantity > 0 else "BUY",
                type="LIQUIDATION",
                original_type="LIQUIDATION",
                time_in_force="IOC",
                position_side=position.side,
                quantity=abs(position.quantity),
                price=NOTHING,
                reduce_only=True,
                status="NEW",
                created_ms=at_ms,
                updated_ms=at_ms,
            )
            self.enter(order, at_ms)
        self._ledger.clear_debt(at_ms)

    # --- events ---

    def _tell_order(
        self, order: OrderRecord, execution: str, trade: TradeRecord | None = None
    ) -> None:
        self._on_event(
            user_events.order_trade_update(
                order,
                self._prices.listed(order.symbol),
                execution,
                self._reports.now_ms,
                trade,
                self._store.resting.opening_of(order.symbol),
            )
        )

    def _tell_position(self, position: FuturesPosition, at_ms: int) -> None:
        isolated = self._settings.margin_type(position.symbol) == "ISOLATED"
        self._on_event(
            user_events.account_update(
                "ORDER",
                at_ms,
                self._reports.now_ms,
                wallet=self._ledger.wallet,
                positions=[(position, self._prices.mark(position.symbol, at_ms))],
                margin_type="isolated" if isolated else "cross",
            )
        )
