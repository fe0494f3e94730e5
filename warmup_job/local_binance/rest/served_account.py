"""The trading account as the endpoints use it: brought up to date, journaled and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import order_answers
from warmup_job.local_binance.rest.error_answers import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord
    from warmup_job.local_binance.account.trading_account import TradingAccount
    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.local_binance.rest.parameter_values import Params
    from warmup_job.local_binance.rest.signed_requests import Route

_CLIENT_IDS = ("newClientOrderId", "origClientOrderId", "clientAlgoId")


class ServedAccount:
    """What the endpoints of the account share.

    Args:
        trading: The account's orders, positions and wallet.
        symbols: The listed symbols of the futures market.
        clock: The exchange's clock.
    """

    def __init__(
        self, trading: TradingAccount, symbols: Mapping[str, ListedSymbol], clock: ExchangeClock
    ) -> None:
        self.trading = trading
        self.symbols = symbols
        self._clock = clock

    def now_ms(self) -> int:
        """Let the market change the account until now, and return the exchange's time, UTC ms."""
        now_ms = self._clock.now_ms()
        self.trading.advance(now_ms)
        return now_ms

    def journaled(self, method: str, path: str, make: Callable[[Params], object]) -> Route:
        """Return a route whose requests and outcomes are written to the journal."""

        def reply(params: Params) -> object:
            return self.noted(method, path, params, make)

        return method, path, reply

    def noted[T](self, method: str, path: str, params: Params, make: Callable[[Params], T]) -> T:
        """Make an answer, and write the request and its outcome to the journal.

        Raises:
            ErrorAnswer: The request is refused.
        """
        client_id = next((params[name] for name in _CLIENT_IDS if params.get(name)), "")
        journal = self.trading.journal
        try:
            made = make(params)
        except ErrorAnswer as refused:
            now_ms = self._clock.now_ms()
            journal.request(now_ms, method, path, client_id, refused.status, refused.code)
            raise
        journal.request(self._clock.now_ms(), method, path, client_id, 200, 0)
        return made

    def order_row(self, order: OrderRecord) -> dict[str, Any]:
        """Return an order as the endpoints print it."""
        return order_answers.order_row(order, self.symbols[order.symbol])

    def algo_row(self, algo: AlgoRecord) -> dict[str, Any]:
        """Return an algo order as the endpoints print it."""
        created = self.trading.algo_orders.created_by(algo)
        return order_answers.algo_row(algo, self.symbols[algo.symbol], created)
