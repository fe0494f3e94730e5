"""What the account checks before it accepts an order: position mode, filters, position, margin."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.account_margin import PositionMargin, margin_of
from warmup_job.local_binance.account.leverage_brackets import largest_notional
from warmup_job.local_binance.account.order_records import ALGO_LIMIT_TYPES, NOTHING
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.account.account_ledger import AccountLedger
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.account.trading_options import TradingOptions

_MARKET_SLIPPAGE = Decimal("0.0005")
"""Binance assumes that a market order is filled this much beyond the best price."""


class OrderChecks:
    """Checks orders against the account's state and the market. Times are the exchange's UTC ms.

    Args:
        prices: Prices and filters.
        settings: Position mode, leverage and permissions.
        store: The orders.
        ledger: The wallet and the positions.
        options: How closing orders are checked.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        settings: SimulatedAccount,
        store: OrderStore,
        ledger: AccountLedger,
        options: TradingOptions,
    ) -> None:
        self._prices = prices
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._options = options

    def closable(self, order: OrderRecord | AlgoRecord) -> Decimal:
        """Return the quantity that an order of this side can close."""
        quantity = self._ledger.position(order.symbol, order.position_side).quantity
        return max(quantity if order.side == "SELL" else -quantity, NOTHING)

    def check_mode(self, order: OrderRecord | AlgoRecord, reduce_only: bool | None) -> None:
        """Check the permission to trade, and the position side.

        Args:
            order: The order.
            reduce_only: What the client sent; None: it did not send it.

        Raises:
            ErrorAnswer: −4088, −4061 or −1106.
        """
        if not self._settings.can_trade:
            raise order_errors.cannot_order()
        hedge_mode = self._settings.hedge_mode
        if hedge_mode != (order.position_side != "BOTH"):
            raise order_errors.wrong_position_side()
        if hedge_mode and reduce_only is not None:
            raise error_answers.not_required("reduceonly")

    def check_order(self, order: OrderRecord, now_ms: int) -> None:
        """Check a new order.

        Raises:
            ErrorAnswer: The order is refused.
        """
        filters = self._prices.filters(order.symbol)
        market = order.type == "MARKET"
        filters.check_quantity(order.quantity, market=market)
        price = order.price
        if market:
            best = self._prices.book(order.symbol, now_ms).best_for(order.side)
            price = best * (1 + _MARKET_SLIPPAGE if order.side == "BUY" else 1 - _MARKET_SLIPPAGE)
        else:
            self.check_limit(order, price, now_ms)
        self._store.check_new(order.symbol, order.client_id, filters.most_orders)
        if order.reduces:
            if not self.closable(order):
                raise order_errors.reduce_only_rejected()
            self._check_left(order, market=market)
        else:
            filters.check_notional(order.quantity * price)
            self.check_margin(order, order.quantity * price, now_ms)
        if self.would_take(order, price, now_ms):
            raise order_errors.would_take()

    def check_limit(self, order: OrderRecord, price: Decimal, now_ms: int) -> None:
        """Check a limit price against the filters.

        Raises:
            ErrorAnswer: −1111, −4002, −4013, −4014, −4016 or −4024.
        """
        filters = self._prices.filters(order.symbol)
        filters.check_price(price)
        filters.check_distance(order.side, price, self._prices.mark(order.symbol, now_ms))

    def would_take(self, order: OrderRecord, price: Decimal, now_ms: int) -> bool:
        """Return whether a post-only order would be filled at once at this price."""
        return order.time_in_force == "GTX" and self._prices.book(order.symbol, now_ms).crosses(
            order.side, price
        )

    def check_margin(
        self,
        order: OrderRecord | AlgoRecord,
        notional: Decimal,
        now_ms: int,
        instead_of: Decimal = NOTHING,
    ) -> None:
        """Check that the available balance covers an order.

        Args:
            order: The order.
            notional: Its value, quote asset.
            now_ms: The time.
            instead_of: The value of the same order before it is changed.

        Raises:
            ErrorAnswer: −2019 or −2027.
        """
        margin = margin_of(self._ledger, self._store, self._settings, self._prices, now_ms)
        key = (order.symbol, order.position_side)
        rows = {(row.position.symbol, row.position.side): row for row in margin.rows}
        before = rows.get(key) or PositionMargin(
            position=self._ledger.position(*key),
            mark=self._prices.mark(order.symbol, now_ms),
            leverage=self._settings.leverage(order.symbol),
            bids=NOTHING,
            asks=NOTHING,
        )
        more = notional - instead_of
        after = (
            replace(before, bids=before.bids + more)
            if order.side == "BUY"
            else replace(before, asks=before.asks + more)
        )
        if after.largest_notional > largest_notional(before.leverage):
            raise order_errors.above_position_limit()
        if after.initial - before.initial > margin.balance - margin.initial:
            raise order_errors.insufficient_margin()

    def check_leverage(self, symbol: str, leverage: int, now_ms: int) -> None:
        """Check that the positions and orders of a symbol may have another leverage.

        Raises:
            ErrorAnswer: −2027 or −2028.
        """
        margin = margin_of(self._ledger, self._store, self._settings, self._prices, now_ms)
        mine = [row for row in margin.rows if row.position.symbol == symbol]
        if any(row.largest_notional > largest_notional(leverage) for row in mine):
            raise order_errors.above_position_limit()
        more = sum((replace(row, leverage=leverage).initial - row.initial for row in mine), NOTHING)
        if more > max(margin.balance - margin.initial, NOTHING):
            raise order_errors.leverage_needs_margin()

    def check_algo(self, algo: AlgoRecord) -> None:
        """Check a new algo order. Its margin is not checked before it is triggered.

        Raises:
            ErrorAnswer: The order is refused.
        """
        filters = self._prices.filters(algo.symbol)
        market = algo.type not in ALGO_LIMIT_TYPES
        if not algo.close_position:
            filters.check_quantity(algo.quantity, market=market)
        if not market:
            filters.check_price(algo.price)
        if algo.type != "TRAILING_STOP_MARKET":
            filters.check_price(algo.trigger_price)
        self._store.check_new_algo(algo.client_id, self._options.most_algo_orders)
        if algo.reduces and not algo.close_position:
            self._check_left(algo, market=market)

    def _check_left(self, order: OrderRecord | AlgoRecord, *, market: bool) -> None:
        """Check a closing order against the position and the resting closing orders.

        Raises:
            ErrorAnswer: −4118, if the option says so.
        """
        if self._options.closing_orders == "expire":
            return
        closable = self.closable(order)
        if market and order.quantity == closable:
            return
        way = (order.side, order.position_side)
        resting = sum(
            (
                each.left
                for each in self._store.open_orders(order.symbol)
                if each.reduces and (each.side, each.position_side) == way
            ),
            NOTHING,
        )
        if order.quantity > closable - resting:
            raise order_errors.reduces_too_much()
