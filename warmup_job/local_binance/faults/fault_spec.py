"""Faults and their text form ``KIND[=ARG][@WHERE][:OPTION…]``, e.g. ``429=30@klines:times=2``.

docs/reference/local-exchange.md has the grammar and every kind. Pure: `fault_board` decides which
requests and messages a fault hits.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.market.times import span_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class FaultStage(Enum):
    """The step of a request or websocket message that a fault affects."""

    LATE = auto()
    """The request takes effect later. Several such delays add up."""
    DELAY = auto()
    """The answer is made at once and sent later. Several delays add up."""
    FRONT = auto()
    """Something in front of the exchange answers, and no weight is spent."""
    ANSWER = auto()
    """The exchange answers with something else than what was requested."""
    NO_ANSWER = auto()
    """The exchange receives the request but sends no answer."""
    UNKNOWN = auto()
    """The answer does not tell whether the request had an effect."""
    HISTORY = auto()
    """An answer about the past has only the newest entries."""
    ROWS = auto()
    """The rows of a kline answer are wrong. All matching faults apply, in order."""
    BODY = auto()
    """The body of a good answer is damaged."""
    TRIGGER = auto()
    """An algo order is rejected when it is triggered, or creates no order."""
    FILLS = auto()
    """Orders are filled in small pieces."""
    LISTING = auto()
    """A symbol's tick and step have changed."""
    CLOCK = auto()
    """The exchange's clock is wrong."""
    PORT = auto()
    """Nothing listens on the port."""
    WEBSOCKET = auto()
    """Websockets are closed and new ones refused."""
    MESSAGE = auto()
    """Websocket messages are dropped or sent twice."""
    USER_STREAM = auto()
    """The websockets of the user data stream are closed and new ones refused."""
    LISTEN_KEY = auto()
    """The listen key expires when the fault is added."""
    USER_EVENT = auto()
    """Events of the user data stream are dropped, late, sent twice or swapped."""


class FaultTarget(NamedTuple):
    """The properties of a REST request, websocket handshake or websocket message to match."""

    path: str
    """The request's path; for a message ``/MARKET/STREAM``, e.g. ``/um/btcusdt@kline_1m``; for an
    event of the user data stream ``/user/EVENT``, e.g. ``/user/ORDER_TRADE_UPDATE``."""
    symbol: str = ""
    interval: str = ""
    method: str = ""
    """The HTTP method of a REST request."""
    closes: bool = False
    """Whether the message announces a closed kline."""


class Fault(msgspec.Struct, frozen=True):
    """One parsed fault. Numbers are in seconds unless the kind says otherwise."""

    spec: str
    """The text that it was parsed from."""
    kind: str
    """The kind's name, as shown in the request log."""
    stage: FaultStage
    number: float | None = None
    """ARG as a number: seconds, a share, a count, an HTTP status or a close code."""
    word: str = ""
    """ARG as text, for the kinds that take text."""
    where: str = "*"
    """A glob for a tail of the path, for ``path/SYMBOL`` or for ``path/SYMBOL/INTERVAL``, each
    alone or after ``METHOD/``."""
    methods: tuple[str, ...] = ()
    """The HTTP methods of the requests that it can hit; empty: all."""
    times: int | None = None
    every: int = 1
    after: int = 0
    for_s: float | None = None
    share: float = 1.0
    """The option ``p``."""

    def applies(self, target: FaultTarget) -> bool:
        """Return whether the fault is about this request or message."""
        if self.kind in ("ws-miss", "ws-double") and not target.closes:
            return False
        if self.methods and target.method not in self.methods:
            return False
        return any(fnmatchcase(name, self.where) for name in _names(target))

    def lasts(self, age_s: float) -> bool:
        """Return whether the fault is still active ``age_s`` after it was added."""
        return self.for_s is None or age_s < self.for_s

    def hits(self, seen: int, fired: int, draw: float) -> bool:
        """Return whether the fault hits the next request or message that it applies to.

        Args:
            seen: How many requests or messages it has applied to so far.
            fired: How many of these it has hit.
            draw: A random number, 0 <= draw < 1; the fault needs ``draw < p``.
        """
        if self.times is not None and fired >= self.times:
            return False
        number = seen - self.after + 1  # among those that ``after`` does not skip, from 1
        return number >= 1 and number % self.every == 0 and draw < self.share


def _names(target: FaultTarget) -> Iterable[str]:
    """Every text that WHERE may match: each tail of the path, alone, with symbol, with interval."""
    parts = target.path.split("/")
    for first in range(len(parts)):
        tail = "/".join(parts[first:])
        names = [tail]
        if target.symbol:
            names.append(f"{tail}/{target.symbol}")
            if target.interval:
                names.append(f"{tail}/{target.symbol}/{target.interval}")
        yield from names
        if target.method:
            yield from (f"{target.method}/{name.removeprefix('/')}" for name in names)


# --- parsing ------------------------------------------------------------------------------------

_SPLIT = re.compile("[:,]")
_COUNT = re.compile(r"\d{1,9}")
_SHARE = re.compile(r"0(?:\.\d{1,9})?|\.\d{1,9}")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_OPTIONS = ("times", "every", "after", "for", "p")
_GLOBAL = (FaultStage.CLOCK, FaultStage.PORT, FaultStage.LISTEN_KEY)
_KLINES = "*[kK]lines"  # the endpoints that answer with rows
_ORDERS = "*[oO]rder*"  # the endpoints that place, change or cancel orders, with the methods below
_PLACING = ("POST", "PUT")
_CANCELLING = ("DELETE",)


class _BadPartError(Exception):
    """A part of a SPEC is invalid; the message says what is valid there."""


def parse_fault(spec: str) -> Fault:
    """Parse one SPEC.

    Raises:
        ConfigError: The SPEC is invalid. The message is one line and lists the kinds if the kind
            is unknown.
    """
    try:
        return _parse(spec.strip())
    except _BadPartError as problem:
        raise ConfigError(f"fault {spec.strip()!r}: {problem}.") from None


def _parse(spec: str) -> Fault:
    head, *texts = _SPLIT.split(spec)
    what, at, where = head.partition("@")
    name, equals, argument = what.partition("=")
    kind = _kind(name)
    if (at and not where) or re.search(r"\s", where):
        raise _BadPartError("after @ write a path, a glob or path/SYMBOL, without spaces")
    if where and kind.stage in _GLOBAL:
        raise _BadPartError(f"{name} affects all requests, so it takes no @WHERE")
    if equals and not argument:
        raise _BadPartError(f"the argument after {name}= is missing")
    number, word = kind.parse(argument or kind.default)
    options = _parse_options(name, kind, texts)
    if name == "ws-miss" and number is not None:
        if options.times is not None:
            raise _BadPartError("ws-miss=N and times=N mean the same; write only one of them")
        options = options._replace(times=int(number))
    return Fault(spec, name, kind.stage, number, word, where or kind.where, kind.methods, *options)


class _Options(NamedTuple):
    times: int | None = None
    every: int = 1
    after: int = 0
    for_s: float | None = None
    share: float = 1.0


def _parse_options(kind_name: str, kind: _Kind, texts: list[str]) -> _Options:
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in _OPTIONS or not equals:
            raise _BadPartError(
                f"{text!r} is not an option; the options are {', '.join(_OPTIONS)}, each with ="
            )
        if name in given:
            raise _BadPartError(f"the option {name} is given twice")
        given[name] = value
    uncounted = kind.stage in (*_GLOBAL, FaultStage.LISTING, FaultStage.FILLS)
    if uncounted and (others := [name for name in given if name != "for"]):
        raise _BadPartError(
            f"{kind_name} does not count requests, so it does not take the option {others[0]}"
        )
    if kind.stage is FaultStage.PORT and "for" not in given:
        raise _BadPartError(
            f"{kind_name} needs for=, because no request can remove it while the port is closed"
        )
    return _Options(
        # times=0 makes sense only for a fault that also acts when it is added.
        times=_parse_count(
            given,
            "times",
            0 if kind.stage in (FaultStage.WEBSOCKET, FaultStage.USER_STREAM) else 1,
        ),
        every=_parse_count(given, "every", 1) or 1,
        after=_parse_count(given, "after", 0) or 0,
        for_s=_seconds_of(given["for"]) if "for" in given else None,
        share=_parse_probability(given["p"]) if "p" in given else 1.0,
    )


def _parse_count(given: dict[str, str], name: str, least: int) -> int | None:
    if name not in given:
        return None
    text = given[name]
    if not _COUNT.fullmatch(text) or int(text) < least:
        raise _BadPartError(f"{name} is {text!r}; it must be a whole number >= {least}")
    return int(text)


def _seconds_of(text: str) -> float:
    span = span_ms(f"{text}s" if _SECONDS.fullmatch(text) else text)
    if span is None:
        raise _BadPartError(f"{text!r} is not a duration such as 500ms, 2s, 1m or 1h30m")
    return float(span / 1000)


def _parse_probability(text: str) -> float:
    if text != "1" and not _SHARE.fullmatch(text):
        raise _BadPartError(f"p is {text!r}; it must be 0 to 1")
    return float(text)


# Parsers of ARG: each returns a number, a word, or neither.

_Argument = tuple[float | None, str]


def _no_argument(text: str) -> _Argument:
    if text:
        raise _BadPartError(f"this kind takes no argument, but ={text} is given")
    return None, ""


def _duration(text: str) -> _Argument:
    return _seconds_of(text), ""


def _optional_duration(text: str) -> _Argument:
    return (_seconds_of(text), "") if text else (None, "")


def _signed_duration(text: str) -> _Argument:
    sign = -1 if text.startswith("-") else 1
    return sign * _seconds_of(text.removeprefix("-" if sign < 0 else "+")), ""


def _body_share(text: str) -> _Argument:
    if not _SHARE.fullmatch(text):
        raise _BadPartError(f"{text!r} is not a share of the body; it must be 0 <= share < 1")
    return float(text), ""


def _row_count(text: str) -> _Argument:
    if not _COUNT.fullmatch(text) or int(text) < 1:
        raise _BadPartError(f"{text!r} is not a whole number >= 1")
    return float(text), ""


def _optional_count(text: str) -> _Argument:
    return _row_count(text) if text else (None, "")


def _page_status(text: str) -> _Argument:
    if text != "200" and not _is_error_status(text):
        raise _BadPartError(f"{text!r} is not an HTTP status that it can send: 200, 400 to 599")
    return float(text), ""


def _close_code(text: str) -> _Argument:
    # RFC 6455, 7.4: no code is below 1000; an endpoint must not send 1004 to 1006 and 1015.
    if not text:
        return None, ""
    if not re.fullmatch(r"100[0-3]|100[7-9]|101[0-4]|[34]\d{3}", text):
        raise _BadPartError(f"{text!r} is not a websocket close code that may be sent")
    return float(text), ""


def _effect(text: str) -> _Argument:
    if text not in ("done", "lost", "done/503", "lost/503"):
        raise _BadPartError("the argument must be done, lost, done/503 or lost/503")
    return None, text


def _error_code(text: str) -> _Argument:
    if not re.fullmatch(r"-[1-9]\d{3}", text):
        raise _BadPartError(f"{text!r} is not one of Binance's error codes, e.g. -2022")
    return float(text), ""


def _row_shape(text: str) -> _Argument:
    if text not in ("short", "types", "strings"):
        raise _BadPartError("the argument must be short, types or strings")
    return None, text


def _tick_and_step(text: str) -> _Argument:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,16})?/\d{1,9}(\.\d{1,16})?(/\d{13})?", text):
        raise _BadPartError("the argument must be TICK/STEP or TICK/STEP/FROM_MS, e.g. 0.001/1")
    return None, text


def _time_ms(text: str) -> _Argument:
    if not re.fullmatch(r"\d{13}", text):
        raise _BadPartError(f"{text!r} is not a time in Unix ms (13 digits)")
    return float(text), ""


def _symbol(text: str) -> _Argument:
    if not re.fullmatch(r"[A-Z0-9_]{1,20}", text):
        raise _BadPartError(f"{text!r} is not a symbol such as XRPUSDT")
    return None, text


def _is_error_status(text: str) -> bool:
    return re.fullmatch(r"[45]\d\d", text) is not None


class _Kind(NamedTuple):
    """A kind's stage, the parser of its argument, and its defaults."""

    stage: FaultStage
    parse: Callable[[str], _Argument] = _no_argument
    default: str = ""
    """ARG if it is omitted."""
    where: str = "*"
    methods: tuple[str, ...] = ()


_KINDS: dict[str, _Kind] = {
    "delay": _Kind(FaultStage.DELAY, _duration, "1s"),
    "slow": _Kind(FaultStage.LATE, _duration, "1s"),
    "stall": _Kind(FaultStage.NO_ANSWER),
    "reset": _Kind(FaultStage.NO_ANSWER),
    "refuse": _Kind(FaultStage.PORT),
    "cut": _Kind(FaultStage.BODY, _body_share, "0.5"),
    "truncate": _Kind(FaultStage.BODY, _body_share, "0.5"),
    "html": _Kind(FaultStage.FRONT, _page_status, "200"),
    "banned": _Kind(FaultStage.ANSWER, _duration, "2m"),
    "symbol-status": _Kind(FaultStage.ANSWER, where=_KLINES),
    "enum": _Kind(FaultStage.BODY, _symbol, "XRPUSDT", "exchangeInfo"),
    "stale": _Kind(FaultStage.ANSWER),
    "reject": _Kind(FaultStage.ANSWER, _error_code, "-2010", _ORDERS, _PLACING),
    "reject-cancel": _Kind(FaultStage.ANSWER, _error_code, "-2011", _ORDERS, _CANCELLING),
    "overload": _Kind(FaultStage.ANSWER, where=_ORDERS, methods=(*_PLACING, *_CANCELLING)),
    "unknown": _Kind(FaultStage.UNKNOWN, _effect, "done", _ORDERS, (*_PLACING, *_CANCELLING)),
    "reject-trigger": _Kind(FaultStage.TRIGGER),
    "stick-trigger": _Kind(FaultStage.TRIGGER, _optional_duration),
    "pieces": _Kind(FaultStage.FILLS, _row_count, "5"),
    "history": _Kind(FaultStage.HISTORY, _row_count, "20", "userTrades"),
    "empty": _Kind(FaultStage.ANSWER),
    "null": _Kind(FaultStage.ANSWER),
    "object": _Kind(FaultStage.ANSWER, where=_KLINES),
    "shape": _Kind(FaultStage.ROWS, _row_shape, "short"),
    "duplicate": _Kind(FaultStage.ROWS),
    "missing": _Kind(FaultStage.ROWS, _row_count, "1"),
    "disorder": _Kind(FaultStage.ROWS),
    "forming": _Kind(FaultStage.ROWS),
    "late": _Kind(FaultStage.ROWS, _duration, "2s"),
    "nan": _Kind(FaultStage.ROWS),
    "negative": _Kind(FaultStage.ROWS),
    "fine": _Kind(FaultStage.ROWS),
    "odd": _Kind(FaultStage.ROWS, _time_ms),
    "grid": _Kind(FaultStage.LISTING, _tick_and_step),
    "skew": _Kind(FaultStage.CLOCK, _signed_duration, "+90s"),
    "ws-drop": _Kind(FaultStage.WEBSOCKET, _close_code),
    "ws-mute": _Kind(FaultStage.MESSAGE),
    "ws-miss": _Kind(FaultStage.MESSAGE, _optional_count),
    "ws-double": _Kind(FaultStage.MESSAGE),
    "user-drop": _Kind(FaultStage.USER_STREAM, _close_code),
    "user-expire": _Kind(FaultStage.LISTEN_KEY),
    "user-mute": _Kind(FaultStage.USER_EVENT),
    "user-late": _Kind(FaultStage.USER_EVENT, _duration, "3s"),
    "user-double": _Kind(FaultStage.USER_EVENT),
    "user-swap": _Kind(FaultStage.USER_EVENT, _duration, "1s"),
}
_FRONT_STATUSES = ("403", "451")  # sent by a firewall or a CDN, not by the exchange itself

FAULT_KINDS = ("400…599", *_KINDS)
"""Every kind, as listed when a SPEC names an unknown one."""


def _kind(name: str) -> _Kind:
    if _is_error_status(name):
        front = name in _FRONT_STATUSES
        return _Kind(FaultStage.FRONT if front else FaultStage.ANSWER, _optional_duration)
    if name not in _KINDS:
        raise _BadPartError(f"there is no kind {name!r}; the kinds are {' '.join(FAULT_KINDS)}")
    return _KINDS[name]
