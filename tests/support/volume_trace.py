"""Watch a process at every system call that touches a volume; let it go on, fail or die there.

The kernel stops the calling thread before the call and asks (seccomp's user notification), so the
watcher sees the volume exactly as it is between two calls, and a process can be killed, or get
"disk full", at one named call instead of after a number of milliseconds. No tracer is
needed, and reading the rest of the disk costs the process nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import re
import select
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.support.commands import Jobs, Result, clean_env
from tests.support.suite import HANG_S

Effect = Literal["make", "write", "mode", "settle", "move", "remove", "lock", "look"]

GO_ON, KILL = 0, -1
"""A watcher's decision on a call; any other number is the errno that the call returns."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_AT_FDCWD = -100

# number, effect, where the volume's path is: p an argument that is a path, f a handle, a a folder's
# handle and a path below it, t a text; the digit is the argument's position.
_CHANGES: dict[str, tuple[int, Effect, str]] = {
    "open": (2, "look", "p0"), "openat": (257, "look", "a0"), "openat2": (437, "look", "a0"),
    "creat": (85, "make", "p0"), "mknod": (133, "make", "p0"), "mknodat": (259, "make", "a0"),
    "mkdir": (83, "make", "p0"), "mkdirat": (258, "make", "a0"),
    "symlink": (88, "make", "p1 t0"), "symlinkat": (266, "make", "a1 t0"),
    "link": (86, "make", "p1 p0"), "linkat": (265, "make", "a2 a0"),
    "write": (1, "write", "f0"), "pwrite64": (18, "write", "f0"), "writev": (20, "write", "f0"),
    "pwritev": (296, "write", "f0"), "pwritev2": (328, "write", "f0"),
    "sendfile": (40, "write", "f0"), "copy_file_range": (326, "write", "f2"),
    "splice": (275, "write", "f2"), "mmap": (9, "write", "f4"),
    "truncate": (76, "write", "p0"), "ftruncate": (77, "write", "f0"),
    "fallocate": (285, "write", "f0"),
    "chmod": (90, "mode", "p0"), "fchmod": (91, "mode", "f0"), "fchmodat": (268, "mode", "a0"),
    "fchmodat2": (452, "mode", "a0"), "chown": (92, "mode", "p0"), "fchown": (93, "mode", "f0"),
    "lchown": (94, "mode", "p0"), "fchownat": (260, "mode", "a0"),
    "utimensat": (280, "mode", "a0"),
    "fsync": (74, "settle", "f0"), "fdatasync": (75, "settle", "f0"),
    "rename": (82, "move", "p0 p1"), "renameat": (264, "move", "a0 a2"),
    "renameat2": (316, "move", "a0 a2"),
    "unlink": (87, "remove", "p0"), "unlinkat": (263, "remove", "a0"),
    "rmdir": (84, "remove", "p0"), "flock": (73, "lock", "f0"),
}  # fmt: skip
_LOOKS: dict[str, tuple[int, Effect, str]] = {
    "read": (0, "look", "f0"), "pread64": (17, "look", "f0"), "readv": (19, "look", "f0"),
    "stat": (4, "look", "p0"), "fstat": (5, "look", "f0"), "lstat": (6, "look", "p0"),
    "newfstatat": (262, "look", "a0"), "statx": (332, "look", "a0"), "lseek": (8, "look", "f0"),
    "access": (21, "look", "p0"), "faccessat": (269, "look", "a0"),
    "faccessat2": (439, "look", "a0"), "readlink": (89, "look", "p0"),
    "readlinkat": (267, "look", "a0"), "getdents64": (217, "look", "f0"),
    "close": (3, "look", "f0"), "fadvise64": (221, "look", "f0"), "fcntl": (72, "look", "f0"),
}  # fmt: skip
# Asked about only if the argument at this position has one of these bits: opened for writing;
# mapped so that what is written there goes to the file.
_ONLY_IF = {"open": (1, _WRITING), "openat": (2, _WRITING), "mmap": (3, 1)}
_NAMES = {number: name for name, (number, *_) in (_CHANGES | _LOOKS).items()}


@dataclass(frozen=True, slots=True)
class Call:
    """A system call on the volume that is about to be made. Paths are relative to the root."""

    name: str
    effect: Effect
    path: str
    to: str = ""
    """The target of a move or of a new link."""
    pid: int = 0
    by_main: bool = True
    """Whether the process's first thread makes the call."""

    @property
    def point(self) -> str:
        """Return the call and its path without the parts that differ between runs."""
        return f"{self.name} {settled_name(self.path)}"


@dataclass(slots=True)
class Watched:
    """How a watched process ended, and its calls on the volume until then."""

    result: Result = field(default_factory=lambda: Result(-1, "", ""))
    calls: list[Call] = field(default_factory=list)
    died_at: Call | None = None

    def points(self) -> list[str]:
        """Return each call by a name that is the same in every run: its point and a number."""
        names = []
        seen: Counter[str] = Counter()
        for call in self.calls:
            if call.path == ".lease" and not call.by_main:
                continue  # heartbeats depend on time
            seen[call.point] += 1
            names.append(f"{call.point} #{seen[call.point]}")
        return names


def settled_name(path: str) -> str:
    """Return a path without the times and random parts of its names."""
    path = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{8}", "ID", path)
    return re.sub(r"(?<=[./])([0-9a-f]{8}|[0-9a-f]{16})(?=$|/)", "R", path)


def at(point: str, verdict: int) -> Callable[[Call], int]:
    """Return a decision that allows every call except the named one (`Watched.points`)."""
    name, _, number = point.rpartition(" #")
    seen = 0

    def decide(call: Call) -> int:
        nonlocal seen
        if call.point != name or (call.path == ".lease" and not call.by_main):
            return GO_ON
        seen += 1
        return verdict if seen == int(number) else GO_ON

    return decide


class WatchedJobs(Jobs):
    """Jobs that can also be watched."""

    def watch(
        self,
        root: Path,
        *arguments: object,
        decide: Callable[[Call], int] = lambda _: GO_ON,
        looks: bool = False,
        timeout: float = HANG_S,
    ) -> Watched:
        """Run ``warmup-job`` to its end and ask ``decide`` before each call that touches ``root``.

        While it decides, the calling thread stands still and the volume is as the call finds it.
        ``looks``: also before calls that only read.
        """
        require_watching()
        rules = _CHANGES | (_LOOKS if looks else {})
        program = _program(rules, {"mmap": _ONLY_IF["mmap"]} if looks else _ONLY_IF)
        watched, until_s = Watched(), time.monotonic() + timeout

        def answer(pid: int, listener: int) -> None:
            _answer(listener, pid, root, decide, watched, until_s)

        watched.result = self._run(arguments, clean_env(), program, answer)
        return watched


def require_watching() -> None:
    """Skip where the kernel's calls have other numbers; CI is not such a place."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        assert not os.environ.get("CI"), "these tests run on Linux x86_64"
        pytest.skip("the numbers of the system calls are those of Linux x86_64")


def _answer(
    listener: int,
    pid: int,
    root: Path,
    decide: Callable[[Call], int],
    watched: Watched,
    until_s: float,
) -> None:
    """Answer the kernel's questions until the process is gone."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    try:
        while True:
            assert time.monotonic() < until_s, f"it hangs; its last calls: {watched.calls[-5:]}"
            for _, event in poll.poll(1000):
                if not event & select.POLLIN:
                    return  # closed: the last thread has ended
                try:
                    asked = fcntl.ioctl(listener, 0xC0502100, bytes(80))
                except OSError as error:
                    if error.errno in {errno.ENOENT, errno.EINTR}:
                        continue  # the caller was killed, or stopped and will ask again
                    raise
                question, thread, _, number, _, _, *values = struct.unpack("QIIiIQ6Q", asked)
                call = _read_call(thread, pid, _NAMES[number], values, str(root))
                verdict = GO_ON if call is None else decide(call)
                if verdict == KILL:
                    watched.died_at = call
                    os.kill(pid, signal.SIGKILL)
                    continue
                goes_on = 1 if verdict == GO_ON else 0
                answer = struct.pack("QqiI", question, 0, -max(verdict, 0), goes_on)
                with suppress(FileNotFoundError):  # it was stopped meanwhile, and asks again
                    fcntl.ioctl(listener, 0xC0182101, answer)
                    if call is not None:
                        watched.calls.append(call)
    finally:
        os.close(listener)


def _read_call(thread: int, pid: int, name: str, values: list[int], root: str) -> Call | None:
    """Return the pending call, if it touches the volume."""
    _, effect, places = (_CHANGES | _LOOKS)[name]
    try:
        paths = [_place(thread, place[0], int(place[1]), values) for place in places.split()]
    except OSError:
        return None  # a handle that is not open, or the thread is gone
    if not any(path == root or path.startswith(f"{root}/") for path in paths):
        return None
    first = paths[0]
    if name.startswith("open"):
        flags = 0 if name == "openat2" else values[1 if name == "open" else 2]
        if flags & os.O_CREAT and not os.path.lexists(first):
            effect = "make"
        elif flags & os.O_TRUNC:
            effect = "write"
    elif name == "mmap" and not values[2] & 2:  # not to be written to
        effect = "look"
    elif effect == "make" and (os.path.lexists(first) or not Path(first).parent.is_dir()):
        effect = "look"  # it will fail
    to = paths[1] if len(paths) > 1 else ""
    if effect == "move":
        to = os.path.relpath(to, root)
    return Call(name, effect, os.path.relpath(first, root), to, pid, thread == pid)


def _place(thread: int, kind: str, position: int, values: list[int]) -> str:
    """Return an argument as an absolute path, or as text."""
    if kind == "f":
        return _of_handle(thread, values[position])
    if kind == "t":
        return _text(thread, values[position])
    path = _text(thread, values[position + (kind == "a")])
    folder = _AT_FDCWD if kind == "p" else values[position]
    if not path.startswith("/"):
        path = f"{_of_handle(thread, folder)}/{path}" if path else _of_handle(thread, folder)
    return os.path.normpath(path)


def _of_handle(thread: int, handle: int) -> str:
    signed = struct.unpack("i", struct.pack("I", handle & 0xFFFFFFFF))[0]
    name = "cwd" if signed == _AT_FDCWD else f"fd/{signed}"
    return str(Path(f"/proc/{thread}/{name}").readlink()).removesuffix(" (deleted)")


def _text(thread: int, address: int) -> str:
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.fsdecode(os.pread(memory, 4096, address).split(b"\0", 1)[0])
    finally:
        os.close(memory)


def _program(
    rules: dict[str, tuple[int, Effect, str]], only_if: dict[str, tuple[int, int]]
) -> bytes:
    """The filter: ask about these calls, allow all others (man 2 seccomp, classic BPF)."""
    load, equal, has_bits, end = 0x20, 0x15, 0x45, 0x06
    ask, allow = (end, 0, 0, 0x7FC00000), (end, 0, 0, 0x7FFF0000)
    steps: list[Sequence[int]] = [
        (load, 0, 0, 4), (equal, 1, 0, 0xC000003E), allow,  # x86_64's own calls
        (load, 0, 0, 0),
    ]  # fmt: skip
    for name, (number, *_) in rules.items():
        if name in only_if:
            position, bits = only_if[name]
            steps += [
                (equal, 0, 4, number), (load, 0, 0, 16 + 8 * position), (has_bits, 0, 1, bits),
                ask, allow,
            ]  # fmt: skip
        else:
            steps += [(equal, 0, 1, number), ask]
    return b"".join(struct.pack("HBBI", *step) for step in [*steps, allow])
