"""The messages of Binance's market-data websockets: their streams' names, and which are sound.

See https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from warmup_job.errors import ConfigError, DataInvalidError
from warmup_job.market.interval import Interval
from warmup_job.market.rows import parse_rows

_DECIMAL = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)


class _Envelope(msgspec.Struct):
    """A message of a combined stream; without a stream it is the answer to a command."""

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
    """Return Binance's name of a kline stream, such as ``btcusdt@kline_1m``."""
    return f"{symbol.lower()}@kline_{interval.name}"


def quote_stream(symbol: str) -> str:
    """Return Binance's name of the stream of best bid and ask, such as ``btcusdt@bookTicker``."""
    return f"{symbol.lower()}@bookTicker"


def check_message(raw: bytes) -> tuple[str, int | None]:
    """Validate a message, so that nothing else reaches the cache or a strategy.

    Returns:
        The message's stream (empty: it answers a command) and its event time (UTC ms; None: it has
        none).

    Raises:
        ValueError: Binance cannot have meant this message; the text says why.
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
        raise ValueError(f"not a message of Binance: {error}") from None
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
            if parse_rows([row], interval, kline.t, kline.t).off_grid_ms is not None:
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
