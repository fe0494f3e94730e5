"""What the node's websockets really deliver: which stream spoke when, and which message is sound.

Nautilus' data client hands every message to one callback per connection. `Websockets` stands in
front of it: it notes when each stream was heard, forgets that when a connection is lost, and drops
messages that Binance cannot have meant, so that they reach neither the cache nor a strategy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

import msgspec
from loguru import logger
from nautilus_trader.adapters.binance.websocket.client import BinanceWebSocketClient
from nautilus_trader.live.factories import LiveDataClientFactory

from warmup_job.errors import ConfigError, DataInvalidError
from warmup_job.handoff.exchange_info import DataClientFactory
from warmup_job.market.interval import Interval
from warmup_job.market.rows import parse_rows

_DECIMAL = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_WARN_EVERY_S = 15.0

type Now = Callable[[], float]


class _Envelope(msgspec.Struct):
    """A message of a combined stream; without a stream it answers a command."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _Kline(msgspec.Struct):
    t: int
    T: int
    s: str
    i: str
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - Binance's own name
    v: str
    x: bool
    n: int
    q: str
    V: str
    Q: str


class _KlineEvent(msgspec.Struct):
    E: int
    s: str
    k: _Kline


class _QuoteEvent(msgspec.Struct):
    s: str
    b: str
    B: str
    a: str
    A: str
    E: int | None = None
    """Futures only."""


class _OtherEvent(msgspec.Struct):
    E: int | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_KLINE = msgspec.json.Decoder(_KlineEvent)
_QUOTE = msgspec.json.Decoder(_QuoteEvent)
_OTHER = msgspec.json.Decoder(_OtherEvent | list[Any])


def kline_stream(symbol: str, interval: Interval) -> str:
    """Binance's name of a kline stream: ``btcusdt@kline_1m``."""
    return f"{symbol.lower()}@kline_{interval.name}"


def quote_stream(symbol: str) -> str:
    """Binance's name of the stream of best bid and ask: ``btcusdt@bookTicker``."""
    return f"{symbol.lower()}@bookTicker"


def check_message(raw: bytes) -> tuple[str, int | None]:
    """The stream of a message and its event time (UTC ms, None: it has none).

    Raises:
        ValueError: the message is not one that Binance sends; the text says why.
    """
    try:
        envelope = _ENVELOPE.decode(raw)
        stream = envelope.stream
        if not stream:
            return "", None
        if "@kline_" in stream:
            return stream, _check_kline(stream, _KLINE.decode(envelope.data))
        if stream.endswith("@bookTicker"):
            return stream, _check_quote(stream, _QUOTE.decode(envelope.data))
        other = _OTHER.decode(envelope.data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a message of Binance's: {error}") from None
    return stream, other.E if isinstance(other, _OtherEvent) else None


def _check_kline(stream: str, event: _KlineEvent) -> int:
    kline = event.k
    try:
        interval = Interval.parse(kline.i)
    except ConfigError:
        raise ValueError(f"unknown interval {kline.i[:10]!r}") from None
    if not event.s == kline.s or stream != kline_stream(kline.s, interval):
        raise ValueError(f"a kline of {kline.s[:30]!r} {kline.i} in the stream {stream}")
    if kline.x:  # only closed klines become bars
        row = [
            kline.t, kline.o, kline.h, kline.l, kline.c, kline.v, kline.T, kline.q, kline.n,
            kline.V, kline.Q, "0",
        ]  # fmt: skip
        try:
            if parse_rows([row], interval, kline.t, kline.t).odd_ms is not None:
                raise ValueError(f"a kline that opens at {kline.t}, between two of {kline.i}")
        except (DataInvalidError, OverflowError) as error:
            raise ValueError(str(error)) from None
    return event.E


def _check_quote(stream: str, event: _QuoteEvent) -> int | None:
    if stream != quote_stream(event.s):
        raise ValueError(f"a quote of {event.s[:30]!r} in the stream {stream}")
    numbers = (event.b, event.B, event.a, event.A)
    if not all(map(_DECIMAL.fullmatch, numbers)):
        raise ValueError("a quote whose prices are not decimals")
    bid, ask = float(event.b), float(event.a)
    if not 0 < bid <= ask:
        raise ValueError(f"a quote whose bid {event.b} is above its ask {event.a}, or not positive")
    return event.E


class Heard:
    """When each stream was last heard. Pure: times are seconds of one monotonic clock.

    Args:
        silence_s: how long a stream may say nothing.
    """

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.ever = False
        """Whether anything was heard at all."""
        self._at_s: dict[str, float] = {}
        self._lost_s: dict[str, float] = {}

    def note(self, stream: str, now_s: float) -> bool:
        """A message came; True: the first one since the connection was made."""
        self.ever = True
        first = stream not in self._at_s
        self._at_s[stream] = now_s
        if first:
            self._lost_s.pop(stream, None)
        return first

    def lose(self, streams: Iterable[str], now_s: float) -> bool:
        """The connection of these streams was lost; True: one of them had been heard on it."""
        known = False
        for stream in streams:
            known = self._at_s.pop(stream, None) is not None or known
            self._lost_s.setdefault(stream, now_s)
        return known

    def has(self, stream: str) -> bool:
        """Whether a message came on the connection that there is now."""
        return stream in self._at_s

    def forget(self, subscribed: Collection[str]) -> None:
        """Keep only what is subscribed to: the rest has no reason to speak."""
        for known in (self._at_s, self._lost_s):
            for stream in known.keys() - subscribed:
                del known[stream]

    def silent_s(self, stream: str, now_s: float) -> float | None:
        """For how long the stream has said nothing; None: it was never heard nor lost."""
        since_s = self._at_s.get(stream, self._lost_s.get(stream))
        return None if since_s is None else now_s - since_s

    def is_silent(self, stream: str, now_s: float) -> bool:
        """Whether it was heard or lost, and has said nothing for too long."""
        silent_s = self.silent_s(stream, now_s)
        return silent_s is not None and silent_s > self.silence_s


class Reminder:
    """Says when a state that lasts is to be logged: at once, then every so many seconds of it."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._told_s: float | None = None

    def is_due(self, lasting_s: float | None) -> bool:
        """Whether to log a state that has lasted so long; None: it is over, and begins again."""
        told_s = self._told_s
        due = lasting_s is not None and (told_s is None or lasting_s - told_s >= self._every_s)
        if due or lasting_s is None:
            self._told_s = lasting_s
        return due


class Websockets:
    """The market-data connections of one node, observed.

    Args:
        silence_s: how long a stream may say nothing, and how old an event may be to count as news.
        exchange_ms: the exchange's clock, UTC ms.
        changed: called when a stream is heard for the first time on its connection, and when a
            connection is lost.
        now_s: a monotonic clock.
    """

    def __init__(
        self,
        silence_s: float,
        exchange_ms: Callable[[], int],
        changed: Callable[[], object],
        now_s: Now = time.monotonic,
    ) -> None:
        self.heard = Heard(silence_s)
        self._exchange_ms = exchange_ms
        self._changed = changed
        self._now_s = now_s
        self._clients: list[BinanceWebSocketClient] = []
        self._dropped = 0
        self._warned_s = float("-inf")

    def factory(self) -> type[LiveDataClientFactory]:
        """Nautilus' own factory, whose client is observed from its first message on."""
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
        """The stream that has been silent for too long the longest, and for how many seconds."""
        now_s = self._now_s()
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
        """Those that have said nothing since their connection was made."""
        return [stream for stream in streams if not self.heard.has(stream)]

    def silent_ms(self, stream: str) -> int | None:
        """How long the stream has said nothing; None: it was never heard."""
        silent_s = self.heard.silent_s(stream, self._now_s())
        return None if silent_s is None else round(silent_s * 1000)

    def look(self) -> None:
        """Find connections that are down: the client does not tell before it is up again."""
        self.heard.forget({each for client in self._clients for each in client.subscriptions})
        for client in self._clients:
            for number, connection in client._clients.items():
                if connection is not None and not connection.is_active():
                    self._lose(client._client_streams.get(number, ()))

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
        """Note that a stream was heard; False: the message must go no further."""
        try:
            stream, event_ms = check_message(raw)
        except ValueError as error:
            self._drop(str(error))
            return False
        if stream and stream not in client._streams:
            return False  # unsubscribed from a moment ago, or never asked for
        fresh = event_ms is None or event_ms >= self._exchange_ms() - self.heard.silence_s * 1000
        if stream and fresh and self.heard.note(stream, self._now_s()):
            self._changed()
        return True

    def _lose(self, streams: Iterable[str]) -> None:
        if self.heard.lose(streams, self._now_s()):
            self._changed()

    def _drop(self, why: str) -> None:
        self._dropped += 1
        now_s = self._now_s()
        if now_s - self._warned_s >= _WARN_EVERY_S:
            logger.warning("dropped {} websocket message(s), the last one: {}", self._dropped, why)
            self._dropped, self._warned_s = 0, now_s
