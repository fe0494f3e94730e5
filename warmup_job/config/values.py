"""Convert one value as a user writes it to the value that the code uses. Pure functions.

Every function raises ``ValueError`` with a reason that reads well after the key's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from warmup_job.errors import ConfigError
from warmup_job.market.interval import Interval
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import DURATION_UNITS_MS, span_ms
from warmup_job.regime.indicator_names import kind_of

_LARGEST_INT = 2**63 - 1
_LONGEST_MS = 10 * 365 * 86_400_000

_REFERENCE = re.compile(
    r"(?P<escaped>\$\$\{)"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}"
    r"|(?P<broken>\$\{)"
)
# 60 digits and a two-digit exponent: more than any amount needs, and quick to compute with.
NUMBER: Final = re.compile(
    r"(?=.{1,60}\Z)[-+]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?\Z"
)
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")
BOOLEAN: Final = re.compile(rf"(?i:{'|'.join(_TRUE + _FALSE)})\Z")
_CLASS_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_BALANCE = re.compile(r"[0-9][0-9_]*(?:\.[0-9]+)? [A-Z0-9]+")


class UnsetVariableError(ValueError):
    """The environment lacks a ``${VAR}`` that has no default."""


class Substituted(str):
    """Text from the environment. `shown` never quotes it: it could be a secret."""

    __slots__ = ("written",)

    written: str


def number(text: str) -> int | Decimal | None:
    """Return the exact number that ``text`` writes in decimal, or None if it is not one."""
    if not NUMBER.match(text):
        return None
    digits = text.replace("_", "")
    return Decimal(digits) if any(c in digits for c in ".eE") else int(digits)


def truth(text: str) -> bool | None:
    """Read ``text`` as a YAML 1.1 boolean (true, yes, on, …); None if it is not one."""
    word = text.lower()
    return True if word in _TRUE else False if word in _FALSE else None


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace ``${VAR}`` and ``${VAR:-default}`` in ``text``; ``$${`` becomes a plain ``${``.

    As in a shell, the default after ``:-`` also replaces an empty variable. Text in which
    something was replaced is returned as ``Substituted``.

    Raises:
        UnsetVariableError: a variable without a default is not set; the message names it.
        ValueError: a ``${`` that is neither form.
    """

    def value_of(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        if match["broken"]:
            raise ValueError("${ without a name and a }: write ${VAR}, ${VAR:-default} or $${")
        value = environ.get(match["name"])
        if match["default"] is not None:
            return value or match["default"]
        if value is None:
            raise UnsetVariableError(f"the environment variable {match['name']} is not set")
        return value

    replaced = _REFERENCE.sub(value_of, text)
    if replaced == text:
        return text
    substituted = Substituted(replaced)
    substituted.written = text
    return substituted


def substitute_within(value: object, environ: Mapping[str, str]) -> object:
    """Apply `substitute` to every text in nested mappings and lists; raise what it raises."""
    if isinstance(value, str):
        return substitute(value, environ)
    if isinstance(value, dict):
        return {key: substitute_within(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute_within(inner, environ) for inner in value]
    return value


def references(value: object) -> frozenset[str]:
    """Return the names of all variables that nested mappings, lists and texts refer to."""
    if isinstance(value, str):
        return frozenset(match["name"] for match in _REFERENCE.finditer(value) if match["name"])
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return frozenset[str]().union(*(references(inner) for inner in value))
    return frozenset()


def shown(value: object) -> str:
    """``value`` as an error message quotes it: short, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Substituted):
        return f"what {shown(value.written)} stands for"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:59] + "…")
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else str(value)


def shown_key(key: str) -> str:
    """``key`` as a message shows it: on one line; only its length if it must be a stray value."""
    if len(key) > 40:
        return f"<a key of {len(key)} characters>"
    return key if key.isprintable() and key else repr(key)


def duration_ms(value: object) -> int:
    """Read a duration: ``60s``, ``5m``, ``1h30m``, ``250ms``, or a number of seconds; return ms."""
    amount: Decimal | None = None
    seconds = number(value.strip()) if isinstance(value, str) else value
    if isinstance(seconds, int | Decimal) and not isinstance(seconds, bool):
        amount = Decimal(seconds) * 1000
    elif isinstance(value, str):
        amount = span_ms(value.strip())
    if amount is None or amount <= 0 or amount != amount.to_integral_value():
        raise ValueError(
            f"{shown(value)} is not a duration: write 60s, 5m, 1h30m, 250ms or a number of seconds"
        )
    if amount > _LONGEST_MS:
        raise ValueError(f"{shown(value)} is longer than ten years")
    return int(amount)


def pause_ms(value: object) -> int:
    """Read a duration like `duration_ms`, or 0 for none; return ms."""
    return 0 if value in (0, "0", "0s") and not isinstance(value, bool) else duration_ms(value)


def written_duration(value_ms: int) -> str:
    """``value_ms`` as `pause_ms` reads it, in the largest whole unit: 90s, 10m; 0s."""
    if not value_ms:
        return "0s"
    unit = next(unit for unit, size in DURATION_UNITS_MS.items() if value_ms % size == 0)
    return f"{value_ms // DURATION_UNITS_MS[unit]}{unit}"


def http_url(value: object) -> str:
    """Check a URL that begins with http:// or https://."""
    return _url(value, ("http", "https"))


def ws_url(value: object) -> str:
    """Check a URL that begins with ws:// or wss://."""
    return _url(value, ("ws", "wss"))


def _url(value: object, schemes: tuple[str, ...]) -> str:
    # Not quoted in the message: a URL may carry a password.
    wrong = ValueError(f"not a URL that begins with {schemes[0]}:// or {schemes[1]}://")
    if not isinstance(value, str) or any(c.isspace() for c in value):
        raise wrong
    try:
        parts = urlsplit(value)
        whole = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        raise wrong from None
    if not whole:
        raise wrong
    try:
        (parts.hostname or "").encode("idna")  # as it is looked up
    except ValueError:
        raise ValueError("the host's name has an empty or too long part, or a bad letter") from None
    if not parts.path.isascii():
        raise ValueError("the path has letters outside ASCII: write them percent-encoded")
    return str(value)


def symbol(value: object) -> str:
    """Read Binance's symbol, from itself or from a Nautilus id."""
    try:
        return venue_symbol(plain := text(value))
    except ConfigError as error:
        reason = str(error).replace(repr(plain), shown(value))
        if isinstance(value, Substituted):
            reason = reason.partition("; did you mean")[0]
        raise ValueError(reason) from None


def interval(value: object) -> str:
    """Check the name of one of Binance's kline intervals."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # 60 without quotes
    try:
        return Interval.parse(plain := text(value)).name
    except ConfigError as error:
        raise ValueError(str(error).replace(repr(plain), shown(value))) from None


def indicator_kind(value: object) -> str:
    """Return the kind of indicator that a name stands for, in any spelling of it."""
    kind = kind_of(plain := text(value))
    if not kind:
        raise ValueError(f"{shown(plain)} is not the name of an indicator")
    return kind


def instrument(value: object) -> str:
    """Check a symbol or a Nautilus id and return it as written."""
    symbol(value)
    return text(value)


def class_path(value: object) -> str:
    """Check the import path of a class: ``package.module:Class``."""
    if not isinstance(value, str) or not _CLASS_PATH.fullmatch(value):
        raise ValueError(f"{shown(value)} is not package.module:Class")
    return str(value)


def paths(value: object) -> object:
    """Split a comma-separated list of paths; leave a list unchanged."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def mapping(value: object) -> dict[str, object]:
    """Check that ``value`` is a mapping."""
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is not a mapping")
    return value


def balance(value: object) -> str:
    """Check an amount and a currency, such as ``10000 USDT``."""
    if not isinstance(value, str) or not _BALANCE.fullmatch(value):
        raise ValueError(f"{shown(value)} is not an amount and a currency such as 10000 USDT")
    return str(value)


def text(value: object) -> str:
    """Check a text: not empty, printable, on one line."""
    if not isinstance(value, str):
        hint = "" if isinstance(value, list | dict) else "; put it in quotes if it is meant to be"
        raise ValueError(f"{shown(value)} is not text{hint}")
    if not value:
        raise ValueError("empty")
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be shown")
    return str(value)


def trader_name(value: object) -> str:
    """Return the name of a trader.

    Raises:
        ValueError: Nautilus does not accept it; the message says why.
    """
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", name):
        raise ValueError(f"{shown(value)} is not 1 to 32 letters, digits, - and _")
    return name


def order_id_tag(value: object) -> str | None:
    """Return the tag of a trader's order ids; None: it is not set.

    Three characters: with all other parts an order id must not exceed Binance's 36.

    Raises:
        ValueError: it is too long or has other characters; the message says why.
    """
    if value is None or value == "":
        return None
    tag = text(value)
    if not re.fullmatch(r"[A-Za-z0-9]{1,3}", tag):
        raise ValueError(
            f"{shown(value)} is not one to three letters or digits (an order id has at most 36 "
            "characters)"
        )
    return tag


def texts(value: object) -> Iterator[str]:
    """Yield every text in nested mappings and lists, without the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def _number(value: object, noun: str) -> int | Decimal:
    given = number(value.strip()) if isinstance(value, str) else value
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise ValueError(f"{shown(value)} is not {noun}")
    return given


def _whole(value: object) -> int:
    given = int(exact := _number(value, "a whole number"))
    if given != exact:
        raise ValueError(f"{shown(value)} is not a whole number")
    if not -_LARGEST_INT <= given <= _LARGEST_INT:
        raise ValueError(f"{shown(value)} is too large")
    return given


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1, "0", "1"):
        return value in (1, "1")
    read = truth(value.strip()) if isinstance(value, str) else None
    if read is None:
        raise ValueError(f"{shown(value)} is neither true nor false")
    return read


CONVERSIONS: Final[Mapping[type, Callable[[object], object]]] = {
    int: _whole,
    float: lambda value: float(_number(value, "a number")),
    Decimal: lambda value: Decimal(_number(value, "a number")),
    bool: _boolean,
    str: text,
    dict: mapping,
    Path: lambda value: Path(text(value)),
}
"""The reader of each plain type; a text that writes a number or a boolean is converted."""
