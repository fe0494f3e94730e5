"""A relay between the trader and its exchange; it changes kline rows and adds messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.background_loop import background_loop
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S

type Rows = list[list[Any]]


class Relay:
    """Forwards REST and websockets; its URLs replace the exchange's."""

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop
        self._sockets: set[web.WebSocketResponse] = set()
        self._silent: set[web.WebSocketResponse] = set()
        self.url = ""
        self.ws_url = ""
        self.change: Callable[[Rows], Rows] = lambda rows: rows
        """Changes the rows of a kline response."""

    async def start(self) -> web.AppRunner:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._get)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.ws_url = self.url.replace("http", "ws", 1)
        return runner

    def say(self, *texts: str) -> None:
        """Send these messages to every websocket, as if they came from the exchange."""

        async def send() -> None:
            for text in texts:
                for socket in tuple(self._sockets):
                    with contextlib.suppress(ConnectionError):
                        await socket.send_str(text)

        asyncio.run_coroutine_threadsafe(send(), self._loop).result(HANG_S)

    def silence(self) -> None:
        """Pass nothing on to the websockets that are open now; they stay open."""
        self._silent.update(self._sockets)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        async with (
            aiohttp.ClientSession() as session,
            session.get(self._exchange.url + request.path_qs) as answer,
        ):
            body = await answer.read()
            if request.path.endswith("/klines") and answer.status == 200:
                body = json.dumps(self.change(json.loads(body))).encode()
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower().startswith(("x-mbx", "retry-after"))
            }
            return web.Response(
                body=body, status=answer.status, content_type="application/json", headers=kept
            )

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self._exchange.ws_url + request.path_qs) as upstream,
        ):
            self._sockets.add(socket)

            async def down() -> None:
                async for message in upstream:
                    if socket not in self._silent:
                        await socket.send_str(message.data)
                await socket.close()  # the exchange disconnected it, like any slow reader

            task = asyncio.create_task(down())
            try:
                async for message in socket:
                    await upstream.send_str(message.data)
            finally:
                self._sockets.discard(socket)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return socket


@contextlib.contextmanager
def relaying(exchange: Exchange) -> Iterator[Relay]:
    """Run a relay in a thread with a separate event loop."""
    with background_loop() as loop:
        relay = Relay(exchange, loop)
        runner = asyncio.run_coroutine_threadsafe(relay.start(), loop).result(HANG_S)
        try:
            yield relay
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(HANG_S)
