"""Control paths of the account, for tests: its journal, money, funding, and a second client.

They have no key, no weight, no faults and no limits.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.decimal_text import plain
from warmup_job.local_binance.account.signature import read_client_request
from warmup_job.local_binance.prices.funding_schedule import parse_funding
from warmup_job.local_binance.rest.error_answers import ErrorAnswer
from warmup_job.local_binance.rest.responses import answer, error_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.rest.algo_order_rest import AlgoOrderRest
    from warmup_job.local_binance.rest.order_rest import OrderRest
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.local_binance.rest.served_account import ServedAccount

_ORDERS = "/_sim/orders"
_ALGO_NAMES = ("algoType", "algoId", "clientAlgoId")


class AccountControl:
    """Answers the control paths of the account.

    Args:
        account: The account.
        orders: Places and cancels orders for the second client.
        algo_orders: Places and cancels its algo orders.
        funding: Funding rates and times.
    """

    def __init__(
        self,
        account: ServedAccount,
        orders: OrderRest,
        algo_orders: AlgoOrderRest,
        funding: FundingSchedule,
    ) -> None:
        self._account = account
        self._orders = orders
        self._algo_orders = algo_orders
        self._funding = funding

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of every control path."""
        return [
            ("GET", "/_sim/account", _refusable(self._show)),
            ("POST", "/_sim/transfer", _refusable(self._transfer)),
            ("POST", "/_sim/funding", _refusable(self._pay_funding)),
            ("PUT", "/_sim/funding", _refusable(self._change_funding)),
            ("POST", _ORDERS, _refusable(self._place)),
            ("DELETE", _ORDERS, _refusable(self._cancel)),
        ]

    async def _show(self, request: web.Request) -> object:
        """Answer the account's state, and its journal after entry ``after``."""
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise ConfigError(f"after is {after!r}; it must be the number of an entry.")
        now_ms = self._account.now_ms()
        trading = self._account.trading
        positions = [
            {
                "symbol": position.symbol,
                "position_side": position.side,
                "quantity": plain(position.quantity),
                "entry_price": plain(position.entry_price),
                "mark_price": plain(mark),
                "unrealised": plain(position.unrealised(mark)),
            }
            for position in trading.positions()
            if (mark := trading.mark_price(position.symbol, now_ms))
        ]
        return {
            "now_ms": now_ms,
            "wallet": plain(trading.wallet),
            "positions": positions,
            "orders": [
                *(_open_order(order) for order in trading.orders.open()),
                *(_open_algo(algo) for algo in trading.algo_orders.open()),
            ],
            "journal": trading.journal.after(int(after)),
        }

    async def _transfer(self, request: web.Request) -> object:
        """Deposit (> 0) or withdraw (< 0) the amount in the body, USDT."""
        text = (await request.text()).strip()
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or not amount:
            raise ConfigError(f"the amount is {text!r}; it must be a decimal number other than 0.")
        self._account.trading.transfer(amount, self._account.now_ms())
        return {"wallet": plain(self._account.trading.wallet)}

    async def _pay_funding(self, request: web.Request) -> object:
        """Pay funding now, at the rate in the body; the schedule does not change."""
        spec = parse_funding(await request.text())
        now_ms = self._account.now_ms()
        paid = self._account.trading.pay_funding(spec.symbol, spec.rate, now_ms)
        return {"change": plain(paid), "wallet": plain(self._account.trading.wallet)}

    async def _change_funding(self, request: web.Request) -> object:
        """Change rate and interval of a symbol from now on."""
        spec = parse_funding(await request.text())
        terms = self._funding.change(spec, self._account.now_ms())
        return {"symbol": spec.symbol, "rate": plain(terms.rate), "hours": terms.hours}

    async def _place(self, request: web.Request) -> object:
        """Place the order in the body as another client of the account."""
        params = await _read_params(request)
        place = self._algo_orders.place if "algoType" in params else self._orders.place
        return self._account.noted("POST", _ORDERS, params, place)

    async def _cancel(self, request: web.Request) -> object:
        """Cancel an order as another client of the account."""
        params = await _read_params(request)
        is_algo = any(name in params for name in _ALGO_NAMES)
        cancel = self._algo_orders.cancel if is_algo else self._orders.cancel
        return self._account.noted("DELETE", _ORDERS, params, cancel)


async def _read_params(request: web.Request) -> dict[str, str]:
    return read_client_request(request.query_string, await request.text()).params


def _refusable(make: Callable[[web.Request], Awaitable[object]]) -> Handler:
    async def reply(request: web.Request) -> web.StreamResponse:
        try:
            return answer(request, await make(request))
        except ErrorAnswer as refused:
            return error_answer(refused)
        except ConfigError as error:
            return answer(request, {"error": str(error)}, status=400)

    return reply


def _open_order(order: OrderRecord) -> dict[str, Any]:
    return {
        "client_id": order.client_id,
        "order_id": order.order_id,
        "kind": "order",
        "symbol": order.symbol,
        "position_side": order.position_side,
        "side": order.side,
        "type": order.type,
        "price": plain(order.price),
        "stop_price": plain(order.stop_price),
        "quantity": plain(order.quantity),
        "filled": plain(order.filled),
        "status": order.status,
        "reduces": order.reduces,
        "created_ms": order.created_ms,
    }


def _open_algo(algo: AlgoRecord) -> dict[str, Any]:
    return {
        "client_id": algo.client_id,
        "order_id": algo.algo_id,
        "kind": "algo",
        "symbol": algo.symbol,
        "position_side": algo.position_side,
        "side": algo.side,
        "type": algo.type,
        "price": plain(algo.price),
        "stop_price": plain(algo.trigger_price),
        "quantity": plain(algo.quantity),
        "filled": "0",
        "status": algo.status,
        "reduces": algo.reduces,
        "created_ms": algo.created_ms,
    }
