"""The command-line options and variables that override keys, from the keys' declarations."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from warmup_job.config.fields import (
    FRACTION,
    PERCENT,
    Command,
    Override,
    Section,
    Written,
    keys_of,
    section_type,
    unwrapped,
)

_FORMS: Final = {
    int: "integer", float: "number", Decimal: "number", bool: "boolean", str: "text",
    Path: "path", dict: "mapping",
}  # fmt: skip


class DeclaredKey(msgspec.Struct, frozen=True):
    """One key of a file, as its declaration describes it.

    Attributes:
        path: The sections around the key and the key itself.
        form: What the value is, e.g. duration; empty if only ``choices`` are valid.
        choices: Words that are valid values.
        limits: The range in words, e.g. ``1 to 100``; empty: no limits.
        default: The default as a file writes it; None: the key is required; empty: not set.
        description: What the key does.
        commands: The commands with an option that overrides the key.
        option: The option's name, e.g. max_bars.
    """

    path: tuple[str, ...]
    form: str
    choices: tuple[str, ...]
    limits: str
    default: str | None
    description: str
    commands: tuple[Command, ...]
    option: str

    @property
    def flag(self) -> str:
        """The option, e.g. ``--max-bars``."""
        return _flag(self.option)

    @property
    def variable(self) -> str:
        """The environment variable, e.g. ``WARMUP_MAX_BARS``."""
        return _variable(self.option)

    @property
    def former_flag(self) -> str | None:
        """The flag with the key's own name, if the option was renamed."""
        return None if self.option == self.path[-1] else _flag(self.path[-1])

    @property
    def former_variable(self) -> str | None:
        """The variable with the key's own name, if the option was renamed."""
        return None if self.option == self.path[-1] else _variable(self.path[-1])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _variable(name: str) -> str:
    return f"WARMUP_{name.upper()}"


def declared_keys(kind: type[Section], at: tuple[str, ...] = ()) -> Iterator[DeclaredKey]:
    """Yield the keys of ``kind`` and of the sections and lists of sections in it, in their order.

    Args:
        kind: A section or a whole file.
        at: The path of ``kind`` in its file.
    """
    for name, field in keys_of(kind).items():
        path = (*at, name)
        inner = section_type(field.type)
        if inner is not None:
            yield from declared_keys(inner, path)
            continue
        yield _declared_key(path, field)
        plain, _ = unwrapped(field.type)
        item = section_type(get_args(plain)[0]) if get_origin(plain) is tuple else None
        if item is not None:
            yield from declared_keys(item, (*at, f"{name}[]"))


def _declared_key(path: tuple[str, ...], field: msgspec.structs.FieldInfo) -> DeclaredKey:
    plain, marks = unwrapped(field.type)
    written = next((mark for mark in marks if isinstance(mark, Written)), None)
    override = next((mark for mark in marks if isinstance(mark, Override)), None)
    description = next((m.description for m in marks if isinstance(m, Meta) and m.description), "")
    members = get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)
    choices = tuple(c for m in members if get_origin(m) is Literal for c in get_args(m))
    others = [m for m in members if m is not NoneType and get_origin(m) is not Literal]
    form = _form(plain if written else others[0], marks) if others else ""
    default = None if field.required else _default(field, written)
    commands = override.commands if override else ()
    option = (override.name if override else "") or path[-1]
    limits = _limits(marks, written)
    return DeclaredKey(path, form, choices, limits, default, description, commands, option)


def _form(plain: Any, marks: tuple[object, ...]) -> str:  # noqa: ANN401 - a type of any sort
    written = next((mark for mark in marks if isinstance(mark, Written)), None)
    if written:
        return written.form
    if get_origin(plain) is tuple:
        return f"list of {_form(*unwrapped(get_args(plain)[0]))}"
    share = "fraction" if FRACTION in marks else "percentage" if PERCENT in marks else ""
    return share or _FORMS[plain]


def _limits(marks: tuple[object, ...], written: Written | None) -> str:
    write = written.write if written else str
    for mark in marks:
        if isinstance(mark, Meta) and (mark.ge, mark.gt, mark.le) != (None, None, None):
            if mark.ge is not None and mark.le is not None:
                return f"{write(mark.ge)} to {write(mark.le)}"
            bounds = (("at least", mark.ge), ("above", mark.gt), ("at most", mark.le))
            return ", ".join(f"{word} {write(to)}" for word, to in bounds if to is not None)
    return ""


def _default(field: msgspec.structs.FieldInfo, written: Written | None) -> str:
    value = field.default
    if value is msgspec.NODEFAULT or value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return written.write(value) if written else str(value)
