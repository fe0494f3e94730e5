"""What `warmup-job init` writes for containers runs unchanged: compose file, image, overlay."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import checked, command
from tests.support.init_folders import GRID, init
from tests.support.pods import Pods, load_into_podman
from tests.support.stacks import Stack, free_port
from tests.support.waiting import until

OWN = "my_bot:MyBot"
"""A strategy that does not exist yet, so init writes it as the example."""

READ_REPORT = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8081/readyz", timeout=5).read().decode())
"""

INTERVALS = {GRID: {"1-MINUTE"}, OWN: {"1-MINUTE", "15-MINUTE"}}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder, whose name is that of the project, the image and the namespace."""
    folder = tmp_path / f"init-{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


@pytest.fixture
def own_image(client: Any, empty: Path) -> Iterator[str]:
    """The image that the folder's Dockerfile is for."""
    name = f"{empty.name}:1"
    yield name
    if client.images.list(name):
        client.images.remove(name)
    if shutil.which("podman"):
        command("podman", "rmi", "--ignore", name)


@pytest.fixture
def stack(empty: Path, image: str, own_image: str) -> Iterator[Stack]:
    """The folder as a compose project, with nothing set but the image and a free port."""
    # An older image of that name is there, as after every change of a file; it is not used.
    checked("docker", "tag", image, own_image)
    made = Stack(empty, {"WARMUP_IMAGE": image, "TRADER_PORT": str(free_port())})
    try:
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", "-t", "2")


def assert_warm(report: Any, strategy: str, published: str) -> None:
    """Assert that the trader is live and has the snapshot's bars of every timeframe."""
    assert (report["state"], report["trading"]) == ("live", True), report
    streams = {each["bar_type"]: each for each in report["streams"]}
    assert set(streams) == {
        f"BTCUSDT-PERP.BINANCE-{each}-LAST-EXTERNAL" for each in INTERVALS[strategy]
    }
    for each in streams.values():
        assert (each["phase"], each["why_not"]) == ("contiguous", ""), report
        assert each["history_bars"] >= 50, report
        assert each["snapshot"] == published, report


@pytest.mark.parametrize(("strategy", "dockerfile"), [(OWN, True), (OWN, False), (GRID, False)])
def test_init_compose_file_comes_up_warm(
    stack: Stack, own_image: str, strategy: str, dockerfile: bool
) -> None:
    also = ("--compose", "--dockerfile") if dockerfile else ("--compose",)
    assert init(stack.folder, *also, strategy=strategy).code == 0
    done = stack.compose("up", "-d", "--wait")
    assert done.returncode == 0, done.stderr + stack.do("logs")
    published = stack.do("exec", "trader", "readlink", "/snapshot/current").strip()
    assert_warm(stack.report(), strategy, Path(published).name)
    services = stack.services()
    assert services["warmup"]["ExitCode"] == 0
    names = {each["Image"] for each in services.values()}
    assert names == {own_image if dockerfile else stack.env["WARMUP_IMAGE"]}

    stack.do("stop", "trader")
    log = stack.do("logs", "--no-log-prefix", "trader")
    assert "started warm" in log
    assert "COLD" not in log
    assert "does not declare" not in log
    stack.do("down", "-v")
    assert stack.services() == {}


@pytest.mark.parametrize("strategy", [OWN, GRID])
def test_init_overlay_goes_live(
    own_image: str, pods: Pods, empty: Path, image: str, strategy: str
) -> None:
    """As in test_pod.py: the exchange is in a pod of its own, and a Pod is made of the template."""
    assert init(empty, "--kustomize", strategy=strategy).code == 0
    pods.overlay = str(empty)
    if strategy == OWN:
        build = ("docker", "build", "-q", "--build-arg", f"WARMUP_IMAGE={image}")
        checked(*build, "-t", own_image, ".", cwd=empty)
        pods.image = load_into_podman(own_image, empty)
    pods.exchange()
    done = pods.play(pods.pod())
    assert done.returncode == 0, done.stderr + pods.log(f"{pods.name('trader')}-warmup")
    in_trader = ("podman", "exec", pods.trader())
    until(
        lambda: command(*in_trader, "python", "-c", READ_REPORT).returncode == 0,
        lambda: pods.log(pods.trader()),
    )
    report = json.loads(checked(*in_trader, "python", "-c", READ_REPORT))
    published = checked(*in_trader, "readlink", "/snapshot/current").strip()
    assert_warm(report, strategy, Path(published).name)
