"""The REST endpoints that place, change, cancel and show orders, one by one or in batches.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import order_answers
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import batch_params, error_answers, order_params
from warmup_job.local_binance.rest.error_answers import ErrorAnswer
from warmup_job.local_binance.rest.order_rate import order_limits
from warmup_job.local_binance.rest.parameter_values import read_optional_symbol

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmup_job.local_binance.rest.parameter_values import Params
    from warmup_job.local_binance.rest.served_account import ServedAccount
    from warmup_job.local_binance.rest.signed_requests import Route

_ORDER = "/fapi/v1/order"
_BATCH = "/fapi/v1/batchOrders"
ALL_CANCELLED = {"code": 200, "msg": "The operation of cancel all open order is done."}


class OrderRest:
    """Answers the requests about orders.

    Args:
        account: The account.
    """

    def __init__(self, account: ServedAccount) -> None:
        self._account = account
        self._orders = account.trading.orders

    def routes(self) -> list[Route]:
        """Return method, path and answer of every endpoint."""
        journaled = self._account.journaled
        return [
            journaled("POST", _ORDER, self.place),
            journaled("PUT", _ORDER, self._change),
            journaled("DELETE", _ORDER, self.cancel),
            journaled("DELETE", "/fapi/v1/allOpenOrders", self._cancel_all),
            journaled("POST", "/fapi/v1/countdownCancelAll", self._count_down),
            ("POST", _BATCH, self._place_batch),
            ("PUT", _BATCH, self._change_batch),
            ("DELETE", _BATCH, self._cancel_batch),
            ("GET", _ORDER, self._show),
            ("GET", "/fapi/v1/openOrder", self._show_open),
            ("GET", "/fapi/v1/openOrders", self._show_all_open),
            ("GET", "/fapi/v1/rateLimit/order", lambda _: order_limits()),
        ]

    def place(self, params: Params) -> dict[str, Any]:
        """Place an order and return it as accepted, or with its first fills.

        Raises:
            ErrorAnswer: It is refused.
        """
        now_ms = self._account.now_ms()
        wants_result = order_params.wants_result(params)
        order = self._orders.place(
            order_params.read_new_order(params, self._account.symbols, now_ms), now_ms
        )
        return self._account.order_row(order if wants_result else order_answers.acknowledged(order))

    def cancel(self, params: Params) -> dict[str, Any]:
        """Cancel an order and return it.

        Raises:
            ErrorAnswer: −2011, it is not open; or a parameter is invalid.
        """
        symbol, reference = read_symbol(params), order_params.read_order_reference(params)
        order = self._orders.cancel(symbol, reference, self._account.now_ms())
        return self._account.order_row(order)

    def _change(self, params: Params) -> dict[str, Any]:
        change = order_params.read_order_change(params, self._account.symbols)
        return self._account.order_row(self._orders.amend(change, self._account.now_ms()))

    def _cancel_all(self, params: Params) -> object:
        self._orders.cancel_all(read_symbol(params), self._account.now_ms())
        return ALL_CANCELLED

    def _count_down(self, params: Params) -> object:
        symbol, countdown_ms = read_symbol(params), read_number(params, "countdownTime")
        if countdown_ms is None:
            raise error_answers.missing("countdownTime")
        self._orders.countdown(symbol, countdown_ms, self._account.now_ms())
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    # --- batches: each order has its own answer ---

    def _place_batch(self, params: Params) -> object:
        return self._each("POST", batch_params.read_batch(params), self.place)

    def _change_batch(self, params: Params) -> object:
        return self._each("PUT", batch_params.read_batch(params), self._change)

    def _cancel_batch(self, params: Params) -> object:
        symbol = read_symbol(params)
        orders = [
            {"symbol": symbol, "orderId": str(reference.order_id)}
            if reference.client_id is None
            else {"symbol": symbol, "origClientOrderId": reference.client_id}
            for reference in batch_params.read_references(params)
        ]
        return self._each("DELETE", orders, self.cancel)

    def _each(
        self, method: str, orders: list[dict[str, str]], make: Callable[[Params], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        for order in orders:
            try:
                answers.append(self._account.noted(method, _BATCH, order, make))
            except ErrorAnswer as refused:
                answers.append({"code": refused.code, "msg": refused.message})
        return answers

    # --- what exists ---

    def _show(self, params: Params) -> object:
        symbol, reference = read_symbol(params), order_params.read_order_reference(params)
        self._account.now_ms()
        return self._account.order_row(self._orders.one(symbol, reference))

    def _show_open(self, params: Params) -> object:
        symbol, reference = read_symbol(params), order_params.read_order_reference(params)
        self._account.now_ms()
        order = self._orders.one(symbol, reference)
        if not order.is_open:
            raise error_answers.no_such_order()
        return self._account.order_row(order)

    def _show_all_open(self, params: Params) -> object:
        self._account.now_ms()
        orders = self._orders.open(read_optional_symbol(params))
        return [self._account.order_row(order) for order in orders]
