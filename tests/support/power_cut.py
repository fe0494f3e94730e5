"""Judge from the system calls on a volume what a power cut could destroy."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.volume_trace import Call

ASIDE = ".staging"
IN_PLACE = (".lease", ".lock")
"""They matter only to running processes, which a power cut ends; no reader uses them."""
FOLDERS = (".", ASIDE, "snapshots")


def lost_by_a_power_cut(calls: Iterable[Call]) -> list[str]:
    """Return one line for each moment at which a name led to data that was not on the disk yet.

    Empty: every name that a reader can come to was given by one rename, after all that it leads to
    was synced (files after their last write, folders after their last entry), and was itself synced
    before anything else was changed. Order within one folder is not asked for: journals keep it.
    """
    volume = _Volume()
    for call in calls:
        volume.follow(call)
    volume.tell_unsynced_moves("the end")
    return volume.problems


@dataclass(slots=True)
class _Volume:
    unsynced: dict[str, str] = field(default_factory=dict)
    """Changes that are not on the disk: a path, and its last change."""
    links: dict[str, str] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)
    """Changes that readers can see and a power cut would undo."""
    problems: list[str] = field(default_factory=list)

    def follow(self, call: Call) -> None:
        path = call.path
        if call.effect not in {"settle", "look", "lock"} and path not in IN_PLACE:
            self.tell_unsynced_moves(f"{call.name} {path}")
        if call.effect == "settle":
            self.unsynced.pop(path, None)
            self.moved = [name for name in self.moved if _folder(name) != path]
        elif call.effect == "move":
            self._move(path, call.to)
        elif call.effect in {"make", "write", "mode", "remove"}:
            if not _is_aside(path) and not (path in FOLDERS and call.effect in {"make", "mode"}):
                self.problems.append(f"{call.name} {path}: changed where readers look")
            self._change(call)

    def tell_unsynced_moves(self, before: str) -> None:
        """Report moves into the readers' view that are not on the disk before the next call."""
        for name in self.moved:
            where = posixpath.dirname(name) or "the root"
            self.problems.append(f"{name} was moved into {where}, not synced before {before}")
        self.moved = []

    def _change(self, call: Call) -> None:
        path = call.path
        if call.effect == "remove":
            for gone in [each for each in self.unsynced if _is_in(each, path)]:
                del self.unsynced[gone]
            self.links.pop(path, None)
            return
        if call.effect == "make":
            self.unsynced[_folder(path)] = f"{path} was made in it"
            if call.name.startswith("symlink"):
                self.links[path] = call.to
                return  # a link is on the disk once its folder is
        self.unsynced[path] = f"{call.name} came after its last sync"

    def _move(self, old: str, new: str) -> None:
        if not _is_aside(new):
            leads_to = [old]
            if old in self.links:
                target = posixpath.normpath(posixpath.join(_folder(new), self.links[old]))
                leads_to = [target]
                while (target := _folder(target)) != _folder(new):
                    if target in self.unsynced:
                        self._tell(old, new, target)
            for path in self.unsynced:
                if any(_is_in(path, top) for top in leads_to):
                    self._tell(old, new, path)
            self.moved.append(new)
        for path in [each for each in self.unsynced if _is_in(each, old)]:
            self.unsynced[new + path[len(old) :]] = self.unsynced.pop(path)
        if old in self.links:
            self.links[new] = self.links.pop(old)
        self.unsynced[_folder(new)] = f"{new} was moved into it"

    def _tell(self, old: str, new: str, path: str) -> None:
        self.problems.append(f"rename {old} to {new}: {path}: {self.unsynced[path]}")


def _folder(path: str) -> str:
    return posixpath.dirname(path) or "."


def _is_in(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def _is_aside(path: str) -> bool:
    return path in IN_PLACE or (path != ASIDE and _is_in(path, ASIDE))
