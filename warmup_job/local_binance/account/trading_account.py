"""The futures account that trades: it accepts orders and matches them with the symbols' prices.

Written for Binance's rules, independently of the clients that it serves. It is pure: it reads the
prices of the feeds at the times that it is given, and reports what happens as events. Times are the
exchange's UTC ms.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from warmup_job.local_binance.account import order_errors, user_events
from warmup_job.local_binance.account.account_journal import AccountJournal
from warmup_job.local_binance.account.account_ledger import AccountLedger
from warmup_job.local_binance.account.account_margin import AccountMargin, PositionMargin
from warmup_job.local_binance.account.algo_triggers import after_price, is_reached, is_trailed
from warmup_job.local_binance.account.leverage_brackets import largest_notional
from warmup_job.local_binance.account.order_filters import OrderFilters
from warmup_job.local_binance.account.order_matching import (
    TopOfBook,
    in_pieces,
    is_passed,
    largest_piece,
    taker_fills,
)
from warmup_job.local_binance.account.order_records import (
    ALGO_LIMIT_TYPES,
    NOTHING,
    AlgoRecord,
    OrderRecord,
    closes,
)
from warmup_job.local_binance.account.order_store import OrderStore
from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.local_binance.rest import error_answers
from warmup_job.market.interval import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.order_records import (
        IncomeRecord,
        TradeRecord,
    )
    from warmup_job.local_binance.account.order_requests import (
        NewAlgoOrder,
        NewOrder,
        OrderChange,
        OrderReference,
        PositionSide,
        Side,
    )
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import MarketTrade, PriceFeed

DAY_LIMIT_MS = 7 * 24 * 60 * MINUTE_MS
"""Histories go back seven days when the client names no start."""
_MARKET_SLIPPAGE = Decimal("0.0005")
"""Binance assumes that a market order is filled this much beyond the best price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingOptions:
    """How the account deals with orders where Binance is not known or a test needs something."""

    closing_orders: Literal["expire", "reject"] = "expire"
    """A closing order larger than the position, or than what other closing orders leave of it:
    ``expire`` accepts it, and what exceeds the position expires when it is filled or triggered;
    ``reject`` refuses it (−4118) unless it is a market order that closes the whole position."""
    fill_pieces: int = 1
    """In how many fills an order is filled at least."""
    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.0005")
    liquidation_rate: Decimal = Decimal("0.0125")


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
    ) -> None:
        self.options = options or TradingOptions()
        self.fill_pieces = self.options.fill_pieces
        self.journal = AccountJournal()
        self._feeds = feeds
        self._settings = settings
        self._funding = funding
        self._filters = {name: OrderFilters.of(feed.symbol) for name, feed in feeds.items()}
        self._on_event = on_event
        self._store = OrderStore(first_id=now_ms)
        self._ledger = AccountLedger(balance, self.journal, on_event, self._store.next_id)
        self._seen_ms = now_ms
        self._countdown_ms: dict[str, int] = {}

    # --- what others read ---

    @property
    def wallet(self) -> Decimal:
        """The wallet's balance, USDT."""
        return self._ledger.wallet

    @property
    def is_active(self) -> bool:
        """Whether prices can change the account: it has an order or a position."""
        return self._store.has_open or bool(self._ledger.open_positions())

    def positions(self) -> list[FuturesPosition]:
        """Return the positions that are not flat."""
        return self._ledger.open_positions()

    def position(self, symbol: str, side: PositionSide) -> FuturesPosition:
        """Return the position of a symbol and side, which may be flat."""
        return self._ledger.position(symbol, side)

    def mark_price(self, symbol: str, now_ms: int) -> Decimal:
        """Return the mark price of a symbol."""
        return Decimal(self._feed(symbol).mark_price(now_ms))

    def margin(self, now_ms: int) -> AccountMargin:
        """Return the account's margin: a row for each position and symbol with opening orders."""
        bids: defaultdict[tuple[str, PositionSide], Decimal] = defaultdict(Decimal)
        asks: defaultdict[tuple[str, PositionSide], Decimal] = defaultdict(Decimal)
        keys = {(each.symbol, each.side): None for each in self._ledger.open_positions()}
        for order in self._store.open_orders():
            if order.reduces:
                continue
            key = (order.symbol, order.position_side)
            keys[key] = None
            (bids if order.side == "BUY" else asks)[key] += order.left * order.price
        rows = tuple(
            PositionMargin(
                position=self._ledger.position(*key),
                mark=self.mark_price(key[0], now_ms),
                leverage=self._settings.leverage(key[0]),
                bids=bids[key],
                asks=asks[key],
            )
            for key in keys
        )
        return AccountMargin(self.wallet, rows)

    def order(self, symbol: str, reference: OrderReference) -> OrderRecord:
        """Return an order by its id or client id.

        Raises:
            ErrorAnswer: −2013, there is none; −1121, unknown symbol.
        """
        self._feed(symbol)
        order = self._store.find(symbol, reference.order_id, reference.client_id)
        if order is None:
            raise error_answers.no_such_order()
        return order

    def open_orders(self, symbol: str | None = None) -> list[OrderRecord]:
        """Return the open orders of one symbol or of all, oldest first."""
        if symbol is not None:
            self._feed(symbol)
        return self._store.open_orders(symbol)

    def all_orders(
        self,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        from_id: int | None = None,
    ) -> list[OrderRecord]:
        """Return orders of a symbol, oldest first: from an id on, or else the newest ones."""
        self._feed(symbol)
        orders = [
            order
            for order in self._store.all_orders(symbol)
            if self._within(order.created_ms, start_ms, end_ms)
            and (from_id is None or order.order_id >= from_id)
        ]
        return orders[-limit:] if from_id is None else orders[:limit]

    def trades(
        self,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        from_id: int | None = None,
        order_id: int | None = None,
    ) -> list[TradeRecord]:
        """Return fills of a symbol, oldest first: from an id on, or else the newest ones."""
        self._feed(symbol)
        trades = [
            trade
            for trade in self._ledger.trades
            if trade.symbol == symbol
            and self._within(trade.at_ms, start_ms, end_ms)
            and (from_id is None or trade.trade_id >= from_id)
            and order_id in (None, trade.order_id)
        ]
        return trades[-limit:] if from_id is None else trades[:limit]

    def income(
        self,
        symbol: str | None = None,
        kind: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 100,
    ) -> list[IncomeRecord]:
        """Return changes of the wallet, oldest first: from the start on, or else the newest."""
        rows = [
            row
            for row in self._ledger.income
            if symbol in (None, row.symbol)
            and kind in (None, row.kind)
            and self._within(row.at_ms, start_ms, end_ms)
        ]
        return rows[-limit:] if start_ms is None else rows[:limit]

    def algo_order(self, reference: OrderReference) -> AlgoRecord:
        """Return an algo order by its id or client id.

        Raises:
            ErrorAnswer: −2013, there is none.
        """
        return self._store.algo(reference.order_id, reference.client_id)

    def open_algo_orders(self, symbol: str | None = None) -> list[AlgoRecord]:
        """Return the algo orders that wait for their price, oldest first."""
        if symbol is not None:
            self._feed(symbol)
        return self._store.open_algos(symbol)

    def all_algo_orders(
        self,
        symbol: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        from_id: int | None = None,
    ) -> list[AlgoRecord]:
        """Return algo orders of a symbol, oldest first: from an id on, or else the newest ones."""
        self._feed(symbol)
        algos = [
            algo
            for algo in self._store.all_algos(symbol)
            if self._within(algo.created_ms, start_ms, end_ms)
            and (from_id is None or algo.algo_id >= from_id)
        ]
        return algos[-limit:] if from_id is None else algos[:limit]

    def created_by(self, algo: AlgoRecord) -> OrderRecord | None:
        """Return the order that an algo order created, or None."""
        return self._store.created_by(algo)

    def _within(self, at_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
        if start_ms is None:
            start_ms = (self._seen_ms if end_ms is None else end_ms) - DAY_LIMIT_MS
        return start_ms <= at_ms and (end_ms is None or at_ms <= end_ms)

    # --- orders ---

    def place(self, new: NewOrder, now_ms: int) -> OrderRecord:
        """Accept an order and fill what can be filled at once.

        Returns:
            The order after its first fills.

        Raises:
            ErrorAnswer: The order is refused.
        """
        self.advance(now_ms)
        feed, filters = self._feed(new.symbol), self._filters[new.symbol]
        self._check_order(new, filters, now_ms)
        book = TopOfBook.of(feed.book(now_ms))
        if (
            new.time_in_force == "GTX"
            and new.price is not None
            and book.crosses(new.side, new.price)
        ):
            raise order_errors.would_take()
        order_id = self._store.next_id()
        order = OrderRecord(
            order_id=order_id,
            client_id=new.client_id or f"local_{order_id}",
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            original_type=new.type,
            time_in_force=new.time_in_force,
            position_side=new.position_side or "BOTH",
            quantity=new.quantity,
            price=new.price or NOTHING,
            reduce_only=bool(new.reduce_only),
            status="NEW",
            created_ms=now_ms,
            updated_ms=now_ms,
            good_till_ms=new.good_till_ms or 0,
        )
        return self._enter(order, now_ms)

    def amend(
        self,
        change: OrderChange,
        now_ms: int,
    ) -> OrderRecord:
        """Change the price and quantity of an open limit order.

        Raises:
            ErrorAnswer: −2013, it is not open; −5027, nothing would change; −5022, it is post-only
                and would take; or as `place`.
        """
        self.advance(now_ms)
        symbol, side, quantity, price = change.symbol, change.side, change.quantity, change.price
        order = self.order(symbol, change.order)
        filters = self._filters[symbol]
        if not order.is_open or order.side != side:
            raise error_answers.no_such_order()
        if (order.price, order.quantity) == (price, quantity):
            raise order_errors.unchanged_amendment()
        self._check_limit(side, price, symbol, filters, now_ms)
        filters.check_quantity(quantity, market=False)
        if quantity <= order.filled:
            return self._end(order, "CANCELED", now_ms)
        if not order.reduces:
            filters.check_notional(quantity * price)
            self._check_margin(symbol, order.position_side, side, quantity * price, now_ms, order)
        book = TopOfBook.of(self._feed(symbol).book(now_ms))
        if order.time_in_force == "GTX" and book.crosses(side, price):
            raise order_errors.would_take()
        order = self._store.put(replace(order, price=price, quantity=quantity, updated_ms=now_ms))
        self.journal.order(now_ms, order, "AMENDMENT")
        self._tell_order(order, "AMENDMENT")
        return self._take(order, now_ms)

    def cancel(self, symbol: str, reference: OrderReference, now_ms: int) -> OrderRecord:
        """Cancel an open order.

        Raises:
            ErrorAnswer: −2011, it does not exist or is not open; −1121, unknown symbol.
        """
        self.advance(now_ms)
        self._feed(symbol)
        order = self._store.find(symbol, reference.order_id, reference.client_id)
        if order is None or not order.is_open:
            raise error_answers.nothing_to_cancel()
        return self._end(order, "CANCELED", now_ms)

    def cancel_all(self, symbol: str, now_ms: int) -> list[OrderRecord]:
        """Cancel all open orders of a symbol, but not its algo orders."""
        self.advance(now_ms)
        return [self._end(order, "CANCELED", now_ms) for order in self.open_orders(symbol)]

    def countdown(self, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Cancel all orders of a symbol after ``countdown_ms``, unless called again; 0 stops it."""
        self.advance(now_ms)
        self._feed(symbol)
        if countdown_ms > 0:
            self._countdown_ms[symbol] = now_ms + countdown_ms
        else:
            self._countdown_ms.pop(symbol, None)

    # --- algo orders ---

    def place_algo(self, new: NewAlgoOrder, now_ms: int) -> AlgoRecord:
        """Accept an algo order, which waits for its price.

        Raises:
            ErrorAnswer: The order is refused.
        """
        self.advance(now_ms)
        feed, filters = self._feed(new.symbol), self._filters[new.symbol]
        self._check_algo(new, filters)
        price = self._working_price(feed, new.working_type, now_ms)
        if (
            new.trigger_price is not None
            and new.type != "TRAILING_STOP_MARKET"
            and is_reached(new.type, new.side, new.trigger_price, price)
        ):
            raise order_errors.immediate_trigger()
        algo_id = self._store.next_id()
        algo = AlgoRecord(
            algo_id=algo_id,
            client_id=new.client_id or f"local_{algo_id}",
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            time_in_force=new.time_in_force,
            position_side=new.position_side or "BOTH",
            quantity=new.quantity or NOTHING,
            price=new.price or NOTHING,
            trigger_price=new.trigger_price or NOTHING,
            working_type=new.working_type,
            close_position=new.close_position,
            reduce_only=bool(new.reduce_only),
            price_protect=new.price_protect,
            status="NEW",
            created_ms=now_ms,
            updated_ms=now_ms,
            activate_price=new.activate_price or NOTHING,
            callback_rate=new.callback_rate or NOTHING,
            good_till_ms=new.good_till_ms or 0,
        )
        return self._put_algo(after_price(algo, price))

    def cancel_algo(self, reference: OrderReference, now_ms: int) -> AlgoRecord:
        """Cancel an algo order that waits for its price.

        Raises:
            ErrorAnswer: −2011, it does not exist or does not wait.
        """
        self.advance(now_ms)
        algo = self._store.find_algo(reference.order_id, reference.client_id)
        if algo is None or not algo.is_open:
            raise error_answers.nothing_to_cancel()
        return self._put_algo(replace(algo, status="CANCELED", updated_ms=now_ms))

    def cancel_all_algos(self, symbol: str, now_ms: int) -> list[AlgoRecord]:
        """Cancel all waiting algo orders of a symbol."""
        self.advance(now_ms)
        return [
            self._put_algo(replace(algo, status="CANCELED", updated_ms=now_ms))
            for algo in self.open_algo_orders(symbol)
        ]

    # --- money ---

    def pay_funding(self, symbol: str, rate: Decimal, now_ms: int) -> Decimal:
        """Pay funding for the positions of a symbol now, and return the wallet's change.

        Args:
            symbol: The symbol.
            rate: The funding rate; with a positive one longs pay and shorts receive.
            now_ms: The time of the payment.
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

    # --- checks ---

    def _feed(self, symbol: str) -> PriceFeed:
        feed = self._feeds.get(symbol)
        if feed is None:
            raise error_answers.invalid_symbol()
        return feed

    def _check_order(self, new: NewOrder, filters: OrderFilters, now_ms: int) -> None:
        if not self._settings.can_trade:
            raise order_errors.cannot_order()
        self._check_position_side(new.position_side or "BOTH", new.reduce_only)
        market = new.type == "MARKET"
        filters.check_quantity(new.quantity, market=market)
        if market:
            best = TopOfBook.of(self._feed(new.symbol).book(now_ms)).best_for(new.side)
            price = best * (1 + _MARKET_SLIPPAGE if new.side == "BUY" else 1 - _MARKET_SLIPPAGE)
        elif new.price is None:
            raise error_answers.missing("price")
        else:
            price = new.price
            self._check_limit(new.side, price, new.symbol, filters, now_ms)
        self._store.check_new(new.symbol, new.client_id, filters.most_orders)
        if new.reduce_only or closes(new.side, new.position_side or "BOTH"):
            self._check_closing(
                new.symbol, new.side, new.position_side or "BOTH", new.quantity, market=market
            )
            return
        notional = new.quantity * price
        filters.check_notional(notional)
        self._check_margin(new.symbol, new.position_side or "BOTH", new.side, notional, now_ms)

    def _check_position_side(self, position_side: PositionSide, reduce_only: bool | None) -> None:
        if self._settings.hedge_mode != (position_side != "BOTH"):
            raise order_errors.wrong_position_side()
        if self._settings.hedge_mode and reduce_only is not None:
            raise error_answers.not_required("reduceonly")

    def _check_limit(
        self, side: Side, price: Decimal, symbol: str, filters: OrderFilters, now_ms: int
    ) -> None:
        filters.check_price(price)
        filters.check_distance(side, price, self.mark_price(symbol, now_ms))

    def _check_closing(
        self,
        symbol: str,
        side: Side,
        position_side: PositionSide,
        quantity: Decimal,
        *,
        market: bool,
    ) -> None:
        """Check a closing order: −2022 without a position; −4118 if the option says so."""
        closable = self._closable(symbol, side, position_side)
        if not closable:
            raise order_errors.reduce_only_rejected()
        if self.options.closing_orders == "reject":
            self._check_left(symbol, side, position_side, quantity, closable, market=market)

    def _check_left(
        self,
        symbol: str,
        side: Side,
        position_side: PositionSide,
        quantity: Decimal,
        closable: Decimal,
        *,
        market: bool,
    ) -> None:
        if market and quantity == closable:
            return
        resting = sum(
            (
                order.left
                for order in self._store.open_orders(symbol)
                if order.reduces and (order.side, order.position_side) == (side, position_side)
            ),
            NOTHING,
        )
        if quantity > closable - resting:
            raise order_errors.reduces_too_much()

    def _closable(self, symbol: str, side: Side, position_side: PositionSide) -> Decimal:
        """Return the quantity that an order of this side can close."""
        quantity = self._ledger.position(symbol, position_side).quantity
        return max(quantity if side == "SELL" else -quantity, NOTHING)

    def _check_margin(
        self,
        symbol: str,
        position_side: PositionSide,
        side: Side,
        notional: Decimal,
        now_ms: int,
        instead_of: OrderRecord | None = None,
    ) -> None:
        """Check that the available balance covers another order.

        Args:
            symbol: The order's symbol.
            position_side: Its position side.
            side: Its side.
            notional: Its value.
            now_ms: The time.
            instead_of: The order that it replaces, if any.
        """
        margin = self.margin(now_ms)
        rows = {(row.position.symbol, row.position.side): row for row in margin.rows}
        before = rows.get((symbol, position_side)) or PositionMargin(
            position=self._ledger.position(symbol, position_side),
            mark=self.mark_price(symbol, now_ms),
            leverage=self._settings.leverage(symbol),
            bids=NOTHING,
            asks=NOTHING,
        )
        if instead_of is not None:
            notional -= instead_of.left * instead_of.price
        after = (
            replace(before, bids=before.bids + notional)
            if side == "BUY"
            else replace(before, asks=before.asks + notional)
        )
        if after.largest_notional > largest_notional(before.leverage):
            raise order_errors.above_position_limit()
        if after.initial - before.initial > margin.balance - margin.initial:
            raise order_errors.insufficient_margin()

    def _check_algo(self, new: NewAlgoOrder, filters: OrderFilters) -> None:
        if not self._settings.can_trade:
            raise order_errors.cannot_order()
        self._check_position_side(new.position_side or "BOTH", new.reduce_only)
        _check_algo_quantity(new, filters)
        if new.type in ALGO_LIMIT_TYPES:
            if new.price is None:
                raise error_answers.missing("price")
            filters.check_price(new.price)
        if new.type == "TRAILING_STOP_MARKET":
            if new.callback_rate is None:
                raise error_answers.missing("callbackRate")
        elif new.trigger_price is None:
            raise error_answers.missing("triggerPrice")
        else:
            filters.check_price(new.trigger_price)
        self._store.check_new_algo(new.symbol, new.client_id, filters.most_algo_orders)
        reduces = new.reduce_only or closes(new.side, new.position_side or "BOTH")
        if reduces and new.quantity is not None and self.options.closing_orders == "reject":
            closable = self._closable(new.symbol, new.side, new.position_side or "BOTH")
            self._check_left(
                new.symbol,
                new.side,
                new.position_side or "BOTH",
                new.quantity,
                closable,
                market=new.type not in ALGO_LIMIT_TYPES,
            )

    # --- matching ---

    def advance(self, now_ms: int) -> None:
        """Let everything happen that has happened until ``now_ms``.

        Trades fill resting orders, prices trigger algo orders, funding is paid, dated orders
        expire, and an account without margin is liquidated.
        """
        after_ms = self._seen_ms
        if now_ms <= after_ms:
            return  # the clock was set back, or nothing has passed
        self._seen_ms = now_ms
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
        for symbol in self._waiting_symbols():
            for trade in self._feeds[symbol].trades(after_ms, until_ms):
                trades.setdefault((symbol, trade.at_ms), []).append(trade)
        return trades

    def _waiting_symbols(self) -> list[str]:
        """Return the symbols whose trades can change an order."""
        orders = [order.symbol for order in self._store.open_orders()]
        return list(dict.fromkeys(orders + [algo.symbol for algo in self._store.open_algos()]))

    def _pass_moment(self, at_ms: int, trades: Mapping[tuple[str, int], list[MarketTrade]]) -> None:
        self._expire_dated(at_ms)
        for symbol in self._waiting_symbols():
            for trade in trades.get((symbol, at_ms), ()):
                self._match_trade(symbol, trade)
                self._trigger(symbol, "CONTRACT_PRICE", Decimal(trade.price), at_ms)
            self._match_book(symbol, at_ms)
            if any(algo.working_type == "MARK_PRICE" for algo in self._store.open_algos(symbol)):
                self._trigger(symbol, "MARK_PRICE", self.mark_price(symbol, at_ms), at_ms)
        positions = self._ledger.open_positions()
        for symbol in dict.fromkeys(position.symbol for position in positions):
            if self._funding.times(symbol, at_ms - 1, at_ms):
                rate = self._funding.terms(symbol, at_ms).rate
                self._ledger.pay_funding(symbol, rate, self.mark_price(symbol, at_ms), at_ms)
        if positions and self.margin(at_ms).is_exhausted:
            self._liquidate(at_ms)

    def _expire_dated(self, at_ms: int) -> None:
        for symbol, until_ms in tuple(self._countdown_ms.items()):
            if until_ms <= at_ms:
                del self._countdown_ms[symbol]
                for order in self._store.open_orders(symbol):
                    self._end(order, "CANCELED", at_ms, "countdownCancelAll")
        for order in self._store.open_orders():
            if 0 < order.good_till_ms <= at_ms:
                self._end(order, "EXPIRED", at_ms, "good till date")
        for algo in self._store.open_algos():
            if 0 < algo.good_till_ms <= at_ms:
                self._put_algo(replace(algo, status="EXPIRED", updated_ms=at_ms))

    def _resting(self, symbol: str) -> list[OrderRecord]:
        """Return the resting orders of a symbol, best price first, then oldest."""
        return sorted(
            self._store.open_orders(symbol),
            key=lambda order: -order.price if order.side == "BUY" else order.price,
        )

    def _match_trade(self, symbol: str, trade: MarketTrade) -> None:
        price, left = Decimal(trade.price), Decimal(trade.quantity)
        for order in self._resting(symbol):
            if left > 0 and is_passed(order.side, order.price, price):
                left -= self._fill_resting(order, left, trade.at_ms)

    def _match_book(self, symbol: str, at_ms: int) -> None:
        """Fill resting orders that the book has passed without a trade."""
        resting = self._resting(symbol)
        if not resting:
            return
        book = TopOfBook.of(self._feeds[symbol].book(at_ms))
        left = {"BUY": book.ask_quantity, "SELL": book.bid_quantity}
        for order in resting:
            if left[order.side] > 0 and book.crosses(order.side, order.price):
                left[order.side] -= self._fill_resting(order, left[order.side], at_ms)

    def _fill_resting(self, order: OrderRecord, at_most: Decimal, at_ms: int) -> Decimal:
        """Fill a resting order at its own price, and return the filled quantity."""
        # An earlier fill of the same trade may have ended it.
        order = self._store.newest(order)
        if not order.is_open:
            return NOTHING
        step = self._filters[order.symbol].step
        quantity = min(order.left, at_most, largest_piece(self.fill_pieces, order.quantity, step))
        if order.reduces:
            quantity = min(quantity, self._closable(order.symbol, order.side, order.position_side))
        if quantity > 0:
            self._fill(order, order.price, quantity, at_ms, is_maker=True)
        return quantity

    def _enter(self, order: OrderRecord, at_ms: int) -> OrderRecord:
        """Accept an order in the matching engine, and fill what can be filled at once."""
        self._store.put(order)
        self.journal.order(at_ms, order)
        self._tell_order(order, "NEW")
        return self._take(order, at_ms)

    def _take(self, order: OrderRecord, at_ms: int) -> OrderRecord:
        """Fill an order against the book; what cannot be filled rests or expires."""
        filters = self._filters[order.symbol]
        book = TopOfBook.of(self._feeds[order.symbol].book(at_ms))
        market = order.type != "LIMIT"
        wanted = order.left
        if order.reduces:
            wanted = min(wanted, self._closable(order.symbol, order.side, order.position_side))
        limit = order.price
        if market:
            away = filters.take_bound if order.side == "BUY" else -filters.take_bound
            limit = book.best_for(order.side) * (1 + away)
        fills = taker_fills(order.side, wanted, limit, book, filters)
        if order.time_in_force == "FOK" and sum(fill.quantity for fill in fills) < order.left:
            return self._end(order, "EXPIRED", at_ms, "not filled whole")
        for fill in in_pieces(fills, self.fill_pieces, order.quantity, filters.step):
            order = self._fill(order, fill.price, fill.quantity, at_ms, is_maker=False)
        if not order.is_open:
            return order
        if market or order.time_in_force in ("IOC", "FOK"):
            return self._end(order, "EXPIRED", at_ms, "not filled at once")
        return order

    def _fill(
        self, order: OrderRecord, price: Decimal, quantity: Decimal, at_ms: int, *, is_maker: bool
    ) -> OrderRecord:
        rate = self.options.maker_rate if is_maker else self.options.taker_rate
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
        self.journal.order(at_ms, order)
        if order.type == "LIQUIDATION":
            self._ledger.charge_liquidation(trade, self.options.liquidation_rate)
        self._tell_position(position, at_ms)
        execution = "CALCULATED" if order.type == "LIQUIDATION" else "TRADE"
        self._tell_order(order, execution, trade)
        if not order.is_open:
            self._finish_algo(order, at_ms)
        self._end_pointless(order, at_ms)
        return self._store.newest(order)

    def _end_pointless(self, filled: OrderRecord, at_ms: int) -> None:
        """Expire the orders that would close a position which a fill has closed."""
        for order in self._store.open_orders(filled.symbol):
            if (
                order.reduces
                and order.position_side == filled.position_side
                and not self._closable(order.symbol, order.side, order.position_side)
            ):
                self._end(order, "EXPIRED", at_ms, "the position is closed")

    def _end(self, order: OrderRecord, status: str, at_ms: int, reason: str = "") -> OrderRecord:
        """Cancel or expire an open order."""
        order = self._store.put(replace(order, status=status, updated_ms=at_ms, reason=reason))
        self.journal.order(at_ms, order)
        self._tell_order(order, status)
        self._finish_algo(order, at_ms)
        return order

    # --- algo orders that are triggered ---

    def _working_price(self, feed: PriceFeed, working_type: str, now_ms: int) -> Decimal:
        mark = working_type == "MARK_PRICE"
        return Decimal(feed.mark_price(now_ms) if mark else feed.last_price(now_ms))

    def _trigger(self, symbol: str, working_type: str, price: Decimal, at_ms: int) -> None:
        for algo in self._store.open_algos(symbol):
            if algo.working_type != working_type:
                continue
            now = self._store.put_algo(after_price(algo, price))
            if now.type == "TRAILING_STOP_MARKET":
                reached = is_trailed(now, price)
            else:
                reached = is_reached(now.type, now.side, now.trigger_price, price)
            if reached:
                self._create_order(now, at_ms)

    def _create_order(self, algo: AlgoRecord, at_ms: int) -> None:
        """Create the order of a triggered algo order."""
        algo = self._put_algo(
            replace(algo, status="TRIGGERING", updated_ms=at_ms, triggered_ms=at_ms)
        )
        quantity = algo.quantity
        if algo.reduces:
            closable = self._closable(algo.symbol, algo.side, algo.position_side)
            if algo.close_position:
                quantity = closable
            too_much = quantity > closable and self.options.closing_orders == "reject"
            if not closable or too_much:
                # Without a position, closePosition has nothing to close and ends quietly.
                status = "EXPIRED" if algo.close_position else "REJECTED"
                self._put_algo(replace(algo, status=status, reason="Reduce Only reject"))
                return
        elif not self._has_margin(algo, at_ms):
            self._put_algo(replace(algo, status="REJECTED", reason="Margin is insufficient."))
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
            quantity=quantity,
            price=algo.price if limit else NOTHING,
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
        self._store.put(order)  # the event of the algo order shows it
        self._put_algo(replace(algo, status="TRIGGERED", order_id=order_id))
        self._enter(order, at_ms)

    def _has_margin(self, algo: AlgoRecord, at_ms: int) -> bool:
        price = algo.price or self._working_price(
            self._feeds[algo.symbol], algo.working_type, at_ms
        )
        try:
            self._check_margin(
                algo.symbol, algo.position_side, algo.side, algo.quantity * price, at_ms
            )
        except error_answers.ErrorAnswer:
            return False
        return True

    def _finish_algo(self, order: OrderRecord, at_ms: int) -> None:
        if order.algo_id:
            algo = self._store.algo(order.algo_id, None)
            self._put_algo(replace(algo, status="FINISHED", updated_ms=at_ms))

    def _put_algo(self, algo: AlgoRecord) -> AlgoRecord:
        """Store a change of an algo order and report it."""
        self._store.put_algo(algo)
        self.journal.algo(algo.updated_ms, algo)
        self._on_event(
            user_events.algo_update(
                algo,
                self._feeds[algo.symbol].symbol,
                self._seen_ms,
                self._store.created_by(algo),
            )
        )
        return algo

    # --- liquidation ---

    def _liquidate(self, at_ms: int) -> None:
        """Cancel all orders and close all positions at market."""
        for order in self._store.open_orders():
            self._end(order, "CANCELED", at_ms, "liquidation")
        for algo in self._store.open_algos():
            self._put_algo(replace(algo, status="EXPIRED", updated_ms=at_ms, reason="liquidation"))
        for position in self._ledger.open_positions():
            order_id = self._store.next_id()
            self._enter(
                OrderRecord(
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
                ),
                at_ms,
            )
        self._ledger.clear_debt(at_ms)

    # --- events ---

    def _tell_order(
        self, order: OrderRecord, execution: str, trade: TradeRecord | None = None
    ) -> None:
        opening = [each for each in self._store.open_orders(order.symbol) if not each.reduces]
        bids, asks = (
            sum((each.left * each.price for each in opening if each.side == side), NOTHING)
            for side in ("BUY", "SELL")
        )
        symbol = self._feeds[order.symbol].symbol
        self._on_event(
            user_events.order_trade_update(
                order, symbol, execution, self._seen_ms, trade, (bids, asks)
            )
        )

    def _tell_position(self, position: FuturesPosition, at_ms: int) -> None:
        isolated = self._settings.margin_type(position.symbol) == "ISOLATED"
        self._ledger.tell_positions(
            {(position.symbol, position.side): self.mark_price(position.symbol, at_ms)},
            at_ms,
            self._seen_ms,
            "isolated" if isolated else "cross",
        )


def _check_algo_quantity(new: NewAlgoOrder, filters: OrderFilters) -> None:
    if new.close_position:
        if new.quantity is not None:
            raise error_answers.not_required("quantity")
        if new.reduce_only is not None:
            raise error_answers.not_required("reduceonly")
    elif new.quantity is None:
        raise error_answers.missing("quantity")
    else:
        filters.check_quantity(new.quantity, market=new.type not in ALGO_LIMIT_TYPES)
