"""The REST endpoints about the past of the account: orders, algo orders, fills and income."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.local_binance.account import order_answers
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.history_params import read_history_query
from warmup_job.local_binance.rest.parameter_values import read_optional_symbol
from warmup_job.market.interval import DAY_MS

if TYPE_CHECKING:
    from warmup_job.local_binance.account.account_history import HistoryQuery
    from warmup_job.local_binance.rest.parameter_values import Params
    from warmup_job.local_binance.rest.served_account import ServedAccount
    from warmup_job.local_binance.rest.signed_requests import Route

_MOST = 1000
_USUAL, _USUAL_INCOME = 500, 100
_WEEK_MS = 7 * DAY_MS


class HistoryRest:
    """Answers with pages of the past; without a start they are the newest entries.

    Args:
        account: The account.
    """

    def __init__(self, account: ServedAccount) -> None:
        self._account = account
        self._history = account.trading.history

    def routes(self) -> list[Route]:
        """Return method, path and answer of every endpoint."""
        return [
            ("GET", "/fapi/v1/allOrders", self._orders),
            ("GET", "/fapi/v1/allAlgoOrders", self._algo_orders),
            ("GET", "/fapi/v1/userTrades", self._trades),
            ("GET", "/fapi/v1/income", self._income),
        ]

    def _orders(self, params: Params) -> object:
        symbol, query = read_symbol(params), _read_week(params, "orderId")
        self._account.now_ms()
        orders = self._history.orders(symbol, query)
        return [self._account.order_row(order) for order in orders]

    def _algo_orders(self, params: Params) -> object:
        symbol, query = read_symbol(params), _read_week(params, "algoId")
        self._account.now_ms()
        algos = self._history.algo_orders(symbol, query)
        return [self._account.algo_row(algo) for algo in algos]

    def _trades(self, params: Params) -> object:
        symbol, query = read_symbol(params), _read_week(params, "fromId")
        if query.first_id is not None and (query.start_ms, query.end_ms) != (None, None):
            raise error_answers.invalid_combination()
        self._account.now_ms()
        trades = self._history.trades(symbol, query, read_number(params, "orderId"))
        return [order_answers.trade_row(trade, self._account.symbols[symbol]) for trade in trades]

    def _income(self, params: Params) -> object:
        symbol = read_optional_symbol(params)
        query = read_history_query(params, None, _MOST, _USUAL_INCOME)
        page = read_number(params, "page")
        if page == 0:
            raise error_answers.invalid_value("page")
        self._account.now_ms()
        kind = params.get("incomeType") or None
        rows = self._history.income(query._replace(page=page), symbol, kind)
        return [order_answers.income_row(row) for row in rows]


def _read_week(params: Params, id_name: str) -> HistoryQuery:
    """Read a query that covers at most seven days (−1127)."""
    query = read_history_query(params, id_name, _MOST, _USUAL)
    if (
        query.start_ms is not None
        and query.end_ms is not None
        and query.end_ms - query.start_ms > _WEEK_MS
    ):
        raise error_answers.more_than_a_week()
    return query
