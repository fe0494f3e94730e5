"""Fill in a template: a plain file of this package with ``<<name>>`` and ``<<if name>>`` in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_BLOCK = re.compile(r"^<<if (not )?(\w+)>>\n(.*?)^<<end>>\n", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"<<(\w+)>>")


def template(name: str) -> str:
    """Return the text of a template."""
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def render(text: str, values: Mapping[str, str | bool]) -> str:
    """Fill in a template.

    Args:
        text: The template. ``<<name>>`` stands for a value, and the lines between ``<<if name>>``
            (or ``<<if not name>>``) and ``<<end>>`` are kept if that value is not empty (or is).
        values: The values by name.

    Raises:
        KeyError: The template has a name without a value.
    """

    def kept(block: re.Match[str]) -> str:
        return block[3] if bool(values[block[2]]) is not bool(block[1]) else ""

    return _NAME.sub(lambda name: str(values[name[1]]), _BLOCK.sub(kept, text))
