"""Requests for orders whose outcome is always known: an unclear answer is followed by a query.

Nautilus rejects an order at any error, also at -1007 and HTTP 503, after which it can rest at the
exchange; and a dropped connection leaves an order in flight for ever. So these requests are wrapped
where they leave, below everything else in Nautilus' client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from loguru import logger
from nautilus_trader.adapters.binance.common.enums import (
    BinanceFuturesPositionSide,
    BinanceOrderSide,
    BinanceOrderStatus,
    BinanceOrderType,
)
from nautilus_trader.adapters.binance.common.schemas.account import BinanceOrder
from nautilus_trader.adapters.binance.futures.http.account import BinanceFuturesAccountHttpAPI
from nautilus_trader.adapters.binance.futures.schemas.account import (
    BinanceFuturesAlgoOrder,
    BinanceFuturesAlgoOrderCancelResponse,
)
from nautilus_trader.adapters.binance.http.error import BinanceClientError, BinanceError
from nautilus_trader.core.nautilus_pyo3 import HttpError, HttpTimeoutError

from warmup_job.binance.unknown_outcome import (
    NO_SUCH_ORDER,
    NOT_CANCELLED,
    PLACED_WITHIN_S,
    is_from_elsewhere,
    is_outcome_unknown,
    not_placed_reason,
    not_reached_reason,
)

ANSWER_S = 10.0
"""How many seconds an answer may take; after that the outcome counts as unknown."""
UNANSWERED_S = 30.0
"""How long an order counts as being on its way while its request and queries stay unanswered."""
_ABSENT_AFTER_S = (0.0, 0.25, 0.5)
"""Pauses before the queries that all have to find no order, until it counts as not placed."""
_LATE_PAUSE_S = 1.0  # between further queries in that time
_LONGEST_PAUSE_S = 8.0
_LIMIT_PAUSE_S = 60.0  # after 429 and 418 without Retry-After
_LIMITED = frozenset({418, 429})
_OPEN_ALGO = frozenset({"NEW", "TRIGGERING", "TRIGGERED"})
_OPEN = frozenset({BinanceOrderStatus.NEW, BinanceOrderStatus.PARTIALLY_FILLED})

_ENDS_LOSSES = frozenset(
    {
        BinanceOrderType.MARKET,
        BinanceOrderType.STOP,
        BinanceOrderType.STOP_MARKET,
        BinanceOrderType.TRAILING_STOP_MARKET,
    }
)
"""Types of orders that protect a position, if they close it."""
_CLOSING_SIDES = frozenset({(BinanceOrderSide.SELL, BinanceFuturesPositionSide.LONG),
                            (BinanceOrderSide.BUY, BinanceFuturesPositionSide.SHORT)})  # fmt: skip
_NO_ANSWER = (HttpError, HttpTimeoutError, TimeoutError, msgspec.DecodeError)


class _UnclearError(Exception):
    """A request for an order whose outcome is unknown."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status, self.cause = status, cause


class CertainOrders(BinanceFuturesAccountHttpAPI):
    """Nautilus' futures account endpoints, with a query after every unclear answer to an order.

    A request returns when the exchange has confirmed that the order exists (or, for a cancel, that
    it is no longer open). It raises when the exchange has refused the request, or has confirmed
    that the order does not exist; see `warmup_job.binance.unknown_outcome.may_send_again`. While
    the exchange does not answer, it keeps asking.

    A request that was delayed on its way can place its order as long as its recvWindow lasts, so an
    order counts as absent only after that. A stop loss, or a market order that closes, does not
    wait for it: its position is unprotected, and a second one cannot open a position.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as Nautilus' class
        super().__init__(*args, **kwargs)
        self._asked_s: dict[str, list[float]] = {}  # when the unanswered requests were sent
        self.on_algo_placed: Callable[[BinanceFuturesAlgoOrder], object] = lambda _: None
        """Called with each conditional order that exists now, as the exchange has answered it."""

    async def new_order(self, **order: Any) -> BinanceOrder:  # noqa: ANN401
        """Place an order."""
        order_id: str = order["new_client_order_id"]
        query = partial(self.query_order, order["symbol"], orig_client_order_id=order_id)
        return await self._place(
            order_id, super().new_order(**order), query, _placed_within_s(order)
        )

    async def new_algo_order(self, **order: Any) -> BinanceFuturesAlgoOrder:  # noqa: ANN401
        """Place a conditional order."""
        order_id: str = order["client_algo_id"]
        query = partial(self.query_algo_order, client_algo_id=order_id)
        sent = super().new_algo_order(**order)
        placed = await self._place(order_id, sent, query, _placed_within_s(order))
        self.on_algo_placed(placed)
        return placed

    async def cancel_order(
        self,
        symbol: str,
        order_id: int | None = None,
        orig_client_order_id: str | None = None,
        recv_window: str | None = None,
    ) -> BinanceOrder:
        """Cancel an order; if that fails unclearly, return once the order is known to be closed.

        That includes -2011: the order has just been filled, or its event never came. Nautilus would
        take the order for open again, and send the cancel for ever.
        """
        client_id = orig_client_order_id or str(order_id)
        sent = super().cancel_order(symbol, order_id, orig_client_order_id, recv_window)
        with self._tracked(client_id):
            try:
                return await _answer(client_id, sent, also_unclear=NOT_CANCELLED)
            except _UnclearError as error:
                query = partial(self.query_order, symbol, order_id, orig_client_order_id)
                found = await self._query(query)
                if found is None or found.status in _OPEN:
                    raise _not_cancelled(error) from None
                return found

    async def cancel_algo_order(
        self,
        algo_id: int | None = None,
        client_algo_id: str | None = None,
        recv_window: str | None = None,
    ) -> BinanceFuturesAlgoOrderCancelResponse:
        """Cancel a conditional order; see `cancel_order`."""
        client_id = client_algo_id or str(algo_id)
        sent = super().cancel_algo_order(algo_id, client_algo_id, recv_window)
        with self._tracked(client_id):
            try:
                return await _answer(client_id, sent, also_unclear=NOT_CANCELLED)
            except _UnclearError as error:
                query = partial(self.query_algo_order, algo_id, client_algo_id)
                found = await self._query(query)
                if found is None or found.algoStatus in _OPEN_ALGO:
                    raise _not_cancelled(error) from None
                return BinanceFuturesAlgoOrderCancelResponse(
                    algoId=found.algoId, clientAlgoId=found.clientAlgoId, code="200", msg="success"
                )

    async def find_algo_order(self, order_id: str) -> BinanceFuturesAlgoOrder | None:
        """Ask for a conditional order until the exchange answers.

        Args:
            order_id: its client id.

        Returns:
            None: it does not exist.
        """
        return await self._query(partial(self.query_algo_order, client_algo_id=order_id))

    @property
    def under_way(self) -> set[str]:
        """Client ids of the orders whose request, or the query after it, is not answered yet.

        `UNANSWERED_S` after its newest request an order is left out, so that a reading of the
        account decides on it: its query may fail for as long as the other requests succeed.
        """
        after_s = asyncio.get_running_loop().time() - UNANSWERED_S
        return {order_id for order_id, asked_s in self._asked_s.items() if max(asked_s) > after_s}

    @contextlib.contextmanager
    def _tracked(self, order_id: str) -> Iterator[None]:
        at_s, of_order = asyncio.get_running_loop().time(), self._asked_s.setdefault(order_id, [])
        of_order.append(at_s)
        try:
            yield
        finally:
            of_order.remove(at_s)  # a placement and a cancel can overlap
            if not of_order:
                del self._asked_s[order_id]

    async def _place[T](
        self,
        order_id: str,
        sent: Awaitable[T],
        query: Callable[[], Awaitable[T]],
        placed_within_s: float,
    ) -> T:
        placed_until_s = asyncio.get_running_loop().time() + placed_within_s
        with self._tracked(order_id):
            try:
                return await _answer(order_id, sent)
            except _UnclearError as error:
                failure = error
            found = await self._query(query, placed_until_s)
            if found is None:
                raise BinanceClientError(failure.status, not_placed_reason(failure.cause), {})
            logger.info(
                "order {order} exists, although its request failed: {cause}",
                event="order.exists_after_failure",
                order=order_id,
                cause=failure.cause,
            )
            return found

    async def _query[T](
        self, query: Callable[[], Awaitable[T]], placed_until_s: float = 0.0
    ) -> T | None:
        """Ask for an order until the exchange answers; return None if it does not exist.

        Args:
            query: asks once.
            placed_until_s: a query before does not show that it will not exist; the loop's time.
        """
        absent, failed, absent_s, clock_s = 0, 0, 0.0, asyncio.get_running_loop().time
        while absent < len(_ABSENT_AFTER_S) or absent_s < placed_until_s:
            await asyncio.sleep(
                _ABSENT_AFTER_S[absent] if absent < len(_ABSENT_AFTER_S) else _LATE_PAUSE_S
            )
            asked_s = clock_s()
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await query()
            except BinanceError as error:
                if error_code(error) == NO_SUCH_ORDER:
                    absent, absent_s = absent + 1, asked_s
                    continue
                pause_s = _pause_s(error, failed)
            except _NO_ANSWER:
                pause_s = _pause_s(None, failed)
            failed += 1
            await asyncio.sleep(pause_s)
        return None


async def _answer[T](order_id: str, sent: Awaitable[T], also_unclear: int | None = None) -> T:
    """Return the answer to a request.

    Args:
        order_id: the client id of its order.
        sent: the request.
        also_unclear: a code that says too little about the order.

    Raises:
        BinanceError: the exchange has refused the request, or it has not reached the exchange.
        _UnclearError: the request may have had its effect, or not.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            return await sent
    except BinanceError as error:
        code = error_code(error)
        unclear = _UnclearError(error.status, f"HTTP {error.status}, code {code}")
        if code is not None and code == also_unclear:
            raise unclear from None
        if not is_outcome_unknown(error.status, code):
            if is_from_elsewhere(code):
                reason = not_reached_reason(error.status)
                raise BinanceClientError(error.status, reason, error.headers) from None
            raise
    except _NO_ANSWER as error:
        unclear = _UnclearError(0, f"no usable answer, {type(error).__name__}")
    logger.warning(
        "order {order}: the outcome of a request is unknown ({cause})",
        event="order.outcome_unknown",
        order=order_id,
        cause=unclear.cause,
    )
    raise unclear


def _placed_within_s(order: Mapping[str, Any]) -> float:
    """Return for how long a request may still place its order, or 0 if that is not waited for.

    Args:
        order: the arguments of the request.
    """
    is_urgent = order["order_type"] in _ENDS_LOSSES and _closes(order)
    return 0.0 if is_urgent else PLACED_WITHIN_S


def _closes(order: Mapping[str, Any]) -> bool:
    """Return whether an order can only make its position smaller."""
    if (order["side"], order.get("position_side")) in _CLOSING_SIDES:
        return True
    flags = (order.get("reduce_only"), order.get("close_position"))  # of one-way mode; text
    return any(str(flag).lower() == "true" for flag in flags)


def _not_cancelled(error: _UnclearError) -> BinanceClientError:
    return BinanceClientError(
        error.status, f"the cancel had no effect ({error.cause}): the order is still open", {}
    )


def error_code(error: BinanceError) -> int | None:
    """Return Binance's code in an error of Nautilus' client; None: it has none."""
    code = error.message.get("code") if isinstance(error.message, dict) else None
    return code if isinstance(code, int) else None


def _pause_s(error: BinanceError | None, failed: int) -> float:
    if error is not None and error.status in _LIMITED:
        lower = {str(name).lower(): value for name, value in dict(error.headers or {}).items()}
        after = str(lower.get("retry-after", ""))
        return float(after) + 1 if after.isascii() and after.isdigit() else _LIMIT_PAUSE_S
    return float(min(0.25 * 2**failed, _LONGEST_PAUSE_S))
