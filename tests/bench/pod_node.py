"""The machine as the node that a pod starts on: its cores, its page cache, and a busy neighbour.

It needs root, cgroup v1 and podman's cgroupfs manager, as in the container lab. All pods of podman
are below one cgroup, so what is set there holds from a pod's first instant; `kube play` itself
knows no cpuset and ignores CPU requests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_CGROUPS = Path("/sys/fs/cgroup")
_PODS = "libpod_parent"
_NEIGHBOUR = "warmup-bench-neighbour"
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_SECTOR_BYTES = 512  # of /proc/diskstats, whatever the disk has
_NO_REQUEST = 1024
"""The kernel's default cpu.shares."""


class Condition(NamedTuple):
    """What a pod finds on its node."""

    title: str
    cores: int
    cold: bool
    """Nothing of the image is in the page cache."""
    request_m: int | None = None
    """The pod's CPU request, mCPU, beside a neighbour that requests the rest; None: idle node."""


CONDITIONS = {
    "2-warm": Condition("2 cores, warm page cache", 2, cold=False),
    "2-cold": Condition("2 cores, cold page cache", 2, cold=True),
    "1-warm": Condition("1 core, warm page cache", 1, cold=False),
    "1-cold": Condition("1 core, cold page cache", 1, cold=True),
    "busy-warm": Condition("250m of 2 busy cores, warm page cache", 2, cold=False, request_m=250),
    "busy-cold": Condition("250m of 2 busy cores, cold page cache", 2, cold=True, request_m=250),
}


@contextmanager
def node(condition: Condition) -> Iterator[None]:
    """Let podman's pods run under this condition.

    A request becomes cpu.shares as the kubelet computes it, mCPU · 1024 / 1000. The neighbour has
    one endless loop per core and requests all that is left, so that the pod gets what Kubernetes
    guarantees it, and no more.
    """
    shares = _file("cpu", _PODS, "cpu.shares")
    try:
        _set_cpus(f"0-{condition.cores - 1}")
        if condition.request_m is None:
            yield
            return
        shares.write_text(str(_shares(condition.request_m)))
        with _busy(condition.cores, condition.cores * 1000 - condition.request_m):
            yield
    finally:
        shares.write_text(str(_NO_REQUEST))
        _set_cpus(_all_cpus())


def remove_cgroup(name: str) -> None:
    """Remove what podman leaves of the cgroup of a pod that has ended."""
    for group in _CGROUPS.glob(f"*/{name}"):
        for folder, _, _ in group.walk(top_down=False):
            folder.rmdir()


def drop_page_cache() -> None:
    """Forget all files that no running process has mapped, as after a node's start."""
    subprocess.run(["sync"], check=True)
    _DROP_CACHES.write_text("3")


def read_from_disk() -> int:
    """Bytes that this machine has read from its disks since it started."""
    rows = [line.split() for line in Path("/proc/diskstats").read_text().splitlines()]
    disks = {each.name for each in Path("/sys/block").iterdir() if (each / "device").exists()}
    return sum(int(row[5]) * _SECTOR_BYTES for row in rows if row[2] in disks)


class Used(NamedTuple):
    """What a pod has used since it was created, its ended containers included."""

    cpu_s: float
    peak_mb: int
    """With the page cache that is charged to it."""


def used(cgroup: str) -> Used:
    """Read what the pod of this cgroup has used."""
    cpu_ns = _file("cpuacct", cgroup, "cpuacct.usage").read_text()
    peak = _file("memory", cgroup, "memory.max_usage_in_bytes").read_text()
    return Used(int(cpu_ns) / 10**9, int(peak) // 10**6)


def load() -> float:
    """The machine's load of the last minute."""
    return os.getloadavg()[0]


@contextmanager
def _busy(cores: int, request_m: int) -> Iterator[None]:
    folder = _CGROUPS / "cpu" / _NEIGHBOUR
    folder.mkdir()
    loops = []
    try:
        (folder / "cpu.shares").write_text(str(_shares(request_m)))
        for _ in range(cores):
            loops.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            (folder / "cgroup.procs").write_text(str(loops[-1].pid))
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()
        folder.rmdir()


def _set_cpus(cpus: str) -> None:
    """Give podman's pods these cores, and its conmon processes, whose group is among theirs."""
    pods = _file("cpuset", _PODS, "cpuset.cpus")
    pods.write_text(_all_cpus())  # a group has no core that the one above it lacks
    try:
        for each in pods.parent.glob("*/cpuset.cpus"):
            each.write_text(cpus)
        pods.write_text(cpus)
    except OSError as error:
        raise RuntimeError(f"other pods of podman run on this machine ({error})") from None


def _all_cpus() -> str:
    return (_CGROUPS / "cpuset" / "cpuset.cpus").read_text()


def _shares(request_m: int) -> int:
    return request_m * 1024 // 1000


def _file(controller: str, group: str, name: str) -> Path:
    path = _CGROUPS / controller / group.strip("/") / name
    if not path.exists():
        raise SystemExit(
            f"{path} does not exist: this benchmark needs cgroup v1 and podman's cgroupfs manager, "
            "as in the container lab"
        )
    return path
