"""Where the folders and files that warmup.yaml names are.

A relative path in a file is relative to that file's folder, so that a configuration works from any
current directory. A relative path in an option or a variable is relative to the current directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from warmup_job.errors import ConfigError

_NAMES: Final = {"snapshot.root": "snapshot", "trade.state_dir": "state"}


def default_folder(key: str, environ: Mapping[str, str], top: Path = Path("/")) -> Path:
    """Return the folder of a key that neither a file, a variable nor an option gives.

    It is /snapshot or /state if that folder exists, as in the image, where volumes are mounted
    there; otherwise one below the user's state folder, as the XDG Base Directory Specification
    says (https://specifications.freedesktop.org/basedir-spec/latest/).

    Args:
        key: ``snapshot.root`` or ``trade.state_dir``.
        environ: The environment; XDG_STATE_HOME and HOME count.
        top: Where the mounted folder is looked for.
    """
    name = _NAMES[key]
    mounted = top / name
    if mounted.is_dir():
        return mounted
    given = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):  # noqa: PTH117 - an empty text is a Path too
        return Path(given) / "warmup-job" / name
    home = environ.get("HOME", "")
    if os.path.isabs(home):  # noqa: PTH117
        return Path(home) / ".local/state/warmup-job" / name
    return mounted


def folder_beside(config_path: Path, written: Path) -> Path:
    """Return the path of a folder as warmup.yaml writes it."""
    return Path(os.path.normpath(config_path.parent / written))


def moved_folder_warning(config_path: Path, key: str, written: Path) -> str | None:
    """Return a warning if the folder was made by a version that used the current directory.

    Args:
        config_path: warmup.yaml.
        key: The key, dotted.
        written: Its value in the file.
    """
    beside, former = folder_beside(config_path, written), Path(os.path.normpath(written))
    # os.path, because pathlib raises OSError for a path that is too long.
    if written.is_absolute() or os.path.exists(beside) or not os.path.isdir(former):  # noqa: PTH110, PTH112
        return None
    return (
        f"{config_path}: {key}: {written} is relative to this file, so it is {beside}; the folder "
        f"{former.absolute()} of the current directory is not used: move it there, or write its "
        "absolute path"
    )


def missing_file_remedy(config_path: Path, key: str, written: Path) -> str:
    """Return what to do if a file that warmup.yaml names does not exist; empty: it exists.

    Args:
        config_path: warmup.yaml, which may have been copied from another folder.
        key: ``venue`` or ``strategy``.
        written: The file's path as warmup.yaml writes it.
    """
    if os.path.lexists(config_path.parent / written):
        return ""
    said = f"paths in {config_path.name} are relative to its own folder"
    for candidate in (written, Path("configs") / written):
        if os.path.isfile(candidate):  # noqa: PTH113
            there = os.path.relpath(candidate, config_path.parent)
            return f" ({said}; did you mean {key}: {there}?)"
    return (
        f" ({said}: copy that file there too, correct the path, or let `warmup-job init` write a "
        "whole configuration)"
    )


def import_folder(strategy_path: Path, written: Path) -> Path:
    """Return the folder that a strategy's classes are imported from.

    Args:
        strategy_path: The strategy file.
        written: Its ``import_from``.

    Raises:
        ConfigError: There is no such folder.
    """
    folder = (strategy_path.parent / written).absolute()
    if not os.path.isdir(folder):  # noqa: PTH112
        raise ConfigError(
            f"{strategy_path}: import_from: {folder} is not a folder: write the one that has the "
            "strategy's code, relative to this file"
        )
    return folder
