"""Read the positions and open orders of a futures account while it is traded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, NamedTuple, Self

from warmup_job.binance.client import BinanceClient, make_ccxt
from warmup_job.binance.connection_errors import connection_error
from warmup_job.binance.funds import (
    QUIET_MS,
    AccountFunds,
    Income,
    parse_assets,
    parse_income,
    parse_unrealised,
)
from warmup_job.binance.proxies import proxy_for
from warmup_job.errors import ExchangeUnreachableError, WarmupError

POSITIONS_WEIGHT, ORDERS_WEIGHT = 5, 2
"""Request weight of the positions, and of one symbol's open orders and conditional orders.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

HISTORY_WEIGHT = 10
"""Request weight of one symbol's newest orders and conditional orders."""

ACCOUNT_WEIGHT, INCOME_WEIGHT = 5, 30
"""Request weight of the balances, and of one page of income.

https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""
INCOME_ROWS = 1000
"""The most rows of one page of income."""


class OpenOrder(NamedTuple):
    """An order that is open at the exchange."""

    symbol: str
    filled: Decimal
    """How much of it has been filled, base currency."""
    position_side: str = ""
    """LONG, SHORT or BOTH."""
    quantity: Decimal = Decimal(0)
    """Its whole size, base currency."""
    created_ms: int = 0
    """UTC ms on the exchange's clock."""
    number: int = 0
    """The exchange's own number of it; 0: it is conditional, which has numbers of its own."""


class AccountSnapshot(NamedTuple):
    """What the exchange says of an account."""

    positions: Mapping[tuple[str, str], Decimal]
    """Signed quantity by symbol and position side (LONG, SHORT or BOTH); never 0."""
    orders: Mapping[str, OpenOrder]
    """Open orders and conditional orders by client id."""
    began_ms: int = 0
    """When the reading began, UTC ms on the exchange's clock."""


class AccountReader:
    """Reads an account; use it as ``async with AccountReader(...) as reader``.

    Its requests count in the client's weight budget, but do not wait for it: an account must not
    stay unread because of klines. It sends nothing while the exchange limits or blocks this IP. It
    signs with the exchange's time, so a wrong clock of this machine does not blind it.

    Args:
        client: The client of the market; its clock is the exchange's.
        url: The REST base URL.
        api_key: The API key.
        api_secret: See `warmup_job.binance.api_keys.signing_secret`.
        symbols: The traded symbols.
    """

    def __init__(
        self,
        client: BinanceClient,
        url: str,
        api_key: str,
        api_secret: str,
        symbols: Iterable[str],
    ) -> None:
        self._client = client
        self._symbols = tuple(symbols)
        self._proxy = proxy_for(url)
        self._ccxt = make_ccxt(
            client.check_answer,
            proxy=self._proxy,
            api_key=api_key,
            api_secret=api_secret,
            is_encrypted=url.startswith("https:"),
        )
        urls = self._ccxt.urls["api"]
        urls["fapiPrivate"], urls["fapiPrivateV3"] = f"{url}/fapi/v1", f"{url}/fapi/v3"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._ccxt.close()

    @property
    def weight(self) -> int:
        """Request weight of one `read`."""
        return POSITIONS_WEIGHT + ORDERS_WEIGHT * len(self._symbols)

    async def read(self) -> AccountSnapshot:
        """Read the positions and the open orders of the traded symbols, once and without retry.

        Raises:
            WarmupError: The exchange did not answer, refused, or limits or blocks this IP.
        """
        ccxt, began_ms = self._ccxt, self._client.now_ms()
        answers = await self._ask(
            self.weight,
            lambda: [
                ccxt.fapiPrivateV3GetPositionRisk({}),
                *(ccxt.fapiPrivateGetOpenOrders({"symbol": each}) for each in self._symbols),
                *(ccxt.fapiPrivateGetOpenAlgoOrders({"symbol": each}) for each in self._symbols),
            ],
        )
        with self._expected():
            return _snapshot(answers[0], answers[1:], frozenset(self._symbols), began_ms)

    async def newest_orders(self) -> list[tuple[str, OpenOrder]]:
        """Read the newest 1,000 orders and conditional orders of each symbol, open and closed.

        Returns:
            Client ids and orders.

        Raises:
            WarmupError: The exchange did not answer, refused, or limits or blocks this IP.
        """
        asked = [{"symbol": each, "limit": 1000} for each in self._symbols]
        answers = await self._ask(
            HISTORY_WEIGHT * len(asked),
            lambda: [
                *(self._ccxt.fapiPrivateGetAllOrders(each) for each in asked),
                *(self._ccxt.fapiPrivateGetAllAlgoOrders(each) for each in asked),
            ],
        )
        with self._expected():
            return [(_client_id(each), _order(each)) for found in answers for each in found]

    async def read_funds(self, after_ms: int | None) -> AccountFunds:
        """Read the balances and what has changed them, once and without retry.

        Args:
            after_ms: The changes are read from the next ms on, the exchange's time; None: from
                `QUIET_MS` ago.

        Raises:
            WarmupError: The exchange did not answer, refused, or limits or blocks this IP.
        """
        ccxt = self._ccxt
        asked_ms = self._client.now_ms()
        account = await self._ask(ACCOUNT_WEIGHT, lambda: [ccxt.fapiPrivateV3GetAccount({})])
        with self._expected():
            assets, unrealised = parse_assets(account[0]), parse_unrealised(account[0])
        start_ms = asked_ms - QUIET_MS if after_ms is None else after_ms + 1
        income = await self._read_income(start_ms)
        return AccountFunds(asked_ms, assets, tuple(income), unrealised)

    async def _read_income(self, start_ms: int) -> list[Income]:
        """Read all income from ``start_ms`` on, page by page."""
        income: list[Income] = []
        page = 1
        while True:
            asked = {"startTime": start_ms, "limit": INCOME_ROWS}
            if page > 1:
                asked["page"] = page
            answers = await self._ask(
                INCOME_WEIGHT,
                lambda asked=asked: [self._ccxt.fapiPrivateGetIncome(asked)],  # type: ignore[misc]
            )
            with self._expected():
                rows = parse_income(answers[0])
            if len(rows) < INCOME_ROWS:
                return income + rows
            last_ms = rows[-1].at_ms
            if rows[0].at_ms == last_ms:
                page += 1
                income += rows
                continue
            # The page may end within a ms: read that ms again.
            income += [row for row in rows if row.at_ms < last_ms]
            start_ms, page = last_ms, 1

    async def _ask(self, weight: int, requests: Callable[[], list[Awaitable[Any]]]) -> list[Any]:
        """Send signed requests at the same time and at once, and count their weight."""
        client, ccxt = self._client, self._ccxt
        minute = client.budget.count(weight)
        try:
            client.check_allowed()
            ccxt.options["timeDifference"] = time.time_ns() // 1_000_000 - client.now_ms()
            answers = await asyncio.gather(*requests(), return_exceptions=True)
        finally:
            client.budget.request_ended(weight, minute)
        for answer in answers:
            if isinstance(answer, WarmupError):
                raise answer
            if isinstance(answer, BaseException):
                raise connection_error(answer, client.url, self._proxy) from None
        return answers

    @contextmanager
    def _expected(self) -> Iterator[None]:
        """Translate the errors of an answer of an unexpected form."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
            raise ExchangeUnreachableError(
                f"{self._client.url} is not Binance's API: its answer is no account"
            ) from None


def _snapshot(
    positions: Any,  # noqa: ANN401
    orders: list[Any],
    symbols: frozenset[str],
    began_ms: int,
) -> AccountSnapshot:
    held = {
        (str(each["symbol"]), str(each["positionSide"])): Decimal(each["positionAmt"])
        for each in positions
        if each["symbol"] in symbols
    }
    return AccountSnapshot(
        positions={key: quantity for key, quantity in held.items() if quantity},
        orders={_client_id(each): _order(each) for answer in orders for each in answer},
        began_ms=began_ms,
    )


def _client_id(answer: Mapping[str, Any]) -> str:
    return str(answer.get("clientAlgoId") or answer["clientOrderId"])


def _order(answer: Mapping[str, Any]) -> OpenOrder:
    return OpenOrder(
        symbol=str(answer["symbol"]),
        filled=Decimal(answer.get("executedQty", "0")),
        position_side=str(answer.get("positionSide", "BOTH")),
        quantity=Decimal(answer.get("origQty") or answer.get("quantity") or "0"),
        created_ms=int(answer.get("createTime") or answer.get("time") or 0),
        number=int(answer.get("orderId") or 0),
    )
