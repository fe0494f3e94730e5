"""The websocket streams, combined and raw, with SUBSCRIBE and UNSUBSCRIBE.

One task per stream makes its messages for all subscribers. Each connection has a bounded queue and
is closed when it is full, as on Binance, so that a slow client does not slow down the others.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from loguru import logger

from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.listen_key import has_listen_key
from warmup_job.local_binance.faults.distortion import book_with_decimals
from warmup_job.local_binance.faults.fault_spec import FaultStage, FaultTarget
from warmup_job.local_binance.prices.generated_market import trade_id
from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.market.interval import Interval

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.faults.fault_board import FaultBoard
    from warmup_job.local_binance.faults.fault_spec import Fault
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import PriceFeed
    from warmup_job.local_binance.websocket.user_data_stream import UserDataStream
    from warmup_job.market.kline import Kline
    from warmup_job.market.pages import Market

PING_SECONDS = 180.0
QUEUE_MESSAGES = 1024

_Address = tuple["Market", str]  # of a stream


class _Message(NamedTuple):
    """A message of a stream."""

    text: str
    closes: bool = False
    """Whether it announces a closed kline."""


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
        feeds: The listed symbols' prices, by market and name.
        clock: The exchange's clock.
        kline_ms: Time between two updates of a forming kline.
        faults: The faults that drop or repeat messages.
        user_data: The events of the account.
        funding: Funding rates and times.
    """

    def __init__(
        self,
        feeds: Mapping[_Address, PriceFeed],
        clock: ExchangeClock,
        kline_ms: int,
        faults: FaultBoard,
        user_data: UserDataStream,
        funding: FundingSchedule,
    ) -> None:
        self._funding = funding
        self._user_data = user_data
        self._faults = faults
        self._feeds = feeds
        self._clock = clock
        self._kline_ms = kline_ms
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
        messages = self._messages(connection.market, stream)
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
            return _json({"error": {"code": 3, "msg": f"Invalid JSON: {error}"}})
        if not isinstance(request, dict):
            return _json({"error": {"code": 2, "msg": "Invalid request: not an object"}})
        method, names, number = request.get("method"), request.get("params"), request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            return _json({"result": list(connection.streams), "id": number})
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            message = f"Invalid request: unknown variant `{method}`"
            return _json({"error": {"code": 2, "msg": message}, "id": number})
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            message = "Invalid request: params must be an array of stream names"
            return _json({"error": {"code": 2, "msg": message}, "id": number})
        change = self._subscribe if method == "SUBSCRIBE" else self._unsubscribe
        for name in names:
            change(connection, name)
        return _json({"result": None, "id": number})

    async def _broadcast(self, address: _Address, messages: AsyncIterator[_Message]) -> None:
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

    # --- messages ---

    def _messages(self, market: Market, stream: str) -> AsyncIterator[_Message] | None:
        """Return the messages of a stream, or None if the stream does not exist."""
        if market == "um" and (events := self._user_data.listen(stream)) is not None:
            return self._account_messages(events)
        name, _, kind = stream.partition("@")
        feed = self._feeds.get((market, name.upper()))
        if feed is None or name != name.lower():
            return None
        if kind.startswith("kline_"):
            try:
                interval = Interval.parse(kind.removeprefix("kline_"))
            except ConfigError:
                return None
            return self._kline_messages(feed, interval) if feed.klines.offers(interval) else None
        if kind == "bookTicker":
            return self._book_messages(feed)
        if kind == "aggTrade":
            return self._trade_messages(feed)
        if market == "um" and (match := re.fullmatch("markPrice(@1s)?", kind)):
            return self._mark_messages(feed, 1000 if match[1] else 3000)
        return None

    async def _kline_messages(self, feed: PriceFeed, interval: Interval) -> AsyncIterator[_Message]:
        """Yield updates of the forming kline, and each kline once when it has closed."""

        def kline_at(open_ms: int, now_ms: int) -> Kline | None:
            rows = feed.klines.latest(interval, open_ms, 1, now_ms)
            # A recording may have a gap there; then nothing is sent.
            return rows[0] if rows and rows[0].open_ms == open_ms else None

        now_ms = self._clock.now_ms()
        boundary_ms = interval.next(interval.floor(now_ms))
        update_ms = now_ms
        while True:
            await self._clock.sleep_until(min(update_ms, boundary_ms))
            now_ms = self._clock.now_ms()
            # If the clock was set back, updates continue, but no kline closes again.
            update_ms = min(update_ms, now_ms + self._kline_ms)
            while boundary_ms <= now_ms:
                closed = kline_at(interval.shift(boundary_ms, -1), now_ms)
                if closed is not None:
                    yield _kline_message(feed, interval, closed, now_ms, closed=True)
                boundary_ms = interval.next(boundary_ms)
            if update_ms <= now_ms:
                forming = kline_at(interval.floor(now_ms), now_ms)
                # A recorded row may close early; it is announced as closed at the boundary.
                if forming is not None and forming.close_ms >= now_ms:
                    yield _kline_message(feed, interval, forming, now_ms, closed=False)
                update_ms = now_ms + self._kline_ms

    async def _account_messages(self, events: AsyncIterator[str]) -> AsyncIterator[_Message]:
        async for event in events:
            yield _Message(event)

    async def _book_messages(self, feed: PriceFeed) -> AsyncIterator[_Message]:
        """Yield the top of the book when it has changed, checked every `SLOT_MS`."""
        last: tuple[str, ...] = ()
        while True:
            now_ms = self._clock.now_ms()
            book = feed.book(now_ms)
            if changed := self._faults.tick_and_step(feed.symbol.name):
                book = book_with_decimals(book, changed)
            if book[:4] != last:
                last = book[:4]
                event: dict[str, Any] = {
                    "u": book.update_id,
                    "s": feed.symbol.name,
                    "b": book.bid,
                    "B": book.bid_quantity,
                    "a": book.ask,
                    "A": book.ask_quantity,
                }
                if feed.symbol.market == "um":
                    event = {"e": "bookTicker", **event, "T": now_ms, "E": now_ms}
                yield _Message(_json(event))
            await self._clock.sleep_until((now_ms // SLOT_MS + 1) * SLOT_MS)

    async def _trade_messages(self, feed: PriceFeed) -> AsyncIterator[_Message]:
        seen_ms = self._clock.now_ms()
        while True:
            await self._clock.sleep_until((seen_ms // SLOT_MS + 1) * SLOT_MS)
            now_ms = self._clock.now_ms()
            if now_ms <= seen_ms:
                continue  # the clock was set back, and these trades were sent already
            for trade in feed.trades(seen_ms, now_ms):
                event: dict[str, Any] = {
                    "e": "aggTrade",
                    "E": now_ms,
                    "a": trade.first_id,
                    "s": feed.symbol.name,
                    "p": trade.price,
                    "q": trade.quantity,
                    "f": trade.first_id,
                    "l": trade.last_id,
                    "T": trade.at_ms,
                    "m": trade.buyer_is_maker,
                }
                if feed.symbol.market == "spot":
                    event["M"] = True
                yield _Message(_json(event))
            seen_ms = now_ms

    async def _mark_messages(self, feed: PriceFeed, every_ms: int) -> AsyncIterator[_Message]:
        while True:
            now_ms = self._clock.now_ms()
            mark = feed.mark_price(now_ms)
            event = _json(
                {
                    "e": "markPriceUpdate",
                    "E": now_ms,
                    "s": feed.symbol.name,
                    "p": mark,
                    "i": mark,
                    "P": mark,
                    "r": f"{self._funding.terms(feed.symbol.name, now_ms).rate:.8f}",
                    "T": self._funding.next_ms(feed.symbol.name, now_ms),
                }
            )
            yield _Message(event)
            await self._clock.sleep_until((now_ms // every_ms + 1) * every_ms)


def _kline_message(
    feed: PriceFeed, interval: Interval, row: Kline, now_ms: int, *, closed: bool
) -> _Message:
    first_id = trade_id(feed.symbol, row.open_ms) if row.trades else -1
    event = _json(
        {
            "e": "kline",
            "E": now_ms,
            "s": feed.symbol.name,
            "k": {
                "t": row.open_ms,
                "T": row.close_ms,
                "s": feed.symbol.name,
                "i": interval.name,
                "f": first_id,
                "L": first_id + row.trades - 1 if row.trades else -1,
                "o": row.open,
                "c": row.close,
                "h": row.high,
                "l": row.low,
                "v": row.volume,
                "n": row.trades,
                "x": closed,
                "q": row.quote_volume,
                "V": row.taker_base,
                "Q": row.taker_quote,
                "B": "0",
            },
        }
    )
    return _Message(event, closes=closed)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.opt(exception=error).error("A stream of the local exchange has failed")
