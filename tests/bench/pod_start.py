"""From pod start to live: a bare Nautilus node, and ours in every order of starting.

    make bench-pods                                                          # an hour
    make bench-pods ARGS="--conditions 2-warm --cases bare init --runs 3"    # two minutes

Podman plays the pods of k8s/, on paper, against the local exchange, which runs outside the pod, 60
ms away. The cases alternate; a ratio is the median of the pairs. Prints the tables of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.bench import exchange
from tests.bench.pod_node import (
    CONDITIONS,
    Condition,
    Used,
    drop_page_cache,
    load,
    node,
    read_from_disk,
    remove_cgroup,
    used,
)
from tests.support.containers import checked, command
from tests.support.pods import Pods, load_into_podman, run_up

IMAGE = "warmup-job:bench"
OLD = "-3h"
"""When the snapshot of the case `old` was made."""
_MOST_S = 180.0
"""A start that takes longer has failed."""
_BARE = Path(__file__).with_name("bare_node.py")
_EVENTS = {  # by role: what a line of the log has, and what it means
    "warmup": {
        '"event": "bars.fetching"': "job: imported, volume prepared, fetching",
        '"event": "stream.checked"': "job: fetched and checked",
        "published 2": "job: published",
    },
    "trader": {
        '"event": "http.listening"': "trader: command line imported",
        '"state": "verifying"': "trader: Nautilus imported",
        '"event": "snapshot.awaited"': "trader: found the snapshot that it waited for",
        '"event": "snapshot.verified"': "trader: snapshot verified",
        '"state": "warming"': "trader: node started, bars loaded",
        '"state": "filling"': "trader: strategy warm, waits for websocket and fill",
    },
}
_ORDER = [
    "job: process",
    *_EVENTS["warmup"].values(),
    "job: container ended",
    "trader: process",
    *_EVENTS["trader"].values(),
    "live",
]


class Site(NamedTuple):
    """What all starts share."""

    image: str
    network: str
    exchange: str
    """Its URL, as pods reach it."""
    snapshot: Path
    """A folder with an old snapshot."""


class Start(NamedTuple):
    """One pod's way to live; seconds since the command that plays it."""

    marks: dict[str, float]
    used: Used
    load: float
    read_mb: int
    """What the machine read from its disks until then."""

    @property
    def live_s(self) -> float:
        """When it was live."""
        return self.marks["live"]


def _bare(documents: list[Any], pod: Any, site: Site) -> None:
    """Run the bare node instead of the trader, and no job."""
    pod["initContainers"] = []
    (trader,) = pod["containers"]
    del trader["args"]
    trader["command"] = ["dumb-init", "--single-child", "--", "python", f"/bare/{_BARE.name}"]
    trader["volumeMounts"].append({"name": "bare", "mountPath": "/bare"})
    name = f"bare-{secrets.token_hex(3)}"
    pod["volumes"].append({"name": "bare", "configMap": {"name": name}})
    documents.insert(
        0,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {_BARE.name: _BARE.read_text()},
        },
    )


def _init(documents: list[Any], pod: Any, site: Site) -> None:
    """Keep k8s/base as it is."""


def _old(documents: list[Any], pod: Any, site: Site) -> None:
    """Leave out the job, and mount the old snapshot."""
    pod["initContainers"] = []
    (volume,) = [each for each in pod["volumes"] if each["name"].startswith("snapshot")]
    del volume["emptyDir"]
    volume["hostPath"] = {"path": str(site.snapshot), "type": "Directory"}


def _together(documents: list[Any], pod: Any, site: Site) -> None:
    """Start the native sidecar, which podman does not know, as a container beside the trader."""
    (job,) = pod.pop("initContainers")
    del job["restartPolicy"]
    pod["containers"].append(job)


def _up(documents: list[Any], pod: Any, site: Site) -> None:
    """Run job and trader in the trader's container."""
    run_up(pod)


class Case(NamedTuple):
    """One order of starting."""

    title: str
    adapt: Callable[[list[Any], Any, Site], None]
    overlay: str = "base"


CASES = {
    "bare": Case("a bare Nautilus node", _bare),
    "init": Case("init container first (`k8s/base`)", _init),
    "together": Case("job and trader at once (`k8s/overlays/fast`)", _together, "overlays/fast"),
    "up": Case("`warmup-job up` in one container", _up),
    "old": Case("the trader alone, on a snapshot 3 h old", _old),
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pod_start")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--runs", type=int, default=5, help="pairs per condition")
    parser.add_argument("--image", help="an image that podman has; without it, build one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which removes pods and cgroups
    compare(options.cases, options.conditions, options.runs, options.image or _built())
    return 0


def compare(cases: list[str], conditions: list[str], runs: int, image: str) -> None:
    """Play every case under every condition, alternating, and print the tables."""
    cases = ["bare", *(each for each in cases if each != "bare")]
    measured: dict[str, dict[str, list[Start | str]]] = {}
    try:
        with _site(image) as site:
            for name in conditions:
                measured[name] = {each: [] for each in cases}
                for run in range(runs):
                    for each in cases if run % 2 == 0 else reversed(cases):
                        measured[name][each].append(_attempt(each, CONDITIONS[name], site))
    finally:  # also what there is when it is stopped
        print_starts(measured)
        for name, starts in measured.items():
            print_marks(CONDITIONS[name], starts)


def print_starts(measured: dict[str, dict[str, list[Start | str]]]) -> None:
    """Print a row for each condition and case; a start that failed is named below."""
    figures = "to live, s", "of the bare pod", "pod's CPU, s", "peak, MB", "read, MB", "load"
    _row("node", "pod", *figures)
    _row("---", "---", *("---:" for _ in figures))
    failed = []
    for name, by_case in measured.items():
        for case, starts in by_case.items():
            good = [each for each in starts if isinstance(each, Start)]
            title = CASES[case].title
            wrong = [f"- {CONDITIONS[name].title}, {title}: {e}" for e in starts if e not in good]
            failed += wrong
            ratios = [
                ours.live_s / bare.live_s
                for ours, bare in zip(starts, by_case["bare"], strict=False)
                if isinstance(ours, Start) and isinstance(bare, Start)
            ]
            _row(
                CONDITIONS[name].title,
                title + (f" ({len(wrong)} of {len(starts)} failed)" if wrong else ""),
                _spread([each.live_s for each in good], 1),
                "" if case == "bare" else _spread(ratios, 2),
                _spread([each.used.cpu_s for each in good], 1),
                _spread([each.used.peak_mb for each in good], 0),
                _spread([each.read_mb for each in good], 0),
                _spread([each.load for each in good], 1),
            )
    print("", *failed, "", sep="\n", flush=True)


def print_marks(condition: Condition, by_case: dict[str, list[Start | str]]) -> None:
    """Print when each step was reached, so that one sees what runs beside what."""
    _row(f"s after pod start; {condition.title}", *by_case)
    _row("---", *("---:" for _ in by_case))
    for mark in _ORDER:
        times = [
            [each.marks[mark] for each in starts if isinstance(each, Start) and mark in each.marks]
            for starts in by_case.values()
        ]
        if any(times):
            _row(mark, *(f"{statistics.median(each):.2f}" if each else "" for each in times))
    print(flush=True)


def _attempt(name: str, condition: Condition, site: Site) -> Start | str:
    """One start, or why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        pods = Pods(
            Path(folder), site.image, secrets.token_hex(3), CASES[name].overlay, site.network
        )
        try:
            with node(condition):
                if condition.cold:
                    drop_page_cache()
                    _warm_engine(site.network)
                start = _start(pods, CASES[name], site)
            print(f"{condition.title}; {name}: {start.live_s:.2f} s", file=sys.stderr, flush=True)
        except (AssertionError, RuntimeError) as error:
            print(f"{condition.title}; {name}: FAILED: {error}", file=sys.stderr, flush=True)
            return " ".join(str(error).split())[-300:]
        else:
            return start
        finally:
            command("podman", "pod", "kill", pods.name("trader"))
            pods.clear()


def _start(pods: Pods, case: Case, site: Site) -> Start:
    documents = _documents(pods, case, site)
    busy, read = load(), read_from_disk()
    began_s = time.time()
    done = pods.play(documents)
    assert done.returncode == 0, done.stderr
    _await_live(pods)
    read = read_from_disk() - read
    pod = pods.name("trader")
    use = used(checked("podman", "pod", "inspect", "-f", "{{.CgroupPath}}", pod).strip())
    marks = {name: at_s - began_s for name, at_s in _marks(pods)}
    assert "live" in marks, pods.log(pods.trader())
    return Start(marks, use, busy, read // 10**6)


def _documents(pods: Pods, case: Case, site: Site) -> list[Any]:
    """Return the objects of k8s/ for this case, with the exchange of the bench."""
    documents = pods.pod(
        WARMUP_EXCHANGE_URL=site.exchange,
        WARMUP_EXCHANGE_WS_URL=site.exchange.replace("http", "ws"),
        WARMUP_ON_FAILURE="fail",
    )
    documents = [each for each in documents if each["kind"] != "PersistentVolumeClaim"]
    (settings,) = [each["data"] for each in documents if "WARMUP_VENUE" in each.get("data", {})]
    settings["WARMUP_VENUE"] = "/etc/warmup-job/simulated.yaml"
    (pod,) = [each["spec"] for each in documents if each["kind"] == "Pod"]
    pod["restartPolicy"] = "Never"  # a container that fails must not hide it
    for volume in pod["volumes"]:
        if volume["name"] == "state":
            del volume["persistentVolumeClaim"]
            volume["emptyDir"] = {}
            volume["name"] = pods.name("state")
    for each in pod["containers"]:
        for mount in each["volumeMounts"]:
            if mount["name"] == "state":
                mount["name"] = pods.name("state")
    case.adapt(documents, pod, site)
    return documents


def _await_live(pods: Pods) -> None:
    """Follow the trader's log until it is live, with one process that sleeps meanwhile."""
    hung = threading.Timer(
        _MOST_S, lambda: command("podman", "pod", "kill", pods.name("trader"))
    )  # which ends the log
    hung.start()
    following = subprocess.Popen(
        ["podman", "logs", "-f", pods.trader()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        assert any(map(_is_live, following.stdout or ())), pods.log(pods.trader())[-1000:]
    finally:
        hung.cancel()
        following.terminate()
        following.wait()


def _is_live(line: str) -> bool:
    return line.strip().endswith("live") or '"state": "live"' in line


def _marks(pods: Pods) -> Iterator[tuple[str, float]]:
    """Each step that the pod's containers took, and when, s."""
    names = checked("podman", "ps", "-a", "--format", "{{.Names}}").split()
    for role, title in (("warmup", "job"), ("trader", "trader")):
        container = f"{pods.name('trader')}-{role}"
        if container not in names:
            continue
        state = json.loads(checked("podman", "inspect", container))[0]["State"]
        yield f"{title}: process", _seconds(state["StartedAt"])
        if role == "warmup" and state["Status"] == "exited":
            yield "job: container ended", _seconds(state["FinishedAt"])
        done = command("podman", "logs", "-t", container)
        lines = sorted((done.stdout + done.stderr).splitlines())
        events = {word: step for each in _EVENTS.values() for word, step in each.items()}
        for word, step in events.items():
            if at := next((line.split()[0] for line in lines if word in line), None):
                yield step, _seconds(at)
        if at := next((line.split()[0] for line in lines if _is_live(line)), None):
            yield "live", _seconds(at)


@contextmanager
def _site(image: str) -> Iterator[Site]:
    """The exchange and the network, which stays up between the pods."""
    network = f"warmup-bench-{secrets.token_hex(3)}"
    checked("podman", "network", "create", network)
    try:
        _warm_engine(network)
        # Its cgroup is not one of those that `node` changes.
        checked("podman", "pod", "create", "--cgroup-parent", f"/{network}",
                "--network", network, network)  # fmt: skip
        checked("podman", "pod", "start", network)
        (subnet,) = json.loads(checked("podman", "network", "inspect", network))[0]["subnets"]
        # Not in a container of the image: what it maps would stay in a cold page cache.
        with (
            exchange("--latency-ms", "60", "--host", subnet["gateway"]) as url,
            tempfile.TemporaryDirectory() as folder,
        ):
            Path(folder).chmod(0o755)  # the pod's user reads it
            snapshot = Path(folder) / "snapshot"
            snapshot.mkdir()
            checked(
                *("podman", "run", "--rm", "--network", network, "--user", "0"),
                *("-v", f"{snapshot}:/snapshot"),
                *("-e", f"WARMUP_EXCHANGE_URL={url}", "-e", "WARMUP_CONFIG=configs/demo.yaml"),
                *("-e", "WARMUP_ON_FAILURE=fail", image, "run", "--until", OLD),
            )
            yield Site(image, network, url, snapshot)
    finally:
        command("podman", "pod", "rm", "-f", "-t", "0", network)
        command("podman", "network", "rm", "-f", network)
        remove_cgroup(network)


def _warm_engine(network: str) -> None:
    """Start an empty pod, so that the engine is in memory as on a node that has run others."""
    name = f"{network}-empty"
    checked("podman", "pod", "create", "--network", network, name)
    checked("podman", "pod", "start", name)
    checked("podman", "pod", "rm", "-f", "-t", "0", name)


def _built() -> str:
    """Build the image and give it to podman."""
    checked("docker", "build", "-q", "-t", IMAGE, ".")
    with tempfile.TemporaryDirectory() as folder:
        return load_into_podman(IMAGE, Path(folder))


def _seconds(text: str) -> float:
    """An ISO time as a Unix time, s; nanoseconds are cut to what Python knows."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()


def _spread(values: list[float] | list[int], digits: int) -> str:
    """The median, and the least and the most."""
    if not values:
        return "–"
    middle, least, most = (
        f"{each:.{digits}f}" for each in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({least} to {most})"


def _row(*cells: object) -> None:
    """A line of a Markdown table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    sys.exit(main())
