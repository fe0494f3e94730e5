"""The futures account that trades: it accepts orders and matches them with the symbols' prices.

Written for Binance's rules, independently of the clients that it serves. It is pure: it reads the
prices of the feeds at the times that it is given, and reports what happens as events. Times are the
exchange's UTC ms.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.account_algo_orders import AccountAlgoOrders
from warmup_job.local_binance.account.account_history import AccountHistory
from warmup_job.local_binance.account.account_journal import AccountJournal
from warmup_job.local_binance.account.account_ledger import AccountLedger
from warmup_job.local_binance.account.account_margin import margin_of
from warmup_job.local_binance.account.account_orders import AccountOrders
from warmup_job.local_binance.account.algo_engine import AlgoEngine
from warmup_job.local_binance.account.algo_reports import AlgoReports
from warmup_job.local_binance.account.engine_faults import NoEngineFaults
from warmup_job.local_binance.account.matching_prices import MatchingPrices
from warmup_job.local_binance.account.order_checks import OrderChecks
from warmup_job.local_binance.account.order_engine import OrderEngine
from warmup_job.local_binance.account.order_store import OrderStore
from warmup_job.local_binance.account.passing_time import PassingTime
from warmup_job.local_binance.account.trading_options import TradingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from warmup_job.local_binance.account.account_margin import AccountMargin
    from warmup_job.local_binance.account.engine_faults import EngineFaults
    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.order_requests import PositionSide
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import PriceFeed


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
        options = options or TradingOptions()
        self.journal = AccountJournal()
        self._prices = MatchingPrices(feeds)
        self._settings = settings
        self._store = OrderStore(first_id=now_ms)
        self._ledger = AccountLedger(balance, self.journal, on_event, self._store.next_id)
        self._checks = OrderChecks(self._prices, settings, self._store, self._ledger, options)
        engine_faults = faults or NoEngineFaults()
        reports = AlgoReports(self._prices, self._store, self.journal, on_event)
        engine = OrderEngine(
            self._prices,
            settings,
            self._store,
            self._ledger,
            self._checks,
            self.journal,
            on_event,
            reports,
            options,
            engine_faults,
        )
        self._passing = PassingTime(
            self._prices,
            funding,
            self._store,
            self._ledger,
            engine,
            AlgoEngine(
                self._prices, self._store, self._checks, engine, reports, options, engine_faults
            ),
            reports,
            self.margin,
            now_ms,
        )
        self.orders = AccountOrders(
            self._prices, self._store, self._checks, engine, self._passing, options
        )
        """The orders of the matching engine."""
        self.algo_orders = AccountAlgoOrders(
            self._prices, self._store, self._checks, reports, self._passing, options
        )
        """The orders of the algo service."""
        self.history = AccountHistory(self._prices, self._store, self._ledger, self._passing)
        """The past."""

    @property
    def wallet(self) -> Decimal:
        """The wallet's balance, USDT."""
        return self._ledger.wallet

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

    def advance(self, now_ms: int) -> None:
        """Let everything happen that has happened until ``now_ms``.

        Trades fill resting orders, prices trigger algo orders, funding is paid, dated orders
        expire, and an account without margin is liquidated.
        """
        self._passing.advance(now_ms)
