"""A plain client of the local exchange's account, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from tests.support.suite import HANG_S
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import RunningExchange, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

KEY, SECRET = "local-key", "local-secret"


class AccountClient:
    """Signs requests by the documentation's rule, without the exchange's own code."""

    def __init__(self, exchange: RunningExchange, session: aiohttp.ClientSession) -> None:
        self.exchange = exchange
        self.session = session
        self.headers: Mapping[str, str] = {}
        """The headers of the last answer."""

    async def ask(self, method: str, path: str, **params: object) -> tuple[int, Any]:
        """Send a signed request below /fapi; return status and body."""
        query = urlencode({"timestamp": self.exchange.now_ms(), "recvWindow": 60_000, **params})
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self.exchange.url}/fapi/{path}?{query}&signature={signature}"
        async with self.session.request(
            method, URL(url, encoded=True), headers={"X-MBX-APIKEY": KEY}
        ) as response:
            self.headers = response.headers
            return response.status, await response.json()

    async def granted(self, method: str, path: str, **params: object) -> Any:
        """Send a signed request that must be accepted; return the body."""
        status, body = await self.ask(method, path, **params)
        assert status == 200, body
        return body

    async def refused(self, method: str, path: str, **params: object) -> tuple[int, int]:
        """Send a signed request that must be refused; return status and Binance's code."""
        status, body = await self.ask(method, path, **params)
        assert status != 200, body
        assert set(body) == {"code", "msg"}, body
        return status, body["code"]

    async def order(self, side: str, position: str, quantity: object, **params: object) -> Any:
        """Place an order for BTCUSDT, by default a market order, and return its first fills."""
        kind = {"type": "MARKET"} if "price" not in params else {"type": "LIMIT"}
        if "price" in params:
            kind["timeInForce"] = "GTC"
        order = {
            "symbol": "BTCUSDT", "side": side, "positionSide": position, "quantity": quantity,
            "newOrderRespType": "RESULT",
        }  # fmt: skip
        return await self.granted("POST", "v1/order", **(order | kind | params))

    async def stop(self, side: str, position: str, trigger: object, **params: object) -> Any:
        """Place a stop for BTCUSDT that triggers a market order."""
        order: dict[str, object] = {
            "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": side, "positionSide": position,
            "type": "STOP_MARKET", "triggerPrice": trigger, "quantity": "0.01",
        }  # fmt: skip
        return await self.granted("POST", "v1/algoOrder", **(order | params))

    async def price(self) -> float:
        """Return BTCUSDT's last price."""
        url = f"{self.exchange.url}/fapi/v2/ticker/price?symbol=BTCUSDT"
        async with self.session.get(url) as response:
            return float((await response.json())["price"])

    async def control(self, method: str, path: str, body: str = "") -> tuple[int, Any]:
        """Send a request to a control path below /_sim; return status and body."""
        url = f"{self.exchange.url}/_sim/{path}"
        async with self.session.request(method, url, data=body) as response:
            return response.status, await response.json()

    async def account(self) -> Any:
        """Return the account as `GET /_sim/account` shows it."""
        status, body = await self.control("GET", "account")
        assert status == 200
        return body

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[UserEvents]:
        """Listen to the user data stream with a new listen key."""
        listen_key = (await self.granted("POST", "v1/listenKey"))["listenKey"]
        async with self.session.ws_connect(
            f"{self.exchange.ws_url}/private/ws/{listen_key}"
        ) as socket:
            yield UserEvents(socket)


class UserEvents:
    """The events of one websocket, oldest first."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self) -> Any:
        """Wait for the next event."""
        message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def until(self, *wanted: str) -> list[str]:
        """Return the summaries of the events up to the first one that is wanted."""
        seen: list[str] = []
        while not seen or seen[-1] not in wanted:
            seen.append(summary(await self.next()))
        return seen


def summary(event: Mapping[str, Any]) -> str:
    """Return an event's type with the client id and status of its order, or its reason."""
    kind = event["e"]
    if kind == "ORDER_TRADE_UPDATE":
        return f"{kind} {event['o']['c']} {event['o']['X']}"
    if kind == "ALGO_UPDATE":
        return f"{kind} {event['o']['caid']} {event['o']['X']}"
    return f"{kind} {event['a']['m']}" if kind == "ACCOUNT_UPDATE" else kind


def with_account[T](use: Callable[[AccountClient], Awaitable[T]], **options: Any) -> T:
    """Run an exchange, and use its account."""

    async def run() -> T:
        exchange = await start(ExchangeOptions(**options))
        try:
            async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):
                return await use(AccountClient(exchange, session))
        finally:
            await exchange.stop()

    return asyncio.run(run())
