"""The futures account that trades: it accepts orders and matches them with the symbols' prices.

Written for Binance's rules, independently of the clients that it serves. It is pure: it reads the
prices of the feeds at the times that it is given, and reports what happens as events. Times are the
exchange's UTC ms.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.account_history import history_page
from warmup_job.local_binance.account.account_journal import AccountJournal
from warmup_job.local_binance.account.account_ledger import AccountLedger
from warmup_job.local_binance.account.account_margin import margin_of
from warmup_job.local_binance.account.algo_triggers import after_price, is_reached
from warmup_job.local_binance.account.engine_faults import NoEngineFaults
from warmup_job.local_binance.account.matching_prices import MatchingPrices
from warmup_job.local_binance.account.order_checks import OrderChecks
from warmup_job.local_binance.account.order_engine import OrderEngine
from warmup_job.local_binance.account.order_records import (
    NOTHING,
    AlgoRecord,
    OrderRecord,
    closes,
)
from warmup_job.local_binance.account.order_store import OrderStore
from warmup_job.local_binance.account.trading_options import TradingOptions
from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.local_binance.rest import error_answers
from warmup_job.market.interval import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from warmup_job.local_binance.account.account_margin import AccountMargin
    from warmup_job.local_binance.account.engine_faults import EngineFaults
    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.order_records import IncomeRecord, TradeRecord
    from warmup_job.local_binance.account.order_requests import (
        NewAlgoOrder,
        NewOrder,
        OrderChange,
        OrderReference,
        PositionSide,
    )
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import MarketTrade, PriceFeed


class TradingAccount:
    """The orders, positions and wallet of the futures account.

    Args:
        feeds: The futures market's prices by symbol.
        settings: Leverage, margin type and position mode.
        funding: Funding rates and times.
        balance: The wallet's first balance, USDT.
        now_ms: The time at which the account is opened.
        on_event: Receives every user data event once, in Binance's format and order.
        options: See `TradingOptions`.
        faults: Faults of the matching engine; None: it has none.
    """

    def __init__(
        self,
        feeds: Mapping[str, PriceFeed],
        settings: SimulatedAccount,
        funding: FundingSchedule,
        balance: Decimal,
        now_ms: int,
        on_event: Callable[[dict[str, Any]], None],
        options: TradingOptions | None = None,
        faults: EngineFaults | None = None,
    ) -> None:
        self._options = options or TradingOptions()
        self.journal = AccountJournal()
        self._prices = MatchingPrices(feeds)
        self._settings = settings
        self._funding = funding
        self._store = OrderStore(first_id=now_ms)
        self._ledger = AccountLedger(balance, self.journal, on_event, self._store.next_id)
        self._checks = OrderChecks(self._prices, settings, self._store, self._ledger, self._options)
        self._engine = OrderEngine(
            self._prices,
            settings,
            self._store,
            self._ledger,
            self._checks,
            self.journal,
            on_event,
            self._options,
            faults or NoEngineFaults(),
        )
        self._seen_ms = now_ms
        self._countdown_ms: dict[str, int] = {}

    # --- the account ---

    @property
    def wallet(self) -> Decimal:
        """The wallet's balance, USDT."""
        return self._ledger.wallet

    @property
    def is_active(self) -> bool:
        """Whether time can change the account: it has an order or a position."""
        return (
            self._store.has_open
            or self._engine.has_more_to_do
            or bool(self._ledger.open_positions())
        )

    def positions(self) -> list[FuturesPosition]:
        """Return the positions that are not flat."""
        return self._ledger.open_positions()

    def position(self, symbol: str, side: PositionSide) -> FuturesPosition:
        """Return the position of a symbol and side, which may be flat."""
        return self._ledger.position(symbol, side)

    def mark_price(self, symbol: str, now_ms: int) -> Decimal:
        """Return the mark price of a symbol.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        return self._prices.mark(symbol, now_ms)

    def margin(self, now_ms: int) -> AccountMargin:
        """Return the account's margin: a row for each position and symbol with opening orders."""
        return margin_of(self._ledger, self._store, self._settings, self._prices, now_ms)

    def pay_funding(self, symbol: str, rate: Decimal, now_ms: int) -> Decimal:
        """Pay funding for the positions of a symbol now, and return the wallet's change.

        Args:
            symbol: The symbol.
            rate: The funding rate; with a positive one longs pay and shorts receive.
            now_ms: The time of the payment.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self.advance(now_ms)
        return self._ledger.pay_funding(symbol, rate, self.mark_price(symbol, now_ms), now_ms)

    def transfer(self, amount: Decimal, now_ms: int) -> None:
        """Deposit a positive amount, or withdraw a negative one, USDT.

        Raises:
            ErrorAnswer: −2019, more is withdrawn than is available.
        """
        self.advance(now_ms)
        if amount < 0 and -amount > self.margin(now_ms).available:
            raise order_errors.insufficient_margin()
        self._ledger.transfer(amount, now_ms)

    def check_leverage(self, symbol: str, leverage: int, now_ms: int) -> None:
        """Check that the leverage of a symbol may change.

        Args:
            symbol: The symbol; an unknown one has no positions and passes.
            leverage: The new leverage, which a bracket must allow.
            now_ms: The time.

        Raises:
            ErrorAnswer: −2027, a position or an order is too large for it; −2028, the margin would
                not be enough.
        """
        self.advance(now_ms)
        self._checks.check_leverage(symbol, leverage, now_ms)

    def check_margin_type(self, symbol: str, now_ms: int) -> None:
        """Check that the margin type of a symbol may change.

        Raises:
            ErrorAnswer: −4047 with open orders, −4048 with a position.
        """
        self.advance(now_ms)
        if self._store.open_orders(symbol) or self._store.open_algos(symbol):
            raise order_errors.margin_type_with_orders()
        if self._ledger.open_positions(symbol):
            raise order_errors.margin_type_with_position()

    # --- orders ---

    def place(self, new: NewOrder, now_ms: int) -> OrderRecord:
        """Accept an order and fill what can be filled at once.

        Returns:
            The order after its first fills.

        Raises:
            ErrorAnswer: The order is refused.
        """
        self.advance(now_ms)
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
            reduce_only=bool(new.reduce_only) or self._shows_closing(new.side, position_side),
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

        A quantity that is filled already cancels the order.

        Raises:
            ErrorAnswer: −2013, it is not open; −5027, nothing would change; −5022, it is post-only
                and would take; or as `place`.
        """
        self.advance(now_ms)
        order = self.order(change.symbol, change.order)
        if not order.is_open or order.side != change.side or order.type != "LIMIT":
            raise error_answers.no_such_order()
        price, quantity = change.price, change.quantity
        if (order.price, order.quantity) == (price, quantity):
            raise order_errors.unchanged_amendment()
        filters = self._prices.filters(change.symbol)
        self._checks.check_limit(order, price, now_ms)
        filters.check_quantity(quantity, market=False)
        if quantity <= order.filled:
            return self._engine.end(order, "CANCELED", now_ms)
        if not order.reduces:
            filters.check_notional(quantity * price)
            left = (quantity - order.filled) * price
            self._checks.check_margin(order, left, now_ms, order.left * order.price)
        self._checks.check_resting(order, price, now_ms)
        return self._engine.amend(order, price, quantity, now_ms)

    def cancel(self, symbol: str, reference: OrderReference, now_ms: int) -> OrderRecord:
        """Cancel an open order.

        Raises:
            ErrorAnswer: −2011, it does not exist or is not open; −1121, unknown symbol.
        """
        self.advance(now_ms)
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
        self.advance(now_ms)
        return [self._engine.end(order, "CANCELED", now_ms) for order in self.open_orders(symbol)]

    def countdown(self, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Cancel all orders of a symbol after ``countdown_ms``, unless called again; 0 stops it.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self.advance(now_ms)
        self._prices.listed(symbol)
        if countdown_ms > 0:
            self._countdown_ms[symbol] = now_ms + countdown_ms
        else:
            self._countdown_ms.pop(symbol, None)

    def order(self, symbol: str, reference: OrderReference) -> OrderRecord:
        """Return an order by its id or client id.

        Raises:
            ErrorAnswer: −2013, there is none; −1121, unknown symbol.
        """
        self._prices.listed(symbol)
        order = self._store.find(symbol, reference.order_id, reference.client_id)
        if order is None:
            raise error_answers.no_such_order()
        return order

    def open_orders(self, symbol: str | None = None) -> list[OrderRecord]:
        """Return the open orders of one symbol or of all, oldest first.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        if symbol is not None:
            self._prices.listed(symbol)
        return self._store.open_orders(symbol)

    # --- algo orders ---

    def place_algo(self, new: NewAlgoOrder, now_ms: int) -> AlgoRecord:
        """Accept an algo order, which waits for its price.

        Raises:
            ErrorAnswer: The order is refused.
        """
        self.advance(now_ms)
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
            reduce_only=bool(new.reduce_only) or self._shows_closing(new.side, position_side),
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
        return self._engine.put_algo(after_price(algo, price))

    def cancel_algo(self, reference: OrderReference, now_ms: int) -> AlgoRecord:
        """Cancel an algo order that waits for its price.

        Raises:
            ErrorAnswer: −2011, it does not exist or does not wait.
        """
        self.advance(now_ms)
        algo = self._store.find_algo(reference.order_id, reference.client_id)
        if algo is None or not algo.is_open:
            raise error_answers.nothing_to_cancel()
        return self._engine.put_algo(replace(algo, status="CANCELED", updated_ms=now_ms))

    def cancel_all_algos(self, symbol: str, now_ms: int) -> list[AlgoRecord]:
        """Cancel all waiting algo orders of a symbol.

        Raises:
            ErrorAnswer: −1121, unknown symbol.
        """
        self.advance(now_ms)
        return [
            self._engine.put_algo(replace(algo, status="CANCELED", updated_ms=now_ms))
            for algo in self.open_algo_orders(symbol)
        ]

    def algo_order(self, reference: OrderReference) -> AlgoRecord:
        """Return an algo order by its id or client id.

        Raises:
            ErrorAnswer: −2013, there is none.
        """
        algo = self._store.find_algo(reference.order_id, reference.client_id)
        if algo is None:
            raise error_answers.no_such_order()
        return algo

    def open_algo_orders(self, symbol: str | None = None) -> list[AlgoRecord]:
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

    def _shows_closing(self, side: str, position_side: PositionSide) -> bool:
        return self._options.shows_reduce_only and closes(side, position_side)

    # --- history ---

    def all_orders(
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
            now_ms=self._seen_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            from_id=from_id,
            limit=limit,
        )

    def all_algo_orders(
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
            now_ms=self._seen_ms,
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
            now_ms=self._seen_ms,
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
    ) -> list[IncomeRecord]:
        """Return changes of the wallet, oldest first: from ``start_ms`` on, or else the newest."""
        return history_page(
            (
                (each.at_ms, each.income_id, each)
                for each in self._ledger.income
                if symbol in (None, each.symbol) and kind in (None, each.kind)
            ),
            now_ms=self._seen_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            from_id=None if start_ms is None else 0,
            limit=limit,
        )

    # --- time ---

    def advance(self, now_ms: int) -> None:
        """Let everything happen that has happened until ``now_ms``.

        Trades fill resting orders, prices trigger algo orders, funding is paid, dated orders
        expire, and an account without margin is liquidated.
        """
        after_ms = self._seen_ms
        if now_ms <= after_ms:
            return  # the clock was set back, or no time has passed
        self._seen_ms = self._engine.now_ms = now_ms
        while self.is_active and after_ms < now_ms:
            until_ms = min(now_ms, after_ms + MINUTE_MS)
            trades = self._market_trades(after_ms, until_ms)
            first_ms = (after_ms // SLOT_MS + 1) * SLOT_MS
            for at_ms in range(first_ms, until_ms + 1, SLOT_MS):
                self._pass_moment(at_ms, trades)
            after_ms = until_ms

    def _market_trades(
        self, after_ms: int, until_ms: int
    ) -> dict[tuple[str, int], list[MarketTrade]]:
        trades: dict[tuple[str, int], list[MarketTrade]] = {}
        for symbol in self._store.open_symbols():
            for trade in self._prices.trades(symbol, after_ms, until_ms):
                trades.setdefault((symbol, trade.at_ms), []).append(trade)
        return trades

    def _pass_moment(self, at_ms: int, trades: Mapping[tuple[str, int], list[MarketTrade]]) -> None:
        self._engine.report_algos(at_ms)
        self._engine.create_late_orders(at_ms)
        self._expire_dated(at_ms)
        for symbol in self._store.open_symbols():
            for trade in trades.get((symbol, at_ms), ()):
                self._engine.match_trade(symbol, trade)
            if self._store.waiting.watches(symbol, "MARK_PRICE"):
                mark = self._prices.mark(symbol, at_ms)
                self._engine.trigger(symbol, "MARK_PRICE", mark, at_ms)
        positions = self._ledger.open_positions()
        for symbol in dict.fromkeys(position.symbol for position in positions):
            if self._funding.times(symbol, at_ms - 1, at_ms):
                rate = self._funding.terms(symbol, at_ms).rate
                self._ledger.pay_funding(symbol, rate, self._prices.mark(symbol, at_ms), at_ms)
        if positions and self.margin(at_ms).is_exhausted:
            self._engine.liquidate(at_ms)

    def _expire_dated(self, at_ms: int) -> None:
        for symbol, until_ms in tuple(self._countdown_ms.items()):
            if until_ms <= at_ms:
                del self._countdown_ms[symbol]
                for order in self._store.open_orders(symbol):
                    self._engine.end(order, "CANCELED", at_ms, "countdownCancelAll")
        for order in self._store.resting.dated(at_ms):
            self._engine.end(order, "EXPIRED", at_ms, "goodTillDate")
        for algo in self._store.waiting.dated(at_ms):
            self._engine.put_algo(
                replace(algo, status="EXPIRED", updated_ms=at_ms, reason="goodTillDate")
            )
