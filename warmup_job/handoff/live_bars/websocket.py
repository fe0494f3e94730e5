"""The node's websockets, observed: which stream was heard when, on which connection.

Nautilus' data client passes every message to one callback per connection. `Websockets` is placed in
front of it: it notes when each stream was heard, forgets that when a connection breaks, and drops
messages that fail `check_message`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from loguru import logger
from nautilus_trader.adapters.binance.websocket.client import BinanceWebSocketClient
from nautilus_trader.live.factories import LiveDataClientFactory

from warmup_job.handoff.live_account.exchange_info import DataClientFactory
from warmup_job.handoff.live_bars.websocket_messages import check_message
from warmup_job.handoff.live_bars.websocket_silence import Heard
from warmup_job.handoff.run_listener import RunListener

_WARN_EVERY_S = 15.0


class Websockets:
    """The market-data connections of one node.

    Args:
        silence_s: how many seconds a stream may be silent, and how old an event may be to count.
        exchange_ms: returns the exchange's time, UTC ms.
        listener: learns when a stream is heard for the first time on its connection, and when a
            connection breaks.
    """

    def __init__(
        self,
        silence_s: float,
        exchange_ms: Callable[[], int],
        listener: RunListener,
    ) -> None:
        self.heard = Heard(silence_s)
        self._exchange_ms = exchange_ms
        self._listener = listener
        self._clients: list[BinanceWebSocketClient] = []
        self._dropped = 0
        self._warned_s = float("-inf")

    def factory(self) -> type[LiveDataClientFactory]:
        """Return Nautilus' factory of data clients, which observes their every message."""
        observe = self._observe

        class Observed(LiveDataClientFactory):
            @staticmethod
            def create(**given: Any) -> Any:  # noqa: ANN401 - Nautilus' own types
                made = DataClientFactory.create(**given)
                for client in (made._ws_client, made._ws_public_client):
                    observe(client)
                return made

        return Observed

    def first_silent(self, streams: Iterable[str]) -> tuple[str, float] | None:
        """Return the stream that is silent for the longest time, and for how many seconds.

        Returns:
            None: no stream is silent for too long.
        """
        now_s = time.monotonic()
        silent = [
            (self.heard.silent_s(stream, now_s) or 0.0, stream)
            for stream in streams
            if self.heard.is_silent(stream, now_s)
        ]
        if not silent:
            return None
        span_s, stream = max(silent)
        return stream, span_s

    def unheard(self, streams: Iterable[str]) -> list[str]:
        """Return the streams that have sent no message on their present connection."""
        return [stream for stream in streams if not self.heard.has(stream)]

    def silent_ms(self, stream: str) -> int | None:
        """Return for how many ms a stream is silent; None: it was never heard."""
        silent_s = self.heard.silent_s(stream, time.monotonic())
        return None if silent_s is None else round(silent_s * 1000)

    def look(self) -> None:
        """Look for connections that are down: the client reports one only when it is up again."""
        self.heard.forget({each for client in self._clients for each in client.subscriptions})
        for client in self._clients:
            for number, connection in client._clients.items():
                if connection is not None and not connection.is_active():
                    self._lose(client._client_streams.get(number, ()))

    async def reconnect(self, stream: str) -> None:
        """Replace the connection of a stream that is silent although its connection lives.

        A connection that is down is left to Nautilus, which connects it again by itself.
        """
        for client in self._clients:
            number = client._get_client_for_stream(stream)
            connection = client._clients.get(number)
            if number == -1 or client._is_connecting.get(number):
                continue
            if connection is not None and connection.is_reconnecting():
                continue
            logger.warning(
                "{stream}: connecting again, because its websocket is silent",
                event="websocket.reconnecting",
                stream=stream,
            )
            streams = list(client._client_streams[number])
            self._lose(streams)
            try:
                await client._disconnect_client(number)
                await client._connect_client(number, streams)
            except Exception as error:  # noqa: BLE001 - of Nautilus' client; it is tried again
                client._is_connecting[number] = False
                logger.warning(
                    "{stream}: cannot connect again: {error}",
                    event="websocket.reconnect_failed",
                    stream=stream,
                    error=type(error).__name__,
                )

    def _observe(self, client: BinanceWebSocketClient) -> None:
        self._clients.append(client)
        handle, again = client._handler, client._handler_reconnect

        def on_message(raw: bytes) -> None:
            if self._is_sound(client, raw):
                handle(raw)

        async def on_reconnect() -> None:
            self._lose(client.subscriptions)
            if again is not None:
                await again()

        client._handler = on_message
        reconnected: Callable[[], Coroutine[Any, Any, None]] = on_reconnect
        client._handler_reconnect = reconnected

    def _is_sound(self, client: BinanceWebSocketClient, raw: bytes) -> bool:
        """Note that a stream was heard; return False if the message must go no further."""
        try:
            stream, event_ms = check_message(raw)
        except ValueError as error:
            self._drop(str(error))
            return False
        if stream and stream not in client._streams:
            return False  # unsubscribed a moment ago, or never subscribed to
        fresh = event_ms is None or event_ms >= self._exchange_ms() - self.heard.silence_s * 1000
        if stream and fresh and self.heard.note(stream, time.monotonic()):
            self._listener.on_connection_change()
        return True

    def _lose(self, streams: Iterable[str]) -> None:
        if self.heard.lose(streams, time.monotonic()):
            self._listener.on_connection_change()

    def _drop(self, why: str) -> None:
        self._dropped += 1
        now_s = time.monotonic()
        if now_s - self._warned_s >= _WARN_EVERY_S:
            logger.warning(
                "dropped {messages} websocket message(s), the last one: {reason}",
                event="websocket.messages_dropped",
                messages=self._dropped,
                reason=why,
            )
            self._dropped, self._warned_s = 0, now_s
