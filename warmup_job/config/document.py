"""Read one YAML file as plain mappings, lists and scalars, or list every reason why not.

Decimal fractions keep the digits that the user wrote (``Decimal``, never a rounded float).
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.reader import ReaderError

from warmup_job.config.values import BOOLEAN, NUMBER, number, shown_key, truth

_TAG = "tag:yaml.org,2002:"


def read_document(path: Path, named_by: str = "") -> tuple[dict[str, object] | None, list[str]]:
    """Read the mapping in the file at ``path``.

    Args:
        path: the file.
        named_by: what to blame if the file cannot be read: ``WARMUP_VENUE: ``, or nothing.

    Returns:
        The mapping, or None if the file cannot be read; and the problems, one line each, which
        begin with the file's name.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        return None, [f"{named_by}{path}: cannot be read: {reason}"]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, [f"{path}:{line}: not UTF-8 text"]
    return _parse(text, path)


def _parse(text: str, path: Path) -> tuple[dict[str, object] | None, list[str]]:
    try:
        loader = _Loader(text)
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except ReaderError as error:
        # PyYAML reports an offset; people count lines.
        before = text[: error.position]
        at = f"{before.count('\n') + 1}:{len(before) - before.rfind('\n')}"
        return None, [f"{path}:{at}: a character that YAML does not allow"]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        return None, [f"{path}{at}: {_without_content(error)}"]
    except RecursionError:
        return None, [f"{path}: nested too deeply"]
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML passes some numbers unchecked to int() and chr() ("\UFFFFFFFF").
        return None, [f"{path}: not YAML"]
    problems = [f"{path}{problem}" for problem in loader.duplicates]
    if not isinstance(content, dict):
        what = "empty" if content is None else "not a mapping"
        return None, [*problems, f"{path}: {what}: sections such as `venue:` are expected"]
    return content, problems


def _without_content(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's reason without words of the file, which could be a secret."""
    reason = error.problem or error.context or "not YAML"
    if reason.startswith("but ") and error.context:
        reason = f"{error.context} {reason}"
    return re.sub(r"'(?!<)[^'\s]{4,}'", "'…'", " ".join(reason.split()))


class _Loader(yaml.SafeLoader):
    """SafeLoader with text keys, exact decimals, and no types beyond those of JSON."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way; filled below
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        _TAG + kind: yaml.SafeLoader.yaml_constructors[_TAG + kind]
        for kind in ("null", "str", "seq", "map")
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.duplicates: list[str] = []

    def compose_mapping_node(self, anchor: dict[Any, Node]) -> MappingNode:
        """Make every key text (``on:`` is the key "on") and note keys that occur twice."""
        node: MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                _refuse("a key that is not text", key)
            if key.tag == _TAG + "merge":
                continue
            key.tag = _TAG + "str"
            if key.value in seen:
                at = f":{key.start_mark.line + 1}:{key.start_mark.column + 1}"
                self.duplicates.append(f"{at}: {shown_key(key.value)}: the key occurs twice")
            seen.add(key.value)
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:  # noqa: ANN401, ARG002
        """Construct depth first, so that an alias of what contains it is found."""
        if node in self.recursive_objects:
            _refuse("an alias of what contains it", node)
        return super().construct_object(node, deep=True)


def _make_number(_: _Loader, node: ScalarNode) -> int | Decimal:
    value = number(node.value)
    return _refuse("not a number", node) if value is None else value


def _make_bool(_: _Loader, node: ScalarNode) -> bool:
    value = truth(node.value)
    return _refuse("neither true nor false", node) if value is None else value


def _make_undefined(_: _Loader, node: Node) -> NoReturn:
    _refuse("a type (!…) that is not supported here", node)


def _refuse(reason: str, node: Node) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=reason, problem_mark=node.start_mark)


# Not YAML 1.1's dates, base-60 numbers, octals: 2024-01-01 and 1:30 stay text, 010 is ten.
_Loader.add_implicit_resolver(_TAG + "bool", BOOLEAN, list("yYnNtTfFoO"))
_Loader.add_implicit_resolver(_TAG + "float", NUMBER, list("-+.0123456789"))
_Loader.add_implicit_resolver(_TAG + "merge", re.compile(r"<<\Z"), ["<"])
_Loader.add_implicit_resolver(
    _TAG + "null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]
)
_Loader.add_constructor(_TAG + "bool", _make_bool)
_Loader.add_constructor(_TAG + "float", _make_number)
_Loader.add_constructor(_TAG + "int", _make_number)
_Loader.add_constructor(None, _make_undefined)
