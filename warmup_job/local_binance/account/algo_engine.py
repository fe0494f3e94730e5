"""The algo service: it creates an order when the price of an algo order is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from warmup_job.local_binance.account.algo_triggers import after_price, is_reached, is_trailed
from warmup_job.local_binance.account.order_records import ALGO_LIMIT_TYPES, OrderRecord
from warmup_job.local_binance.rest.error_answers import ErrorAnswer

if TYPE_CHECKING:
    from decimal import Decimal

    from warmup_job.local_binance.account.algo_reports import AlgoReports
    from warmup_job.local_binance.account.engine_faults import EngineFaults
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_checks import OrderChecks
    from warmup_job.local_binance.account.order_engine import OrderEngine
    from warmup_job.local_binance.account.order_records import AlgoRecord
    from warmup_job.local_binance.account.order_requests import WorkingType
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.trading_options import TradingOptions


class AlgoEngine:
    """Triggers algo orders. Times are the exchange's UTC ms.

    Args:
        prices: The prices that trigger.
        store: The orders.
        checks: Checks the position and the margin of triggered orders.
        engine: Receives the created orders.
        reports: Stores and reports the changes.
        options: How closing orders are checked.
        faults: Algo orders that are rejected or stick at their trigger.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        store: OrderStore,
        checks: OrderChecks,
        engine: OrderEngine,
        reports: AlgoReports,
        options: TradingOptions,
        faults: EngineFaults,
    ) -> None:
        self._prices = prices
        self._store = store
        self._checks = checks
        self._engine = engine
        self._reports = reports
        self._options = options
        self._faults = faults
        self._late: list[tuple[int, AlgoRecord]] = []  # when they create their orders after all

    @property
    def has_late_orders(self) -> bool:
        """Whether an algo order has stuck at its trigger for a time."""
        return bool(self._late)

    def trigger(self, symbol: str, working_type: WorkingType, price: Decimal, at_ms: int) -> None:
        """Trigger the algo orders whose price is reached."""
        for algo in self._store.waiting.concerned(symbol, working_type, price):
            now = after_price(algo, price)
            if now is not algo:
                self._store.put_algo(now)
            if now.type == "TRAILING_STOP_MARKET":
                reached = is_trailed(now, price)
            else:
                reached = is_reached(now.type, now.side, now.trigger_price, price)
            if reached:
                self._create_order(now, at_ms)

    def _create_order(self, algo: AlgoRecord, at_ms: int) -> None:
        """Create the order of a triggered algo order, or reject it.

        With a fault it stays TRIGGERING, as was seen on Binance's demo trading
        (https://github.com/nautechsystems/nautilus_trader/discussions/5378).
        """
        algo = self._reports.put(
            replace(algo, status="TRIGGERING", updated_ms=at_ms, triggered_ms=at_ms)
        )
        fault = self._faults.at_trigger(algo.symbol)
        if fault is not None and fault.kind == "stick":
            if fault.late_ms is not None:
                self._late.append((at_ms + fault.late_ms, algo))
            return
        self._follow_trigger(algo, at_ms, "" if fault is None else "Rejected by a fault")

    def create_late_orders(self, at_ms: int) -> None:
        """Create the orders of algo orders that have stuck at their trigger until now."""
        due = [algo for due_ms, algo in self._late if due_ms <= at_ms]
        self._late = [each for each in self._late if each[0] > at_ms]
        for algo in due:
            self._follow_trigger(replace(algo, updated_ms=at_ms), at_ms)

    def _follow_trigger(self, algo: AlgoRecord, at_ms: int, reason: str = "") -> None:
        reason = reason or self._refusal(algo, at_ms)
        if reason:
            # closePosition without a position has nothing to close, which is no rejection.
            status = "EXPIRED" if algo.close_position else "REJECTED"
            self._reports.put(replace(algo, status=status, reason=reason))
            return
        order_id = self._store.next_id()
        limit = algo.type in ALGO_LIMIT_TYPES
        order = OrderRecord(
            order_id=order_id,
            client_id=algo.client_id,
            symbol=algo.symbol,
            side=algo.side,
            type="LIMIT" if limit else "MARKET",
            original_type=algo.type,
            time_in_force=algo.time_in_force,
            position_side=algo.position_side,
            quantity=self._checks.closable(algo) if algo.close_position else algo.quantity,
            price=algo.price,
            reduce_only=algo.reduce_only or algo.close_position,
            status="NEW",
            created_ms=at_ms,
            updated_ms=at_ms,
            stop_price=algo.trigger_price,
            working_type=algo.working_type,
            close_position=algo.close_position,
            algo_id=algo.algo_id,
            good_till_ms=algo.good_till_ms,
        )
        self._reports.put_quietly(replace(algo, status="TRIGGERED", order_id=order_id))
        self._engine.enter(order, at_ms)

    def _refusal(self, algo: AlgoRecord, at_ms: int) -> str:
        """Return why the matching engine refuses a triggered order, or an empty text."""
        if algo.reduces:
            closable = self._checks.closable(algo)
            rejects = self._options.closing_orders == "reject"
            too_much = rejects and not algo.close_position and algo.quantity > closable
            return "Reduce Only reject" if too_much or not closable else ""
        price = algo.price or self._prices.working(algo.symbol, algo.working_type, at_ms)
        try:
            self._checks.check_margin(algo, algo.quantity * price, at_ms)
        except ErrorAnswer as refused:
            return refused.message
        return ""
