"""Keys that files may have and that nothing acts on, and the one that must not be ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_FILE_KEYS = ("precision", "websocket", "symbols", "operations")
_KILL_SWITCH = "kill_switch"


def keys_without_effect(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the keys of a venue or strategy file that nothing acts on, dotted.

    Args:
        document: the file's content.
    """
    refused = f"operations.{_KILL_SWITCH}" if kill_switch_problem(document) else ""
    return tuple(key for key in _found(document) if key != refused)


def _found(document: Mapping[str, object]) -> Iterator[str]:
    for name in _FILE_KEYS:
        section = document.get(name)
        if isinstance(section, Mapping):
            yield from (f"{name}.{key}" for key in section)
        elif section:
            yield name


def warning_of(files: Iterable[tuple[Path, tuple[str, ...]]]) -> tuple[str, ...]:
    """Return one warning for all keys of all files, or none.

    Args:
        files: each file and its keys without effect.
    """
    named = [f"{path}: {', '.join(keys)}" for path, keys in files if keys]
    return (f"these keys have no effect, remove them: {'; '.join(named)}",) if named else ()


def kill_switch_problem(document: Mapping[str, object]) -> str:
    """Return why a strategy file's kill switch must not be ignored; empty: it has none.

    Whoever writes limits there believes that they protect the account.

    Args:
        document: the file's content.
    """
    operations = document.get("operations")
    switch = operations.get(_KILL_SWITCH) if isinstance(operations, Mapping) else None
    if not switch or (isinstance(switch, Mapping) and switch.get("enabled") is False):
        return ""
    keys = [key for key in switch if key != "enabled"] if isinstance(switch, Mapping) else []
    limits = f" ({', '.join(map(str, keys))})" if keys else ""
    return (
        f"operations.kill_switch: there is no kill switch, so its limits{limits} would not protect "
        "you: set risk_management.max_drawdown_pct, which stops all entries, and remove "
        "operations.kill_switch or set its enabled to false"
    )
