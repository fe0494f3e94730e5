"""What happens to the account as time passes: trades, triggers, expiry, funding, liquidation."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.market.interval import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from warmup_job.local_binance.account.account_ledger import AccountLedger
    from warmup_job.local_binance.account.account_margin import AccountMargin
    from warmup_job.local_binance.account.algo_engine import AlgoEngine
    from warmup_job.local_binance.account.algo_reports import AlgoReports
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_engine import OrderEngine
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import MarketTrade

_FORGET_EVERY_MS = 60 * MINUTE_MS


class PassingTime:
    """Lets the market change the account. Times are the exchange's UTC ms.

    Args:
        prices: Trades and mark prices.
        funding: Funding rates and times.
        store: The orders.
        ledger: The wallet and the positions.
        engine: Fills and ends orders.
        algo_engine: Triggers algo orders.
        reports: Stores and reports changes of algo orders.
        margin: Returns the account's margin at a time.
        now_ms: The time at which the account is opened.
    """

    def __init__(
        self,
        prices: MatchingPrices,
        funding: FundingSchedule,
        store: OrderStore,
        ledger: AccountLedger,
        engine: OrderEngine,
        algo_engine: AlgoEngine,
        reports: AlgoReports,
        margin: Callable[[int], AccountMargin],
        now_ms: int,
    ) -> None:
        self._prices = prices
        self._funding = funding
        self._store = store
        self._ledger = ledger
        self._engine = engine
        self._algo_engine = algo_engine
        self._reports = reports
        self._margin = margin
        self._countdown_ms: dict[str, int] = {}
        self._forget_ms = now_ms + _FORGET_EVERY_MS
        self.seen_ms = now_ms
        """Until when everything has happened."""

    @property
    def is_active(self) -> bool:
        """Whether time can change the account: it has an order or a position."""
        return (
            self._store.has_open
            or self._reports.has_more
            or self._algo_engine.has_late_orders
            or bool(self._ledger.open_positions())
        )

    def count_down(self, symbol: str, until_ms: int | None) -> None:
        """Cancel the orders of a symbol at this time, instead of an earlier choice; None: never."""
        if until_ms is None:
            self._countdown_ms.pop(symbol, None)
        else:
            self._countdown_ms[symbol] = until_ms

    def advance(self, now_ms: int) -> None:
        """Let everything happen that has happened until ``now_ms``.

        Trades fill resting orders, prices trigger algo orders, funding is paid, dated orders
        expire, and an account without margin is liquidated.
        """
        after_ms = self.seen_ms
        if now_ms <= after_ms:
            return  # the clock was set back, or no time has passed
        self.seen_ms = self._reports.now_ms = now_ms
        while self.is_active and after_ms < now_ms:
            until_ms = min(now_ms, after_ms + MINUTE_MS)
            trades = self._market_trades(after_ms, until_ms)
            first_ms = (after_ms // SLOT_MS + 1) * SLOT_MS
            for at_ms in range(first_ms, until_ms + 1, SLOT_MS):
                self._pass_moment(at_ms, trades)
            after_ms = until_ms
        if now_ms >= self._forget_ms:
            self._forget_ms = now_ms + _FORGET_EVERY_MS
            self._store.forget_old(now_ms)
            self._ledger.forget_old(now_ms)

    def _market_trades(
        self, after_ms: int, until_ms: int
    ) -> dict[tuple[str, int], list[MarketTrade]]:
        trades: dict[tuple[str, int], list[MarketTrade]] = {}
        for symbol in self._store.open_symbols():
            for trade in self._prices.trades(symbol, after_ms, until_ms):
                trades.setdefault((symbol, trade.at_ms), []).append(trade)
        return trades

    def _pass_moment(self, at_ms: int, trades: Mapping[tuple[str, int], list[MarketTrade]]) -> None:
        self._reports.send_due(at_ms)
        self._algo_engine.create_late_orders(at_ms)
        self._expire_dated(at_ms)
        for symbol in self._store.open_symbols():
            for trade in trades.get((symbol, at_ms), ()):
                self._engine.match_trade(symbol, trade)
                last = Decimal(trade.price)
                self._algo_engine.trigger(symbol, "CONTRACT_PRICE", last, trade.at_ms)
            if self._store.waiting.watches(symbol, "MARK_PRICE"):
                mark = self._prices.mark(symbol, at_ms)
                self._algo_engine.trigger(symbol, "MARK_PRICE", mark, at_ms)
        positions = self._ledger.open_positions()
        for symbol in dict.fromkeys(position.symbol for position in positions):
            if self._funding.times(symbol, at_ms - 1, at_ms):
                rate = self._funding.terms(symbol, at_ms).rate
                self._ledger.pay_funding(symbol, rate, self._prices.mark(symbol, at_ms), at_ms)
        if positions and self._margin(at_ms).is_exhausted:
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
            self._reports.put(
                replace(algo, status="EXPIRED", updated_ms=at_ms, reason="goodTillDate")
            )
