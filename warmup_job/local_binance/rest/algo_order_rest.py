"""The REST endpoints of algo orders: stops, take-profits and trailing stops.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import order_answers
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import order_params
from warmup_job.local_binance.rest.order_rest import ALL_CANCELLED
from warmup_job.local_binance.rest.parameter_values import read_optional_symbol

if TYPE_CHECKING:
    from warmup_job.local_binance.rest.parameter_values import Params
    from warmup_job.local_binance.rest.served_account import ServedAccount
    from warmup_job.local_binance.rest.signed_requests import Route

_ALGO_ORDER = "/fapi/v1/algoOrder"


class AlgoOrderRest:
    """Answers the requests about algo orders that are not about the past.

    Args:
        account: The account.
    """

    def __init__(self, account: ServedAccount) -> None:
        self._account = account
        self._orders = account.trading.algo_orders

    def routes(self) -> list[Route]:
        """Return method, path and answer of every endpoint."""
        journaled = self._account.journaled
        return [
            journaled("POST", _ALGO_ORDER, self.place),
            journaled("DELETE", _ALGO_ORDER, self.cancel),
            journaled("DELETE", "/fapi/v1/algoOpenOrders", self._cancel_all),
            ("GET", _ALGO_ORDER, self._show),
            ("GET", "/fapi/v1/openAlgoOrders", self._show_all_open),
        ]

    def place(self, params: Params) -> dict[str, Any]:
        """Place an algo order and return it.

        Raises:
            ErrorAnswer: It is refused.
        """
        now_ms = self._account.now_ms()
        new = order_params.read_new_algo_order(params, self._account.symbols, now_ms)
        return self._account.algo_row(self._orders.place(new, now_ms))

    def cancel(self, params: Params) -> dict[str, Any]:
        """Cancel an algo order and return its ids.

        Raises:
            ErrorAnswer: −2011, it does not wait for its price; or a parameter is invalid.
        """
        reference = order_params.read_algo_reference(params)
        algo = self._orders.cancel(reference, self._account.now_ms())
        return order_answers.algo_cancelled(algo)

    def _cancel_all(self, params: Params) -> object:
        self._orders.cancel_all(read_symbol(params), self._account.now_ms())
        return ALL_CANCELLED

    def _show(self, params: Params) -> object:
        reference = order_params.read_algo_reference(params)
        self._account.now_ms()
        return self._account.algo_row(self._orders.one(reference))

    def _show_all_open(self, params: Params) -> object:
        algo_id = read_number(params, "algoId")
        self._account.now_ms()
        algos = self._orders.open(read_optional_symbol(params))
        return [self._account.algo_row(a) for a in algos if algo_id in (None, a.algo_id)]
