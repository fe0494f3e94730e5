"""The websocket streams, combined and raw, with SUBSCRIBE and UNSUBSCRIBE.

One task per stream makes its messages for all subscribers. Each connection has a bounded queue and
is closed when it is full, as on Binance, so that a slow client does not slow down the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from loguru import logger

from warmup_job.local_binance.account.listen_key import has_listen_key
from warmup_job.local_binance.faults.fault_spec import FaultStage, FaultTarget
from warmup_job.local_binance.websocket.market_messages import Message, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from warmup_job.local_binance.faults.fault_board import FaultBoard
    from warmup_job.local_binance.faults.fault_spec import Fault
    from warmup_job.local_binance.websocket.market_messages import MarketMessages
    from warmup_job.local_binance.websocket.user_data_stream import UserDataStream
    from warmup_job.market.pages import Market

PING_SECONDS = 180.0
QUEUE_MESSAGES = 1024

_Address = tuple["Market", str]  # of a stream


class _Connection:
    """One websocket and its subscriptions."""

    def __init__(self, market: Market, path: str, *, combined: bool) -> None:
        self.path = path
        self.market = market
        self.combined = combined
        self.streams: dict[str, None] = {}  # in the order of subscription
        self.queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_MESSAGES)
        self.socket = web.WebSocketResponse(heartbeat=PING_SECONDS)
        self.transport: asyncio.Transport | None = None

    def offer(self, message: str) -> None:
        """Queue a message; abort the connection if its queue is full."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            if self.transport is not None:
                self.transport.abort()

    async def write(self) -> None:
        """Send the queued messages until the connection ends."""
        try:
            while True:
                await self.socket.send_str(await self.queue.get())
        except ConnectionError:
            return  # the reader also sees the end and cleans up


class StreamHub:
    """All websocket connections and the tasks that make their messages.

    Args:
        messages: Makes the messages of the market's streams.
        faults: The faults that drop or repeat messages.
        user_data: The events of the account.
    """

    def __init__(
        self, messages: MarketMessages, faults: FaultBoard, user_data: UserDataStream
    ) -> None:
        self._messages = messages
        self._faults = faults
        self._user_data = user_data
        self._listeners: dict[_Address, set[_Connection]] = {}
        self._sources: dict[_Address, asyncio.Task[None]] = {}
        self._connections: set[_Connection] = set()
        self._closing: set[asyncio.Task[bool]] = set()

    @property
    def connection_count(self) -> int:
        """The number of open websockets."""
        return len(self._connections)

    async def serve(
        self, request: web.Request, market: Market, streams: list[str], *, combined: bool
    ) -> web.WebSocketResponse:
        """Run one websocket from its handshake to its end."""
        connection = _Connection(market, request.path, combined=combined)
        await connection.socket.prepare(request)
        connection.transport = request.transport
        self._connections.add(connection)
        for stream in streams:
            self._subscribe(connection, stream)
        writer = asyncio.create_task(connection.write())
        try:
            async for message in connection.socket:
                if message.type == WSMsgType.TEXT:
                    answer = self._answer(connection, message.data)
                    # An answer belongs to no stream, so only a fault about all streams drops it.
                    if self._faults.message_copies(FaultTarget(f"/{market}/")):
                        connection.offer(answer)
        finally:
            self._connections.discard(connection)
            for stream in list(connection.streams):
                self._unsubscribe(connection, stream)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return connection.socket

    async def close(self) -> None:
        """Close every websocket ("going away") and stop all streams."""
        tasks = list(self._sources.values())
        for task in tasks:
            task.cancel()
        sockets = [connection.socket for connection in self._connections]
        closing = (asyncio.wait_for(socket.close(code=1001), 1.0) for socket in sockets)
        await asyncio.gather(*closing, *tasks, return_exceptions=True)

    def drop(self, fault: Fault) -> None:
        """Close the websockets that a fault applies to; abort them if it has no close code."""
        for connection in tuple(self._connections):
            if not fault.applies(FaultTarget(connection.path)):
                continue
            if fault.stage is FaultStage.USER_STREAM and not any(
                has_listen_key(stream) for stream in connection.streams
            ):
                continue
            if fault.number is not None:
                self._close(connection, int(fault.number))
            elif connection.transport is not None:
                connection.transport.abort()

    def end(self, market: Market, stream: str) -> None:
        """Close every websocket that is subscribed to ``stream``."""
        for connection in tuple(self._listeners.get((market, stream), ())):
            self._close(connection, WSCloseCode.OK)

    def _close(self, connection: _Connection, code: int) -> None:
        task = asyncio.ensure_future(connection.socket.close(code=code))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # --- subscriptions ---

    def _subscribe(self, connection: _Connection, stream: str) -> None:
        if stream in connection.streams:
            return
        connection.streams[stream] = None
        address = (connection.market, stream)
        self._listeners.setdefault(address, set()).add(connection)
        if address in self._sources:
            return
        messages = self._messages_of(connection.market, stream)
        if messages is None:
            return  # Binance also accepts unknown stream names and sends nothing
        task = asyncio.create_task(self._broadcast(address, messages))
        task.add_done_callback(_report_failure)
        self._sources[address] = task

    def _unsubscribe(self, connection: _Connection, stream: str) -> None:
        if stream not in connection.streams:
            return
        del connection.streams[stream]
        address = (connection.market, stream)
        self._listeners[address].discard(connection)
        if not self._listeners[address]:
            del self._listeners[address]
            if address in self._sources:
                self._sources.pop(address).cancel()

    def _answer(self, connection: _Connection, text: str) -> str:
        try:
            request = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return to_json({"error": {"code": 3, "msg": f"Invalid JSON: {error}"}})
        if not isinstance(request, dict):
            return to_json({"error": {"code": 2, "msg": "Invalid request: not an object"}})
        method, names, number = request.get("method"), request.get("params"), request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            return to_json({"result": list(connection.streams), "id": number})
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            message = f"Invalid request: unknown variant `{method}`"
            return to_json({"error": {"code": 2, "msg": message}, "id": number})
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            message = "Invalid request: params must be an array of stream names"
            return to_json({"error": {"code": 2, "msg": message}, "id": number})
        change = self._subscribe if method == "SUBSCRIBE" else self._unsubscribe
        for name in names:
            change(connection, name)
        return to_json({"result": None, "id": number})

    async def _broadcast(self, address: _Address, messages: AsyncIterator[Message]) -> None:
        market, stream = address
        name, _, kind = stream.partition("@")
        target = FaultTarget(f"/{market}/{stream}", name.upper(), kind.removeprefix("kline_"))
        async for data, closes in messages:
            wrapped = f'{{"stream":"{stream}","data":{data}}}'
            # One decision for all subscribers: a dropped message is dropped for each.
            copies = self._faults.message_copies(target._replace(closes=closes))
            for connection in tuple(self._listeners.get(address, ())):
                for _ in range(copies):
                    connection.offer(wrapped if connection.combined else data)

    def _messages_of(self, market: Market, stream: str) -> AsyncIterator[Message] | None:
        """Return the messages of a stream, or None if the stream does not exist."""
        if market == "um" and (events := self._user_data.listen(stream)) is not None:
            return _account_messages(events)
        return self._messages.of(market, stream)


async def _account_messages(events: AsyncIterator[str]) -> AsyncIterator[Message]:
    async for event in events:
        yield Message(event)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.opt(exception=error).error(
            "A stream of the local exchange has failed", event="local_exchange.failed"
        )
