"""The REST endpoints of orders, positions and their history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import order_answers
from warmup_job.local_binance.account.decimal_text import plain
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest import order_params as read
from warmup_job.local_binance.rest.error_answers import ErrorAnswer

if TYPE_CHECKING:
    from warmup_job.local_binance.account.account_answers import AccountAnswers
    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord
    from warmup_job.local_binance.account.trading_account import TradingAccount
    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.prices.price_feed import PriceFeed

_Params = Mapping[str, str]
_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class TradingRest:
    """Answers order requests whose key and signature have been checked.

    Args:
        trading: The account's orders, positions and wallet.
        answers: Prints the account.
        feeds: The futures market's prices by symbol.
        clock: The exchange's clock.
    """

    def __init__(
        self,
        trading: TradingAccount,
        answers: AccountAnswers,
        feeds: Mapping[str, PriceFeed],
        clock: ExchangeClock,
    ) -> None:
        self._trading = trading
        self._answers = answers
        self._feeds = feeds
        self._listing = {name: feed.symbol for name, feed in feeds.items()}
        self._clock = clock

    def routes(self) -> list[tuple[str, str, Callable[[_Params], object]]]:
        """Return method, path and answer of every endpoint."""
        changes: list[tuple[str, str, Callable[[_Params], object]]] = [
            ("POST", "/fapi/v1/order", self._place),
            ("PUT", "/fapi/v1/order", self._amend),
            ("DELETE", "/fapi/v1/order", self._cancel),
            ("DELETE", "/fapi/v1/allOpenOrders", self._cancel_all),
            ("POST", "/fapi/v1/countdownCancelAll", self._countdown),
            ("POST", "/fapi/v1/algoOrder", self._place_algo),
            ("DELETE", "/fapi/v1/algoOrder", self._cancel_algo),
            ("DELETE", "/fapi/v1/algoOpenOrders", self._cancel_all_algos),
        ]
        reads: list[tuple[str, str, Callable[[_Params], object]]] = [
            ("GET", "/fapi/v1/order", self._order),
            ("GET", "/fapi/v1/openOrders", self._open_orders),
            ("GET", "/fapi/v1/allOrders", self._all_orders),
            ("GET", "/fapi/v1/userTrades", self._trades),
            ("GET", "/fapi/v1/income", self._income),
            ("GET", "/fapi/v1/algoOrder", self._algo_order),
            ("GET", "/fapi/v1/openAlgoOrders", self._open_algo_orders),
            ("GET", "/fapi/v1/allAlgoOrders", self._all_algo_orders),
            ("GET", "/fapi/v2/positionRisk", self._position_risk_v2),
            ("GET", "/fapi/v3/positionRisk", self._position_risk_v3),
            ("GET", "/fapi/v2/account", lambda _: self._answers.account_v2(self._now_ms())),
            ("GET", "/fapi/v3/account", lambda _: self._answers.account_v3(self._now_ms())),
            ("GET", "/fapi/v2/balance", lambda _: self._answers.balances(self._now_ms())),
            ("GET", "/fapi/v3/balance", lambda _: self._answers.balances(self._now_ms())),
        ]
        return [
            *(
                (method, path, self._journaled(method, path, make))
                for method, path, make in changes
            ),
            *reads,
        ]

    def state(self, after: int) -> dict[str, Any]:
        """Return the account for `GET /_sim/account`: its state and the journal after an entry."""
        now_ms = self._now_ms()
        trading = self._trading
        positions = []
        for position in trading.positions():
            mark = trading.mark_price(position.symbol, now_ms)
            positions.append(
                {
                    "symbol": position.symbol,
                    "position_side": position.side,
                    "quantity": plain(position.quantity),
                    "entry_price": plain(position.entry_price),
                    "mark_price": plain(mark),
                    "unrealised": plain(position.unrealised(mark)),
                }
            )
        return {
            "now_ms": now_ms,
            "wallet": plain(trading.wallet),
            "positions": positions,
            "orders": [
                *(_open_order(order) for order in trading.open_orders()),
                *(_open_algo(algo) for algo in trading.open_algo_orders()),
            ],
            "journal": trading.journal.after(after),
        }

    def _now_ms(self) -> int:
        """Let the account catch up, and return the exchange's time."""
        now_ms = self._clock.now_ms()
        self._trading.advance(now_ms)
        return now_ms

    def _journaled(
        self, method: str, path: str, make: Callable[[_Params], object]
    ) -> Callable[[_Params], object]:
        def reply(params: _Params) -> object:
            names = ("newClientOrderId", "origClientOrderId", "clientAlgoId")
            client_id = next((params[name] for name in names if params.get(name)), "")
            try:
                body = make(params)
            except ErrorAnswer as refused:
                self._trading.journal.request(
                    self._clock.now_ms(), method, path, client_id, refused.status, refused.code
                )
                raise
            self._trading.journal.request(self._clock.now_ms(), method, path, client_id, 200, 0)
            return body

        return reply

    # --- orders ---

    def _place(self, params: _Params) -> object:
        now_ms = self._clock.now_ms()
        is_whole = read.wants_result(params)
        order = self._trading.place(read.read_new_order(params, self._listing, now_ms), now_ms)
        return self._order_row(order if is_whole else order_answers.acknowledged(order))

    def _amend(self, params: _Params) -> object:
        change = read.read_order_change(params, self._listing)
        return self._order_row(self._trading.amend(change, self._clock.now_ms()))

    def _cancel(self, params: _Params) -> object:
        symbol, reference = read_symbol(params), read.read_order_reference(params)
        return self._order_row(self._trading.cancel(symbol, reference, self._clock.now_ms()))

    def _cancel_all(self, params: _Params) -> object:
        self._trading.cancel_all(read_symbol(params), self._clock.now_ms())
        return _DONE

    def _countdown(self, params: _Params) -> object:
        symbol, countdown_ms = read_symbol(params), read_number(params, "countdownTime")
        if countdown_ms is None:
            raise error_answers.missing("countdownTime")
        self._trading.countdown(symbol, countdown_ms, self._clock.now_ms())
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    def _order(self, params: _Params) -> object:
        self._now_ms()
        symbol, reference = read_symbol(params), read.read_order_reference(params)
        return self._order_row(self._trading.order(symbol, reference))

    def _open_orders(self, params: _Params) -> object:
        self._now_ms()
        return [self._order_row(each) for each in self._trading.open_orders(_symbol(params))]

    def _all_orders(self, params: _Params) -> object:
        self._now_ms()
        orders = self._trading.all_orders(
            read_symbol(params),
            read_number(params, "startTime"),
            read_number(params, "endTime"),
            read_number(params, "limit") or 500,
            read_number(params, "orderId"),
        )
        return [self._order_row(order) for order in orders]

    def _trades(self, params: _Params) -> object:
        self._now_ms()
        symbol = read_symbol(params)
        trades = self._trading.trades(
            symbol,
            read_number(params, "startTime"),
            read_number(params, "endTime"),
            read_number(params, "limit") or 500,
            read_number(params, "fromId"),
            read_number(params, "orderId"),
        )
        return [order_answers.trade_row(each, self._feeds[symbol].symbol) for each in trades]

    def _income(self, params: _Params) -> object:
        self._now_ms()
        rows = self._trading.income(
            _symbol(params),
            params.get("incomeType") or None,
            read_number(params, "startTime"),
            read_number(params, "endTime"),
            read_number(params, "limit") or 100,
        )
        return [order_answers.income_row(row) for row in rows]

    # --- algo orders ---

    def _place_algo(self, params: _Params) -> object:
        now_ms = self._clock.now_ms()
        new = read.read_new_algo_order(params, self._listing, now_ms)
        return self._algo_row(self._trading.place_algo(new, now_ms))

    def _cancel_algo(self, params: _Params) -> object:
        reference = read.read_algo_reference(params)
        algo = self._trading.cancel_algo(reference, self._clock.now_ms())
        return order_answers.algo_cancelled(algo)

    def _cancel_all_algos(self, params: _Params) -> object:
        self._trading.cancel_all_algos(read_symbol(params), self._clock.now_ms())
        return _DONE

    def _algo_order(self, params: _Params) -> object:
        self._now_ms()
        return self._algo_row(self._trading.algo_order(read.read_algo_reference(params)))

    def _open_algo_orders(self, params: _Params) -> object:
        self._now_ms()
        return [self._algo_row(each) for each in self._trading.open_algo_orders(_symbol(params))]

    def _all_algo_orders(self, params: _Params) -> object:
        self._now_ms()
        algos = self._trading.all_algo_orders(
            read_symbol(params),
            read_number(params, "startTime"),
            read_number(params, "endTime"),
            read_number(params, "limit") or 500,
            read_number(params, "algoId"),
        )
        return [self._algo_row(algo) for algo in algos]

    # --- positions ---

    def _position_risk_v2(self, params: _Params) -> object:
        return self._answers.position_risk_v2(_symbol(params), self._now_ms())

    def _position_risk_v3(self, params: _Params) -> object:
        return self._answers.position_risk_v3(_symbol(params), self._now_ms())

    def _order_row(self, order: OrderRecord) -> dict[str, Any]:
        return order_answers.order_row(order, self._feeds[order.symbol].symbol)

    def _algo_row(self, algo: AlgoRecord) -> dict[str, Any]:
        created = self._trading.created_by(algo)
        return order_answers.algo_row(algo, self._feeds[algo.symbol].symbol, created)


def _symbol(params: _Params) -> str | None:
    return read_symbol(params) if "symbol" in params else None


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
