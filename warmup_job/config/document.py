"""One YAML file → plain mappings, lists and scalars, or every reason why not.

Decimal fractions keep the digits that the user wrote (``Decimal``, never a rounded float). A file
that is too large, too deep, or that unfolds into too much through aliases is refused before it is
unfolded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 50
MAX_NODES: Final = 20_000

# Sixty digits and two of exponent are more than any amount has, and little enough to compute with.
_NUMBER = re.compile(
    r"(?=.{1,60}\Z)[-+]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?\Z"
)
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")
_BOOL = re.compile(rf"(?i:{'|'.join(_TRUE + _FALSE)})\Z")
_TAG = "tag:yaml.org,2002:"


def number(text: str) -> int | Decimal | None:
    """The exact number that ``text`` writes in decimal, or None if it is not one."""
    if not _NUMBER.match(text):
        return None
    digits = text.replace("_", "")
    return Decimal(digits) if any(c in digits for c in ".eE") else int(digits)


def truth(text: str) -> bool | None:
    """What ``text`` says as a YAML 1.1 boolean (true, yes, on, …), or None if it is not one."""
    word = text.lower()
    return True if word in _TRUE else False if word in _FALSE else None


def read_document(path: Path, named_by: str = "") -> tuple[dict[str, object] | None, list[str]]:
    """Read the mapping in ``path``: ``(mapping, problems)``; no mapping if it cannot be read.

    A problem is one line that begins with the file's name. ``named_by`` says which option led to
    the file, for the case that there is none. Reads the disk; never raises for what it finds.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        return None, [f"{named_by}{path}: cannot be read: {reason}"]
    if len(content) > MAX_BYTES:
        return None, [f"{path}: larger than {MAX_BYTES} bytes"]
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
        # Its own message would be fine, but it knows an offset only, and people count lines.
        before = text[: error.position]
        at = f"{before.count('\n') + 1}:{len(before) - before.rfind('\n')}"
        return None, [f"{path}:{at}: a character that YAML does not allow"]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        return None, [f"{path}{at}: {_without_content(error)}"]
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets some numbers through to int() and chr() unchecked ("\UFFFFFFFF").
        return None, [f"{path}: not YAML"]
    problems = [f"{path}{problem}" for problem in loader.duplicates]
    if not isinstance(content, dict):
        what = "empty" if content is None else "not a mapping"
        return None, [*problems, f"{path}: {what}: sections such as `venue:` are expected"]
    return content, problems


def _without_content(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's reason without the file's own words, which could be a secret."""
    reason = error.problem or error.context or "not YAML"
    if reason.startswith("but ") and error.context:
        reason = f"{error.context} {reason}"
    return re.sub(r"'(?!<)[^'\s]{4,}'", "'…'", " ".join(reason.split()))


class _Loader(yaml.SafeLoader):
    """SafeLoader with text keys, exact decimals, limits, and no types beyond those of JSON."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way; filled below
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        _TAG + kind: yaml.SafeLoader.yaml_constructors[_TAG + kind]
        for kind in ("null", "str", "seq", "map")
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.duplicates: list[str] = []
        self._depth = 0
        self._measures: dict[Node, tuple[int, int]] = {}
        """Of each whole node: how many nodes it unfolds into, and how deep."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH} levels", event)
        if len(self._measures) > MAX_NODES:
            _refuse(f"more than {MAX_NODES} values", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if node not in self._measures:
            if isinstance(event, yaml.AliasEvent):  # its node is not finished: we are inside it
                _refuse("an alias of what contains it", event)
            self._measures[node] = self._measure(node)
        nodes, depth = self._measures[node]
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            _refuse("unfolds into too much (aliases of aliases?)", event)
        return node

    def _measure(self, node: Node) -> tuple[int, int]:
        inside: list[Node] = []
        if isinstance(node, SequenceNode):
            inside = node.value
        elif isinstance(node, MappingNode):
            inside = [part for pair in node.value for part in pair]
            self._check_keys(node)
        measures = [self._measures[part] for part in inside]
        return 1 + sum(n for n, _ in measures), 1 + max((d for _, d in measures), default=0)

    def _check_keys(self, node: MappingNode) -> None:
        """Make every key text (``on:`` is the key "on") and note those that come twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                _refuse("a key that is not text", key)
            if key.tag == _TAG + "merge":
                continue
            key.tag = _TAG + "str"
            if key.value in seen:
                at = f":{key.start_mark.line + 1}:{key.start_mark.column + 1}"
                self.duplicates.append(f"{at}: {shown_key(key.value)}: the key is there twice")
            seen.add(key.value)


def shown_key(key: str) -> str:
    """``key`` on one line; not one so long that it can only be a value gone astray."""
    if len(key) > 40:
        return f"<a key of {len(key)} characters>"
    return key if key.isprintable() and key else repr(key)


def _make_number(_: _Loader, node: ScalarNode) -> int | Decimal:
    value = number(node.value)
    return _refuse("not a number", node) if value is None else value


def _make_bool(_: _Loader, node: ScalarNode) -> bool:
    value = truth(node.value)
    return _refuse("neither true nor false", node) if value is None else value


def _make_undefined(_: _Loader, node: Node) -> NoReturn:
    _refuse("a type (!…) that is not supported here", node)


def _refuse(reason: str, at: Any) -> NoReturn:  # noqa: ANN401 - PyYAML's node or event
    raise yaml.MarkedYAMLError(problem=reason, problem_mark=at.start_mark)


# Not YAML 1.1's dates, base-60 numbers, octals: 2024-01-01 and 1:30 stay text, 010 is ten.
_Loader.add_implicit_resolver(_TAG + "bool", _BOOL, list("yYnNtTfFoO"))
_Loader.add_implicit_resolver(_TAG + "float", _NUMBER, list("-+.0123456789"))
_Loader.add_implicit_resolver(_TAG + "merge", re.compile(r"<<\Z"), ["<"])
_Loader.add_implicit_resolver(
    _TAG + "null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]
)
_Loader.add_constructor(_TAG + "bool", _make_bool)
_Loader.add_constructor(_TAG + "float", _make_number)
_Loader.add_constructor(_TAG + "int", _make_number)
_Loader.add_constructor(None, _make_undefined)
