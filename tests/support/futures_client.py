"""A client of the futures account that follows its events through a scripted market."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.support.account_client import AccountClient
from tests.support.scripted_market import FIRST_MS, ROW_MS
from tests.support.waiting import until_async
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import RunningExchange, start


class FuturesClient(AccountClient):
    """An account client that lets time pass and collects the user data events."""

    def __init__(self, exchange: RunningExchange, session: aiohttp.ClientSession) -> None:
        super().__init__(exchange, session)
        self.collected: list[dict[str, Any]] = []

    async def ask(self, method: str, path: str, **params: object) -> tuple[int, Any]:
        """Send a signed request without the parameters that are None."""
        sent = {name: value for name, value in params.items() if value is not None}
        return await super().ask(method, path, **sent)

    async def get(self, name: str, **params: object) -> Any:
        """Return the body of a GET that is answered."""
        return await self.granted("GET", name, **params)

    async def post(self, name: str, **params: object) -> Any:
        """Return the body of a POST that is answered."""
        return await self.granted("POST", name, **params)

    async def put(self, name: str, **params: object) -> Any:
        """Return the body of a PUT that is answered."""
        return await self.granted("PUT", name, **params)

    async def delete(self, name: str, **params: object) -> Any:
        """Return the body of a DELETE that is answered."""
        return await self.granted("DELETE", name, **params)

    async def code(self, method: str, name: str, **params: object) -> int:
        """Return the error code of a refused request."""
        status, code = await self.refused(method, name, **params)
        assert status == 400
        return code

    # --- orders of BTCUSDT in hedge mode ---

    async def place(self, side: str, position_side: str | None, **params: object) -> Any:
        """Place an order: a limit order if it has a price, otherwise a market order."""
        return await self.post("v1/order", **order_of(side, position_side, **params))

    async def place_code(self, side: str, position_side: str | None, **params: object) -> int:
        """Return the error code of an order that is refused."""
        return await self.code("POST", "v1/order", **order_of(side, position_side, **params))

    async def algo(self, side: str, position_side: str | None, **params: object) -> Any:
        """Place an algo order, by default a stop-market order."""
        return await self.post("v1/algoOrder", **algo_of(side, position_side, **params))

    async def algo_code(self, side: str, position_side: str | None, **params: object) -> int:
        """Return the error code of an algo order that is refused."""
        return await self.code("POST", "v1/algoOrder", **algo_of(side, position_side, **params))

    async def position(self, side: str = "LONG", symbol: str = "BTCUSDT") -> Any:
        """Return the row of a position, flat or not."""
        rows = await self.get("v2/positionRisk", symbol=symbol)
        return next(row for row in rows if row["positionSide"] == side)

    async def wallet(self) -> str:
        """Return the wallet's balance."""
        return str((await self.get("v2/account"))["totalWalletBalance"])

    # --- what happens ---

    async def pass_rows(self, rows: int = 1) -> None:
        """Let five minutes pass for each row of the scripted market."""
        self.exchange.add_fault(f"skew=+{rows * ROW_MS // 60_000}m")
        await self.state()

    async def state(self, after: int = 0) -> Any:
        """Return what ``GET /_sim/account`` shows."""
        return (await self.control("GET", f"account?after={after}"))[1]

    async def sees(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for an event that fulfils a condition, and return the first one."""

        def found() -> dict[str, Any] | None:
            return next((event for event in tuple(self.collected) if condition(event)), None)

        await until_async(found)
        event = found()
        assert event is not None
        return event

    async def sees_order(self, client_id: str, status: str) -> dict[str, Any]:
        """Wait for ORDER_TRADE_UPDATE with this status, and return its order."""
        event = await self.sees(
            lambda event: (
                event["e"] == "ORDER_TRADE_UPDATE"
                and (event["o"]["c"], event["o"]["X"]) == (client_id, status)
            )
        )
        return dict(event["o"])

    async def sees_algo(self, client_id: str, status: str) -> dict[str, Any]:
        """Wait for ALGO_UPDATE with this status, and return its algo order."""
        event = await self.sees(
            lambda event: (
                event["e"] == "ALGO_UPDATE"
                and (event["o"]["caid"], event["o"]["X"]) == (client_id, status)
            )
        )
        return dict(event["o"])

    def story(self) -> list[str]:
        """Return type and status of the events so far, in their order."""
        told = []
        for event in self.collected:
            order = event.get("o", {})
            kind = event["a"]["m"] if event["e"] == "ACCOUNT_UPDATE" else order.get("x", "")
            told.append(" ".join(part for part in (event["e"], kind, order.get("X", "")) if part))
        return told


def order_of(side: str, position_side: str | None, **params: object) -> dict[str, object]:
    """Return the parameters of an order of 0.01 BTC."""
    kind: dict[str, object] = {"type": "MARKET"}
    if "price" in params:
        kind = {"type": "LIMIT", "timeInForce": "GTC"}
    common = {"symbol": "BTCUSDT", "side": side, "positionSide": position_side, "quantity": "0.01"}
    return common | kind | params


def algo_of(side: str, position_side: str | None, **params: object) -> dict[str, object]:
    """Return the parameters of a stop-market order of 0.01 BTC."""
    common: dict[str, object] = {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": side,
        "positionSide": position_side,
        "type": "STOP_MARKET",
        "quantity": "0.01",
    }
    return common | params


def with_futures(use: Callable[[FuturesClient], Awaitable[None]], **options: Any) -> None:
    """Run an exchange with these options and a client that listens to the user data stream.

    A scripted market starts a second after its first price.
    """
    if "replay" in options:
        options.setdefault("now_ms", FIRST_MS + 1000)

    async def run() -> None:
        exchange = await start(ExchangeOptions(**options))
        try:
            async with aiohttp.ClientSession() as session:
                client = FuturesClient(exchange, session)
                async with client.events() as events:

                    async def collect() -> None:
                        while True:
                            client.collected.append(await events.next())

                    collecting = asyncio.create_task(collect())
                    try:
                        await use(client)
                    finally:
                        collecting.cancel()
                        await asyncio.gather(collecting, return_exceptions=True)
        finally:
            await exchange.stop()

    asyncio.run(run())
