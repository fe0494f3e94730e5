"""The algo orders of the account as its clients use them: placed, cancelled and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.algo_triggers import after_price, is_reached
from warmup_job.local_binance.account.order_records import NOTHING, AlgoRecord, shows_closing
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.account.algo_reports import AlgoReports
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_checks import OrderChecks
    from warmup_job.local_binance.account.order_records import OrderRecord
    from warmup_job.local_binance.account.order_requests import NewAlgoOrder, OrderReference
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.passing_time import PassingTime
    from warmup_job.local_binance.account.trading_options import TradingOptions


class AccountAlgoOrders:
    """Accepts orders of the algo service. Times are the exchange's UTC ms.

    Args:
        prices: Prices and filters.
        store: The orders.
        checks: Checks an order before it is accepted.
        reports: Stores and reports the changes.
        passing: Brings the account up to date before a request.
        options: How closing orders are shown.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        store: OrderStore,
        checks: OrderChecks,
        reports: AlgoReports,
        passing: PassingTime,
        options: TradingOptions,
    ) -> None:
        self._prices = prices
        self._store = store
        self._checks = checks
        self._reports = reports
        self._passing = passing
        self._options = options

    def place(self, new: NewAlgoOrder, now_ms: int) -> AlgoRecord:
        """Accept an algo order, which waits for its price.

        Raises:
            ErrorAnswer: The order is refused.
        """
        self._passing.advance(now_ms)
        self._prices.listed(new.symbol)
        algo_id = self._store.next_id()
        position_side = new.position_side or "BOTH"
        algo = AlgoRecord(
            algo_id=algo_id,
            client_id=new.client_id or f"local_{algo_id}",
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            time_in_force=new.time_in_force,
            position_side=position_side,
            quantity=new.quantity or NOTHING,
            price=new.price or NOTHING,
            trigger_price=new.trigger_price or NOTHING,
            working_type=new.working_type,
            close_position=new.close_position,
            reduce_only=bool(new.reduce_only)
            or shows_closing(self._options, new.side, position_side),
            price_protect=new.price_protect,
            status="NEW",
            created_ms=now_ms,
            updated_ms=now_ms,
            activate_price=new.activate_price or NOTHING,
            callback_rate=new.callback_rate or NOTHING,
            good_till_ms=new.good_till_ms or 0,
        )
        self._checks.check_mode(algo, new.reduce_only)
        self._checks.check_algo(algo)
        price = self._prices.working(new.symbol, new.working_type, now_ms)
        if algo.type != "TRAILING_STOP_MARKET" and is_reached(
            algo.type, algo.side, algo.trigger_price, price
        ):
            raise order_errors.immediate_trigger()
        return self._reports.put(after_price(algo, price))

    def cancel(self, reference: OrderReference, now_ms: int) -> AlgoRecord:
        """Cancel an algo order that waits for its price.

        Raises:
            ErrorAnswer: −2011, it does not exist or does not wait.
        """
        self._passing.advance(now_ms)
        algo = self._store.find_algo(reference.order_id, reference.client_id)
        if algo is None or not algo.is_open:
            raise error_answers.nothing_to_cancel()
        return self._reports.put(replace(algo, status="CANCELED", updated_ms=now_ms))

    def cancel_all(self, symbol: str, now_ms: int) -> list[AlgoRecord]:
        """Cancel all waiting algo orders of a symbol.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._passing.advance(now_ms)
        return [
            self._reports.put(replace(algo, status="CANCELED", updated_ms=now_ms))
            for algo in self.open(symbol)
        ]

    def one(self, reference: OrderReference) -> AlgoRecord:
        """Return an algo order by its id or client id.

        Raises:
            ErrorAnswer: −2013, there is none.
        """
        algo = self._store.find_algo(reference.order_id, reference.client_id)
        if algo is None:
            raise error_answers.no_such_order()
        return algo

    def open(self, symbol: str | None = None) -> list[AlgoRecord]:
        """Return the algo orders that wait for their price, oldest first.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        if symbol is not None:
            self._prices.listed(symbol)
        return self._store.open_algos(symbol)

    def created_by(self, algo: AlgoRecord) -> OrderRecord | None:
        """Return the order that an algo order created, or None."""
        return self._store.created_by(algo)
