"""Read a file's mapping as a frozen struct and report every problem of every field.

The structs declare what a file may hold: a field's name is the key, its type is the value's type,
and its ``Annotated`` metadata is

- a `msgspec.Meta` with the range (ge, gt, le) and the description, which ``--help`` and
  docs/reference/configuration.md show;
- a `Written` if the value is not written simply as its type;
- an `Override` if a command-line option and an environment variable override the key;
- `SECRET`, `FRACTION` or `PERCENT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from warmup_job.config.values import (
    CONVERSIONS,
    UnsetVariableError,
    number,
    references,
    shown,
    shown_key,
    substitute_within,
)
from warmup_job.config.without_effect import keys_without_effect, kill_switch_problem
from warmup_job.errors import ConfigError
from warmup_job.market.nearest_word import nearest

SECRET: Final = Meta(extra={"secret": True})
"""A message never quotes the value; an unset ``${VAR}`` means None."""
FRACTION: Final = Meta(extra={"unit": "fraction"})
"""A share written as a fraction: 0.65 is 65 %. An error suggests it for 65."""
PERCENT: Final = Meta(extra={"unit": "percent"})
"""A share written in percent: 65 is 65 %. An error suggests it for 0.65."""

Command = Literal["plan", "run", "trade", "up"]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file, or a whole one."""

    unused_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that a file may have and that no code reads."""

    def complaint(self) -> str | None:
        """Return ``key: reason`` if fields that are valid by themselves contradict each other."""
        return None


class SettingsFile(Section, frozen=True, kw_only=True):
    """A whole file. The fields here are not keys of the file."""

    warnings: tuple[str, ...] = ()
    """Unknown keys, one line each."""
    variables: frozenset[str] = frozenset()
    """The names of all variables that the file refers to, also in parts that are not read."""
    without_effect: tuple[str, ...] = ()
    """Keys of the file that nothing acts on, dotted."""
    trade_problems: tuple[str, ...] = ()
    """Why `trade` must refuse the file, one line each."""


class Written(msgspec.Struct, frozen=True):
    """How a value is written if not simply as its type.

    Attributes:
        read: Converts what the file has; raises ``ValueError`` with the reason.
        form: What the value is, in one or two words for ``--help`` and docs: duration.
        write: Converts a default back to what ``read`` takes.
    """

    read: Callable[[object], object]
    form: str
    write: Callable[[Any], str] = str


class Override(msgspec.Struct, frozen=True):
    """A command-line option and a variable override the key.

    Attributes:
        commands: The commands that the key affects.
        name: The option's name, if another option has the key's name; empty: the key's name.
            The key's name still works for one more version, with a warning.
    """

    commands: tuple[Command, ...]
    name: str = ""


def share_hint(unit: Meta, meant: Decimal) -> str:
    """Explain how a share is written, with the value that was probably meant (a fraction or %)."""
    plain = f"{meant.normalize():f}"
    if unit is FRACTION:
        return f"use a fraction, {plain} means {(meant * 100).normalize():f} %"
    return f"it is a percentage, {plain} means {plain} %"


def _check_range(marks: tuple[object, ...], value: float | Decimal) -> None:
    """Raise ``ValueError`` if ``value`` is outside of the range of a `Meta`."""
    # Through text, so that Decimal("0.1") is not below the float 0.1.
    exact = Decimal(str(value))
    write = next((mark.write for mark in marks if isinstance(mark, Written)), str)
    for bounds in marks:
        if not isinstance(bounds, Meta) or (wrong := _outside(bounds, exact)) is None:
            continue
        hint = ""
        for unit, factor in ((FRACTION, Decimal("0.01")), (PERCENT, Decimal(100))):
            if unit in marks and _outside(bounds, meant := exact * factor) is None:
                hint = f": {share_hint(unit, meant)}"
        word, bound = wrong
        raise ValueError(f"{write(value)} is {word} {write(bound)}{hint}")


def _outside(bounds: Meta, exact: Decimal) -> tuple[str, float] | None:
    """Return the bound that ``exact`` violates, and how; None: it is inside."""
    if bounds.ge is not None and exact < Decimal(str(bounds.ge)):
        return "below", bounds.ge
    if bounds.gt is not None and exact <= Decimal(str(bounds.gt)):
        return "not above", bounds.gt
    if bounds.le is not None and exact > Decimal(str(bounds.le)):
        return "above", bounds.le
    return None


class Given(NamedTuple):
    """A value from the command line or the environment, and its flag or variable."""

    text: str
    label: str


_WRONG: Final = object()


class FieldReader:
    """Read one file's mapping and collect ``problems`` (errors) and ``warnings``.

    Each is one line that begins with the place: the file and the dotted key, or the variable or
    flag.
    """

    def __init__(self, file: object, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._file = f"{file}: "
        self._environ = environ

    def read[S: Section](self, kind: type[S], raw: object) -> S | None:
        """Read the whole file as ``kind``; None if it has problems, which are then noted."""
        return self._section(kind, raw, self._file)

    def read_fields(self, kind: type[Section], raw: Mapping[str, object]) -> dict[str, Any]:
        """Return the fields of ``kind`` that the file has and that are valid, by attribute name."""
        return self._fields(kind, raw, self._file)[0]

    def _section[S: Section](self, kind: type[S], raw: object, at: str) -> S | None:
        needed = [f.encode_name for f in keys_of(kind).values() if f.required]
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
        known = keys_of(kind)
        misspelt = self._judge_unknown(raw, [*known, *kind.unused_keys], at)
        values: dict[str, Any] = {}
        whole = True
        for key, field in known.items():
            path = _below(at, key)
            inner = section_type(field.type)
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
        """Note keys that are not ``known``; return the known keys that were probably meant."""
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
        kind, marks = unwrapped(kind)
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
        inner = section_type(kind)
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
    """Read the file at ``path`` as ``kind``; use the result only if there are no problems.

    Args:
        kind: The struct to read.
        path: The file.
        environ: The variables that ``${VAR}`` refers to.
        named_by: What to blame if the file cannot be read: ``WARMUP_VENUE: ``, or nothing.

    Returns:
        The struct or None, and the problems, one line each.
    """
    from warmup_job.config.document import read_document  # PyYAML takes 30 ms

    document, problems = read_document(path, named_by)
    if document is None:
        return None, problems
    settings, wrong = read_mapping(kind, document, path, environ)
    return settings, problems + wrong


def read_mapping[F: SettingsFile](
    kind: type[F], document: Mapping[str, object], path: Path, environ: Mapping[str, str]
) -> tuple[F | None, list[str]]:
    """Read a file's content like `read_file`, if ``document`` is known already."""
    reader = FieldReader(path, environ)
    settings = reader.read(kind, document)
    if settings is not None:
        problem = kill_switch_problem(document)
        settings = msgspec.structs.replace(
            settings,
            warnings=tuple(reader.warnings),
            variables=references(document),
            without_effect=keys_without_effect(document),
            trade_problems=(f"{path}: {problem}",) if problem else (),
        )
    return settings, reader.problems


def usable[T](path: object, settings: T | None, problems: list[str]) -> T:
    """Return ``settings`` if there are no problems.

    Raises:
        ConfigError: There are problems; the message has a line for each.
    """
    if settings is not None and not problems:
        return settings
    if len(problems) == 1:
        raise ConfigError(problems[0])
    raise ConfigError("\n  ".join([f"{len(problems)} problems in {path}:", *problems]))


def keys_of(kind: type[Section]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the fields of ``kind`` by the keys that they have in a file."""
    return {
        field.encode_name: field
        for field in msgspec.structs.fields(kind)
        if field.name not in SettingsFile.__struct_fields__
    }


def section_type(kind: Any) -> type[Section] | None:  # noqa: ANN401
    """Return ``kind`` if it is a section, else None."""
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def unwrapped(kind: Any) -> tuple[Any, tuple[object, ...]]:  # noqa: ANN401
    """Split an ``Annotated`` type into the plain type and its metadata."""
    if get_origin(kind) is Annotated:
        return kind.__origin__, kind.__metadata__
    return kind, ()


def _below(at: str, key: str) -> str:
    return f"{at}{key}" if at.endswith(": ") else f"{at}.{key}"


def _percent_sign_hint(marks: tuple[object, ...], raw: object) -> str:
    """Explain how to write ``65%`` where a share belongs; empty if ``raw`` is not that."""
    unit = FRACTION if FRACTION in marks else PERCENT if PERCENT in marks else None
    if unit is None or type(raw) is not str or not raw.endswith("%"):
        return ""
    percent = number(raw.removesuffix("%").strip())
    if percent is None:
        return ""
    return share_hint(unit, Decimal(percent) / (100 if unit is FRACTION else 1))


def _converted(kind: Any, marks: tuple[object, ...], raw: object) -> object:  # noqa: ANN401
    """Convert ``raw`` to ``kind``: a plain type, a Literal, or a union of these and None."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    choices = [c for m in members if get_origin(m) is Literal for c in get_args(m)]
    plain = [m for m in members if isinstance(m, type) and m is not NoneType]
    if NoneType in members and raw in (None, "", "~", "null"):
        return None
    if raw is None:
        raise ValueError("the value is empty; omit the key to use its default")
    for mark in marks:
        raw = mark.read(raw) if isinstance(mark, Written) else raw
    if SECRET in marks and isinstance(raw, str):
        # A PEM has several lines. Only the code that signs with a key judges it.
        return str(raw).strip() or None
    if raw in choices:
        return choices[choices.index(raw)]
    if not plain:
        near = nearest(raw, choices) if type(raw) is str else None  # not of the environment
        hint = "" if near is None else f"; did you mean {near}?"
        raise ValueError(f"{shown(raw)} is not one of {', '.join(choices)}{hint}")
    try:
        value = CONVERSIONS[plain[0]](raw)
    except ValueError as wrong:
        if SECRET in marks and not isinstance(raw, str):
            raise ValueError("not text (put it in quotes)") from None
        if hint := _percent_sign_hint(marks, raw):
            raise ValueError(f"{wrong}: {hint}") from None
        also = f", nor {', '.join(choices)}" if choices else ""
        raise ValueError(f"{wrong}{also}") from None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        _check_range(marks, value)
    return value
