"""A mapping from a file → a frozen struct, with every problem of every field, not the first.

The structs say what a file may hold: a field's name is the key, its type what belongs there, its
``Annotated`` marks the range and how it is written. This module walks them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from warmup_job.config.document import number, read_document, shown_key
from warmup_job.config.values import (
    CONVERSIONS,
    UnsetVariableError,
    references,
    shown,
    substitute_within,
)
from warmup_job.errors import ConfigError


class _Mark:
    """A mark without a value."""


SECRET: Final = _Mark()
"""Never quoted in a message; an unset ``${VAR}`` means None."""
_NOT_IN_FILE: Final = _Mark()
"""A field of the struct that is no key of the file."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file, or a whole one."""

    unused_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that are known and may be there, but that nothing here reads."""

    def complaint(self) -> str | None:
        """What is wrong between fields that are right by themselves: ``key: reason``."""
        return None


class SettingsFile(Section, frozen=True, kw_only=True):
    """A whole file."""

    warnings: Annotated[tuple[str, ...], _NOT_IN_FILE] = ()
    """What was odd in the file, one line each."""
    variables: Annotated[frozenset[str], _NOT_IN_FILE] = frozenset()
    """The names of all variables that the file refers to, also in parts that are not read."""


@dataclass(frozen=True, slots=True)
class Between:
    """The range of a number; a bound that is None is open."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    unit: Literal["fraction", "percent"] | None = None
    """Of a share of something: 0.65 is 65 %, or 65 is. An error tells the other way of writing."""

    def check(self, value: float | Decimal) -> None:
        """Raise ``ValueError`` if ``value`` is outside."""
        # Through text, so that Decimal("0.1") is not below the float 0.1.
        exact = Decimal(str(value))
        if (wrong := self._wrong(exact)) is None:
            return
        factor = {"fraction": Decimal("0.01"), "percent": Decimal(100)}.get(self.unit or "")
        hint = ""
        if factor is not None and self._wrong(meant := exact * factor) is None:
            hint = f": {share_hint(self.unit, meant)}"
        raise ValueError(f"{value} is {wrong}{hint}")

    def _wrong(self, exact: Decimal) -> str | None:
        if self.at_least is not None and exact < Decimal(str(self.at_least)):
            return f"below {self.at_least}"
        if self.above is not None and exact <= Decimal(str(self.above)):
            return f"not above {self.above}"
        if self.at_most is not None and exact > Decimal(str(self.at_most)):
            return f"above {self.at_most}"
        return None


def share_hint(unit: str | None, meant: Decimal) -> str:
    """How a share is written, by the example of what was probably meant."""
    plain = f"{meant.normalize():f}"
    if unit == "fraction":
        return f"use a fraction, {plain} means {(meant * 100).normalize():f} %"
    return f"it is a percentage, {plain} means {plain} %"


@dataclass(frozen=True, slots=True)
class Written:
    """How a field is written when not simply as its type; ``read`` may raise ``ValueError``."""

    read: Callable[[object], object]


class Given(NamedTuple):
    """A value from the command line or the environment, and what it is called there."""

    text: str
    label: str


_WRONG: Final = object()


class FieldReader:
    """Reads one file's mapping and keeps what is wrong (``problems``) or odd (``warnings``) in it.

    Both are single lines that say where: the file and the dotted path, or the variable or option.
    """

    def __init__(self, file: object, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._file = f"{file}: "
        self._environ = environ

    def read[S: Section](self, kind: type[S], raw: object) -> S | None:
        """Read the whole file as ``kind``; None if that cannot be, with the problems noted."""
        return self._section(kind, raw, self._file)

    def read_fields(self, kind: type[Section], raw: Mapping[str, object]) -> dict[str, Any]:
        """Those fields of ``kind`` that are in the file and right, by the struct's names."""
        return self._fields(kind, raw, self._file)[0]

    def _section[S: Section](self, kind: type[S], raw: object, at: str) -> S | None:
        needed = [f.encode_name for f in _fields_of(kind).values() if f.required]
        if raw in (None, {}) and needed:
            self.problems.append(f"{at.removesuffix(': ')}: missing; it needs {', '.join(needed)}")
            return None
        if raw is None:
            raw = {}
        if not isinstance(raw, Mapping):
            what = "text" if isinstance(raw, str) else shown(raw)  # text could be a secret
            self.problems.append(f"{at}: {what} is not a mapping")
            return None
        values, whole = self._fields(kind, raw, at)
        if not whole:
            return None
        section = kind(**values)
        complaint = section.complaint()
        if complaint:
            self.problems.append(_below(at, complaint))
        return section

    def _fields(
        self, kind: type[Section], raw: Mapping[str, object], at: str
    ) -> tuple[dict[str, Any], bool]:
        known = _fields_of(kind)
        misspelt = self._judge_unknown(raw, [*known, *kind.unused_keys], at)
        values: dict[str, Any] = {}
        whole = True
        for key, field in known.items():
            path = _below(at, key)
            inner = _section_type(field.type)
            value: object
            if inner is not None and (key in raw or field.required):
                meant = key in misspelt and key not in raw
                value = (not meant and self._section(inner, raw.get(key), path)) or _WRONG
            elif key in raw:
                value = self._value(field.type, raw[key], path)
            elif field.required:
                if key not in misspelt:
                    self.problems.append(f"{path}: missing")
                value = _WRONG
            else:
                continue
            if value is _WRONG:
                whole = False
            else:
                values[field.name] = value
        return values, whole

    def _judge_unknown(
        self, raw: Mapping[str, object], known: Iterable[str], at: str
    ) -> frozenset[str]:
        """Note the keys that ``known`` lacks; return the known ones that were probably meant."""
        meant = set()
        for key in raw:
            if key in known:
                continue
            path = _below(at, shown_key(key))
            near = nearest(key, [k for k in known if k not in raw] or known)
            near = near or nearest(key, known)
            if near is None:
                self.warnings.append(f"{path}: unknown key, ignored")
            else:
                meant.add(near)
                self.problems.append(f"{path}: unknown key; did you mean {near}?")
        return frozenset(meant)

    def _value(self, kind: Any, raw: object, at: str) -> object:  # noqa: ANN401 - a type of any sort
        kind, marks = _unwrapped(kind)
        if isinstance(raw, Given):
            at, raw = raw.label, raw.text
        elif isinstance(raw, str | dict):
            try:
                raw = substitute_within(raw, self._environ)
            except UnsetVariableError as unset:
                if SECRET in marks:
                    return None
                return self._wrong(at, unset)
            except ValueError as broken:
                return self._wrong(at, broken)
        try:
            if get_origin(kind) is not tuple:
                return _converted(kind, marks, raw)
            for written in marks:
                raw = written.read(raw) if isinstance(written, Written) else raw
        except ValueError as wrong:
            return self._wrong(at, wrong)
        return self._items(get_args(kind)[0], raw, at)

    def _items(self, kind: Any, raw: object, at: str) -> object:  # noqa: ANN401
        if raw is None:
            return ()
        if not isinstance(raw, list):
            return self._wrong(at, f"{shown(raw)} is not a list")
        inner = _section_type(kind)
        items: list[object] = []
        for index, item in enumerate(raw):
            path = f"{at}[{index}]"
            items.append(
                self._value(kind, item, path)
                if inner is None
                else self._section(inner, item, path) or _WRONG
            )
        return _WRONG if _WRONG in items else tuple(items)

    def _wrong(self, at: str, reason: object) -> object:
        self.problems.append(f"{at}: {reason}")
        return _WRONG


def read_file[F: SettingsFile](
    kind: type[F], path: Path, environ: Mapping[str, str], named_by: str = ""
) -> tuple[F | None, list[str]]:
    """The file at ``path`` as ``kind``, and its problems; to be used only if there are none.

    ``named_by`` is what to blame if it cannot be read: ``WARMUP_VENUE: ``, or nothing.
    """
    document, problems = read_document(path, named_by)
    if document is None:
        return None, problems
    reader = FieldReader(path, environ)
    settings = reader.read(kind, document)
    if settings is not None:
        settings = msgspec.structs.replace(
            settings, warnings=tuple(reader.warnings), variables=references(document)
        )
    return settings, problems + reader.problems


def usable[T](path: object, settings: T | None, problems: list[str]) -> T:
    """``settings`` if nothing is wrong; else one ``ConfigError``, a line for each problem."""
    if settings is not None and not problems:
        return settings
    if len(problems) == 1:
        raise ConfigError(problems[0])
    raise ConfigError("\n  ".join([f"{len(problems)} problems in {path}:", *problems]))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``word`` is a slip of: one or two letters off, or nearly equal.

    Case and ``-`` for ``_`` do not count; words of up to four letters may differ by one letter
    only, or every short word would be a slip of another.
    """
    plain = word.lower().replace("-", "_")
    if len(plain) > 60:
        return None
    names = {k.lower(): k for k in known}
    close = [k for k in names if abs(len(k) - len(plain)) <= 2]
    for distance, key in sorted((_letters_off(plain, k), k) for k in close):
        if distance <= (1 if len(key) <= 4 else 2):
            return names[key]
    near = difflib.get_close_matches(plain, names, n=1, cutoff=0.9)
    return names[near[0]] if near else None


def _letters_off(a: str, b: str) -> int:
    """How many letters must be added, dropped, replaced or swapped to turn ``a`` into ``b``."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        two_before, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], two_before[j - 2] + 1)
    return row[-1]


def _fields_of(kind: type[Section]) -> dict[str, msgspec.structs.FieldInfo]:
    return {
        field.encode_name: field
        for field in msgspec.structs.fields(kind)
        if _NOT_IN_FILE not in _unwrapped(field.type)[1]
    }


def _section_type(kind: Any) -> type[Section] | None:  # noqa: ANN401
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _unwrapped(kind: Any) -> tuple[Any, tuple[object, ...]]:  # noqa: ANN401
    if get_origin(kind) is Annotated:
        return kind.__origin__, kind.__metadata__
    return kind, ()


def _below(at: str, key: str) -> str:
    return f"{at}{key}" if at.endswith(": ") else f"{at}.{key}"


def _percent_sign_hint(marks: tuple[object, ...], raw: object) -> str:
    """How to write ``65%`` where a share belongs; empty if it is not that."""
    unit = next((mark.unit for mark in marks if isinstance(mark, Between)), None)
    if unit is None or type(raw) is not str or not raw.endswith("%"):
        return ""
    percent = number(raw.removesuffix("%").strip())
    if percent is None:
        return ""
    return share_hint(unit, Decimal(percent) / (100 if unit == "fraction" else 1))


def _converted(kind: Any, marks: tuple[object, ...], raw: object) -> object:  # noqa: ANN401
    """``raw`` as ``kind``: a plain type, a Literal, or a union of these and None."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    choices = [c for m in members if get_origin(m) is Literal for c in get_args(m)]
    plain = [m for m in members if isinstance(m, type) and m is not NoneType]
    if NoneType in members and raw in (None, "", "~", "null"):
        return None
    if raw is None:
        raise ValueError("nothing is given; leave the key out to have its default")
    for mark in marks:
        raw = mark.read(raw) if isinstance(mark, Written) else raw
    if SECRET in marks and isinstance(raw, str):
        # A PEM has several lines, and what is wrong with a key concerns only who signs with it.
        return str(raw).strip() or None
    if raw in choices:
        return choices[choices.index(raw)]
    if not plain:
        raise ValueError(f"{shown(raw)} is not one of {', '.join(choices)}")
    try:
        value = CONVERSIONS[plain[0]](raw)
    except ValueError as wrong:
        if SECRET in marks and not isinstance(raw, str):
            raise ValueError("not text (put it in quotes)") from None
        if hint := _percent_sign_hint(marks, raw):
            raise ValueError(f"{wrong}: {hint}") from None
        also = f", nor {', '.join(choices)}" if choices else ""
        raise ValueError(f"{wrong}{also}") from None
    for mark in marks:
        if isinstance(mark, Between) and isinstance(value, int | float | Decimal):
            mark.check(value)
    return value
