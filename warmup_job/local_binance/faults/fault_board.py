"""What can go wrong with the exchange, on request: one line of text for each fault.

``KIND[=ARG][@WHERE][:OPTION…]``, for instance ``429=30@klines/BTCUSDT:times=2``. The whole grammar
is in docs/local-exchange.md. This module reads such lines and decides which requests and messages
they meet; it knows neither sockets nor HTTP.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from warmup_job.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Stage(Enum):
    """Where on the way of a request, or to what else, a fault happens."""

    WAIT = auto()
    """The answer is made at once and comes later; all that match add up."""
    FRONT = auto()
    """Something in front of the exchange answers: no weight is spent."""
    ANSWER = auto()
    """The exchange answers, but not what was asked for."""
    SILENCE = auto()
    """The exchange gets the request, and no answer leaves it."""
    ROWS = auto()
    """The rows of a kline answer are not what they should be; all that match apply, in order."""
    BODY = auto()
    """A good answer is damaged on its way."""
    LISTING = auto()
    """A symbol has another tick and step than it had."""
    CLOCK = auto()
    """The exchange's clock is wrong."""
    DOOR = auto()
    """Nobody listens."""
    CONNECT = auto()
    """Websockets are cut off and refused."""
    MESSAGE = auto()
    """Websocket messages are not sent as they should be."""


class Facts(NamedTuple):
    """What a fault can see of a REST request, a websocket handshake or a websocket message."""

    path: str
    """Of a request its path; of a message ``/MARKET/STREAM``, as ``/um/btcusdt@kline_1m``."""
    symbol: str = ""
    interval: str = ""
    closes: bool = False
    """Whether the message says that a kline has closed."""


class SymbolGrid(NamedTuple):
    """A symbol's tick and step, as exchangeInfo prints them."""

    tick: str
    step: str
    from_ms: int | None
    """Klines that open from then on use it (UTC ms); None: none does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it was asked for. Numbers are in seconds unless the kind says otherwise."""

    spec: str
    """The text that it was read from."""
    kind: str
    """Its name: what stands in the request log."""
    stage: Stage
    number: float | None = None
    """What ARG says, where it is a number: seconds, a share, a count, a status or a close code."""
    word: str = ""
    """What ARG says, where it is a word: a shape."""
    where: str = "*"
    """A glob over the tail of the path, over ``path/SYMBOL`` and ``path/SYMBOL/INTERVAL``."""
    times: int | None = None
    every: int = 1
    after: int = 0
    for_s: float | None = None
    share: float = 1.0
    """The option ``p``."""

    def applies(self, facts: Facts) -> bool:
        """Whether this is a request or message that the fault is about."""
        if self.kind in ("ws-miss", "ws-double") and not facts.closes:
            return False
        return any(fnmatchcase(name, self.where) for name in _names(facts))

    def lasts(self, age_s: float) -> bool:
        """Whether the fault is still there ``age_s`` after it was set."""
        return self.for_s is None or age_s < self.for_s

    def strikes(self, earlier: int, struck: int, luck: float) -> bool:
        """Whether the next one that it applies to is hit.

        ``earlier`` is how many it has applied to before, ``struck`` how many of these it hit, and
        ``luck`` a number from 0 to 1 that is below ``p`` as often as ``p`` says.
        """
        if self.times is not None and struck >= self.times:
            return False
        number = earlier - self.after + 1  # among those not skipped, from 1
        return number >= 1 and number % self.every == 0 and luck < self.share


@dataclass(slots=True)
class ArmedFault:
    """A fault that was set, and what it has done since."""

    id: str
    fault: Fault
    since_s: float
    """When it was set, by the board's own monotonic clock."""
    seen: int = 0
    """How many requests or messages it applied to."""
    fired: int = 0
    """How many of these it hit."""


@dataclass(slots=True)
class FaultBoard:
    """The faults of one exchange, in the order in which they were set."""

    seed: int = 0
    """Of the option ``p``: the same seed and the same requests are the same luck."""
    monotonic_s: Callable[[], float] = time.monotonic
    _armed: dict[str, ArmedFault] = field(default_factory=dict)
    _last_id: int = 0

    def add(self, fault: Fault) -> ArmedFault:
        """Set a fault; it counts and lasts from now."""
        self._last_id += 1
        armed = ArmedFault(str(self._last_id), fault, self.monotonic_s())
        self._armed[armed.id] = armed
        return armed

    def remove(self, fault_id: str) -> bool:
        """Take one back; False if there is none of that id."""
        return self._armed.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Take all of them back."""
        self._armed.clear()

    def shown(self) -> list[dict[str, Any]]:
        """Every fault that was set and not taken back, also those that are over, for people."""
        return [
            {
                "id": armed.id,
                "spec": armed.fault.spec,
                "seen": armed.seen,
                "fired": armed.fired,
                "active": self._is_live(armed),
            }
            for armed in self._armed.values()
        ]

    def strike(self, facts: Facts, stages: Iterable[Stage], *, at_most_one: bool) -> list[Fault]:
        """Count something that happens, and say which faults of these stages hit it.

        With ``at_most_one`` the first hit ends the search, and the later faults have not seen it.
        """
        wanted = frozenset(stages)
        hit: list[Fault] = []
        for armed in self._armed.values():
            fault = armed.fault
            if fault.stage not in wanted or not self._in_time(armed) or not fault.applies(facts):
                continue
            strikes = fault.strikes(armed.seen, armed.fired, self._luck(armed))
            armed.seen += 1
            if strikes:
                armed.fired += 1
                hit.append(fault)
                if at_most_one:
                    break
        return hit

    def strike_request(self, facts: Facts, *, klines: bool) -> tuple[Fault, ...]:
        """The faults that hit a REST request, in the order in which they take effect.

        ``klines`` tells whether its answer has rows. A request that gets no proper answer is not
        seen by the faults that spoil one.
        """
        if not self._armed:
            return ()
        waits = self.strike(facts, (Stage.WAIT,), at_most_one=False)
        instead = (Stage.FRONT, Stage.ANSWER, Stage.SILENCE)
        if answer := self.strike(facts, instead, at_most_one=True):
            return (*waits, *answer)
        rows = self.strike(facts, (Stage.ROWS,), at_most_one=False) if klines else []
        return (*waits, *rows, *self.strike(facts, (Stage.BODY,), at_most_one=True))

    def strike_handshake(self, facts: Facts) -> Fault | None:
        """The fault that refuses a websocket, if any."""
        return next(iter(self.strike(facts, (Stage.CONNECT,), at_most_one=True)), None)

    def copies(self, facts: Facts) -> int:
        """How many times a websocket message is sent: once, unless a fault hits it."""
        if not self._armed:
            return 1
        hit = self.strike(facts, (Stage.MESSAGE,), at_most_one=True)
        return 1 if not hit else 2 if hit[0].kind == "ws-double" else 0

    def grid(self, symbol: str) -> SymbolGrid | None:
        """The tick and step that ``symbol`` has been given last; None: its own."""
        grids = [f for f in self._lasting(Stage.LISTING) if fnmatchcase(symbol, f.where)]
        if not grids:
            return None
        tick, step, *from_ms = grids[-1].word.split("/")
        return SymbolGrid(tick, step, int(from_ms[0]) if from_ms else None)

    def skew_ms(self) -> int:
        """How far the exchange's clock is ahead because of faults."""
        return sum(round((f.number or 0) * 1000) for f in self._lasting(Stage.CLOCK))

    def refuses_for_s(self) -> float:
        """How long nobody will listen from now on; 0: somebody does."""
        now_s = self.monotonic_s()
        ends = (
            armed.since_s + (armed.fault.for_s or 0) - now_s
            for armed in self._armed.values()
            if armed.fault.stage is Stage.DOOR
        )
        return max((0.0, *ends))

    def left_s(self, fault: Fault) -> float | None:
        """How much longer a fault with ``for`` lasts."""
        now_s = self.monotonic_s()
        for armed in self._armed.values():
            if armed.fault is fault and fault.for_s is not None:
                return max(0.0, armed.since_s + fault.for_s - now_s)
        return None

    def _lasting(self, stage: Stage) -> list[Fault]:
        return [
            armed.fault
            for armed in self._armed.values()
            if armed.fault.stage is stage and self._in_time(armed)
        ]

    def _in_time(self, armed: ArmedFault) -> bool:
        return armed.fault.lasts(self.monotonic_s() - armed.since_s)

    def _is_live(self, armed: ArmedFault) -> bool:
        times = armed.fault.times
        return self._in_time(armed) and (times is None or armed.fired < times)

    def _luck(self, armed: ArmedFault) -> float:
        if armed.fault.share >= 1:
            return 0.0
        text = f"{self.seed}/{armed.id}/{armed.seen}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def _names(facts: Facts) -> Iterable[str]:
    """What a WHERE is compared with: each tail of the path, alone and with what it is about."""
    parts = facts.path.split("/")
    for first in range(len(parts)):
        tail = "/".join(parts[first:])
        yield tail
        if facts.symbol:
            yield f"{tail}/{facts.symbol}"
            if facts.interval:
                yield f"{tail}/{facts.symbol}/{facts.interval}"


# --- reading ------------------------------------------------------------------------------------

_SPLIT = re.compile("[:,]")
_COUNT = re.compile(r"\d{1,9}")
_SHARE = re.compile(r"0(?:\.\d{1,9})?|\.\d{1,9}")
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_OPTIONS = ("times", "every", "after", "for", "p")
_KLINES = "*[kK]lines"  # the endpoints that answer with rows


class _BadPartError(Exception):
    """A part of a SPEC that cannot be read; the message says what belongs there."""


def parse_fault(spec: str) -> Fault:
    """Read one SPEC.

    Raises:
        ConfigError: it is none; the message is one line, and lists the kinds if the kind is wrong.
    """
    try:
        return _read(spec.strip())
    except _BadPartError as problem:
        raise ConfigError(f"fault {spec.strip()!r}: {problem}.") from None


def _read(spec: str) -> Fault:
    head, *texts = _SPLIT.split(spec)
    what, at, where = head.partition("@")
    name, equals, argument = what.partition("=")
    kind = _kind(name)
    if (at and not where) or re.search(r"\s", where):
        raise _BadPartError("a path, a glob or path/SYMBOL belongs after the @")
    if where and kind.stage in (Stage.CLOCK, Stage.DOOR):
        raise _BadPartError(f"{name} concerns everybody, so it takes no @WHERE")
    if equals and not argument:
        raise _BadPartError(f"nothing follows the = of {name}")
    number, word = kind.read(argument or kind.default)
    options = _options(name, kind, texts)
    if name == "ws-miss" and number is not None:
        if options.times is not None:
            raise _BadPartError("ws-miss=N and times=N are the same: give one of them")
        options = options._replace(times=int(number))
    return Fault(
        spec=spec,
        kind=name,
        stage=kind.stage,
        number=number,
        word=word,
        where=where or kind.where,
        times=options.times,
        every=options.every,
        after=options.after,
        for_s=options.for_s,
        share=options.share,
    )


class _Options(NamedTuple):
    times: int | None = None
    every: int = 1
    after: int = 0
    for_s: float | None = None
    share: float = 1.0


def _options(kind_name: str, kind: _Kind, texts: list[str]) -> _Options:
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in _OPTIONS or not equals:
            raise _BadPartError(
                f"{text!r} is no option; they are {', '.join(_OPTIONS)}, each with ="
            )
        if name in given:
            raise _BadPartError(f"{name} is given twice")
        given[name] = value
    uncounted = kind.stage in (Stage.CLOCK, Stage.DOOR, Stage.LISTING)
    if uncounted and (others := [name for name in given if name != "for"]):
        raise _BadPartError(
            f"{kind_name} is not counted in requests: {others[0]} does not go with it"
        )
    if kind.stage is Stage.DOOR and "for" not in given:
        # Whoever set it could not reach the exchange to take it back.
        raise _BadPartError(f"{kind_name} needs for=, as nobody can reach the exchange meanwhile")
    return _Options(
        # 0 makes sense only where something happens when it is set.
        times=_count(given, "times", 0 if kind.stage is Stage.CONNECT else 1),
        every=_count(given, "every", 1) or 1,
        after=_count(given, "after", 0) or 0,
        for_s=_span_s(given["for"]) if "for" in given else None,
        share=_probability(given["p"]) if "p" in given else 1.0,
    )


def _count(given: dict[str, str], name: str, least: int) -> int | None:
    if name not in given:
        return None
    text = given[name]
    if not _COUNT.fullmatch(text) or int(text) < least:
        raise _BadPartError(f"{name} is {text!r}; it must be a whole number from {least} on")
    return int(text)


def _span_s(text: str) -> float:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise _BadPartError(f"{text!r} is no duration such as 500ms, 2s or 1m")
    return float(match[1]) * _UNIT_S[match[2]]


def _probability(text: str) -> float:
    if text != "1" and not _SHARE.fullmatch(text):
        raise _BadPartError(f"p is {text!r}; it must be 0 to 1")
    return float(text)


# Readers of ARG: each gives a number, a word, or neither.

_Argument = tuple[float | None, str]


def _nothing(text: str) -> _Argument:
    if text:
        raise _BadPartError(f"={text} does not belong here: this kind takes no argument")
    return None, ""


def _span(text: str) -> _Argument:
    return _span_s(text), ""


def _span_or_nothing(text: str) -> _Argument:
    return (_span_s(text), "") if text else (None, "")


def _signed_span(text: str) -> _Argument:
    sign = -1 if text.startswith("-") else 1
    return sign * _span_s(text.removeprefix("-" if sign < 0 else "+")), ""


def _share(text: str) -> _Argument:
    if not _SHARE.fullmatch(text):
        raise _BadPartError(f"{text!r} is no share of the body from 0 to below 1")
    return float(text), ""


def _number(text: str) -> _Argument:
    if not _COUNT.fullmatch(text) or int(text) < 1:
        raise _BadPartError(f"{text!r} is no count from 1 on")
    return float(text), ""


def _number_or_nothing(text: str) -> _Argument:
    return _number(text) if text else (None, "")


def _page_status(text: str) -> _Argument:
    if text != "200" and not _is_error_status(text):
        raise _BadPartError(f"{text!r} is no HTTP status: 200, or 400 to 599")
    return float(text), ""


def _close_code(text: str) -> _Argument:
    # Below 1000 nothing is defined; 1004 to 1006 and 1015 may not be sent.
    if not text:
        return None, ""
    if not re.fullmatch(r"100[0-3]|100[7-9]|101[0-4]|[34]\d{3}", text):
        raise _BadPartError(f"{text!r} is no code of a websocket's close frame")
    return float(text), ""


def _shape(text: str) -> _Argument:
    if text not in ("short", "types", "strings"):
        raise _BadPartError("a shape is short, types or strings")
    return None, text


def _grid(text: str) -> _Argument:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,16})?/\d{1,9}(\.\d{1,16})?(/\d{13})?", text):
        raise _BadPartError("a grid is TICK/STEP or TICK/STEP/FROM_MS, as 0.001/1")
    return None, text


def _moment(text: str) -> _Argument:
    if not re.fullmatch(r"\d{13}", text):
        raise _BadPartError(f"{text!r} is no time of 13 digits, ms since 1970")
    return float(text), ""


def _symbol(text: str) -> _Argument:
    if not re.fullmatch(r"[A-Z0-9_]{1,20}", text):
        raise _BadPartError(f"{text!r} is not a symbol such as XRPUSDT")
    return None, text


def _is_error_status(text: str) -> bool:
    return re.fullmatch(r"[45]\d\d", text) is not None


class _Kind(NamedTuple):
    """What a kind is and what it takes."""

    stage: Stage
    read: Callable[[str], _Argument] = _nothing
    default: str = ""
    """ARG when it is left out."""
    where: str = "*"


_KINDS: dict[str, _Kind] = {
    "delay": _Kind(Stage.WAIT, _span, "1s"),
    "stall": _Kind(Stage.SILENCE),
    "reset": _Kind(Stage.SILENCE),
    "refuse": _Kind(Stage.DOOR),
    "cut": _Kind(Stage.BODY, _share, "0.5"),
    "truncate": _Kind(Stage.BODY, _share, "0.5"),
    "html": _Kind(Stage.FRONT, _page_status, "200"),
    "banned": _Kind(Stage.ANSWER, _span, "2m"),
    "symbol-status": _Kind(Stage.ANSWER, where=_KLINES),
    "enum": _Kind(Stage.BODY, _symbol, "XRPUSDT", "exchangeInfo"),
    "empty": _Kind(Stage.ANSWER),
    "null": _Kind(Stage.ANSWER),
    "object": _Kind(Stage.ANSWER, where=_KLINES),
    "shape": _Kind(Stage.ROWS, _shape, "short"),
    "duplicate": _Kind(Stage.ROWS),
    "missing": _Kind(Stage.ROWS, _number, "1"),
    "disorder": _Kind(Stage.ROWS),
    "forming": _Kind(Stage.ROWS),
    "late": _Kind(Stage.ROWS, _span, "2s"),
    "nan": _Kind(Stage.ROWS),
    "negative": _Kind(Stage.ROWS),
    "fine": _Kind(Stage.ROWS),
    "odd": _Kind(Stage.ROWS, _moment),
    "grid": _Kind(Stage.LISTING, _grid),
    "skew": _Kind(Stage.CLOCK, _signed_span, "+90s"),
    "ws-drop": _Kind(Stage.CONNECT, _close_code),
    "ws-mute": _Kind(Stage.MESSAGE),
    "ws-miss": _Kind(Stage.MESSAGE, _number_or_nothing),
    "ws-double": _Kind(Stage.MESSAGE),
}
_FRONT_STATUSES = ("403", "451")  # a firewall's and a content network's, not the exchange's own

KINDS = ("400…599", *_KINDS)
"""Every kind, as it is listed to who named one that there is not."""


def _kind(name: str) -> _Kind:
    if _is_error_status(name):
        front = name in _FRONT_STATUSES
        return _Kind(Stage.FRONT if front else Stage.ANSWER, _span_or_nothing)
    if name not in _KINDS:
        raise _BadPartError(f"there is no kind {name!r}; the kinds are {' '.join(KINDS)}")
    return _KINDS[name]
