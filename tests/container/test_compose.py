"""`docker compose up`, as the README says it: exchange, job, trader, without keys or internet."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.manifests import COMPOSED
from tests.support.stacks import Stack, free_port
from tests.support.suite import REPO

KILL_THE_TRADER = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    if b"trade" in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0") and pid != "1":
        os.kill(int(pid), signal.SIGKILL)
"""
COUNT_THREADS = """
import glob, os
print(len(os.sched_getaffinity(0)), len(glob.glob("/proc/[0-9]*/task/*")))
"""
LOOK_FOR_KEYS = """
import os
for top in ("/app", "/snapshot", "/run"):
    for folder, _, names in os.walk(top):
        for name in names:
            if b"hush" in open(os.path.join(folder, name), "rb").read():
                print(folder, name)
print("looked", *(name for name, value in os.environ.items() if "hush" in value))
"""


@pytest.fixture
def stack(tmp_path: Path, image: str) -> Iterator[Stack]:
    """docker-compose.yml, .env and configs in a folder of their own."""
    folder = tmp_path / "stack"
    folder.mkdir()
    for name in ("docker-compose.yml", "docker-compose.fast.yml", ".env"):
        shutil.copy(REPO / name, folder)
    for name in ("configs", "keys"):
        shutil.copytree(REPO / name, folder / name)
    folder.chmod(0o755)
    port = free_port()
    env = {
        "COMPOSE_PROJECT_NAME": f"warmup-test-{os.getpid()}-{port}",
        "WARMUP_IMAGE": image,
        "TRADER_PORT": str(port),
    }
    made = Stack(folder, env)
    try:
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", "-t", "2")


def test_compose_comes_up_live_and_restarts(stack: Stack) -> None:
    stack.do("up", "-d", "--wait", "--no-build")
    assert stack.report()["state"] == "live"
    services = stack.services()
    assert services["warmup"]["ExitCode"] == 0
    log = stack.do("logs", "--no-log-prefix", "trader")
    published = stack.do("exec", "trader", "readlink", "/snapshot/current").strip()
    assert f"{Path(published).name} verified" in log
    cores, threads = map(int, stack.do("exec", "trader", "python", "-c", COUNT_THREADS).split())
    assert threads / cores * 128 < COMPOSED["trader"]["pids_limit"]  # on a big machine, too
    refused = stack.compose("exec", "trader", "touch", "/snapshot/x")
    assert "Read-only file system" in refused.stderr

    # A second trader on the same volume is refused, and told who is first.
    first = stack.do("exec", "trader", "hostname").strip()
    second = stack.compose("run", "--rm", "--no-deps", "trader")
    assert second.returncode == 21, second.stderr
    assert "a paper trader, pid " in second.stderr + second.stdout
    assert f" on {first}, since " in second.stderr + second.stdout
    assert stack.report()["state"] == "live"

    # All at once, as `compose restart` does it: the job runs again while the trader starts.
    stack.do("restart", "-t", "10")
    stack.wait_until_healthy()
    assert stack.report()["state"] == "live"

    # What dies comes back, on the snapshot that is there, with its state.
    stack.compose("exec", "trader", "python", "-c", KILL_THE_TRADER)
    stack.wait_until_healthy()
    deadline = time.monotonic() + 30
    while stack.do("logs", "--no-log-prefix", "trader").count("live: contiguous") < 3:
        assert time.monotonic() < deadline, stack.do("logs", "trader")
        time.sleep(0.3)


FAST = ("-f", "docker-compose.yml", "-f", "docker-compose.fast.yml")


def test_compose_fast_starts_job_and_trader_at_once(stack: Stack) -> None:
    for profile in ("local", "testnet", "demo", "live"):
        dash = "" if profile == "local" else f"-{profile}"
        if dash:
            (stack.folder / f"keys/{profile}.env").write_text("")
        composed = json.loads(stack.do(*FAST, "--profile", profile, "config", "--format", "json"))
        trader = composed["services"][f"trader{dash}"]
        assert trader["depends_on"][f"warmup{dash}"]["condition"] == "service_started"
        assert trader["environment"]["WARMUP_WAIT_FOR_SNAPSHOT"] == "5m"
        assert trader["environment"]["WARMUP_HTTP_PORT"] == "8081"
    stack.do(*FAST, "up", "-d", "--wait", "--no-build")
    assert stack.report()["state"] == "live"
    log = stack.do("logs", "--no-log-prefix", "trader")
    published = stack.do("exec", "trader", "readlink", "/snapshot/current").strip()
    assert f"{Path(published).name} verified" in log
    assert "fetching the whole window" not in log
    assert stack.services()["warmup"]["State"] == "running"


@pytest.mark.parametrize(("policy", "starts"), [("fail", False), ("proceed", True)])
def test_compose_failed_job_blocks_the_trader_only_under_fail(
    stack: Stack, policy: str, starts: bool
) -> None:
    override = {
        "services": {
            "warmup": {
                "environment": {"WARMUP_ON_FAILURE": policy, "WARMUP_STREAMS": "NOPEUSDT:1m:70"}
            }
        }
    }
    (stack.folder / "docker-compose.override.yml").write_text(json.dumps(override))
    done = stack.compose("up", "-d", "--no-build")
    assert (done.returncode == 0) is starts, done.stderr
    services = stack.services()
    assert services["warmup"]["ExitCode"] == (0 if starts else 12)
    if starts:
        stack.wait_until_healthy()  # it has fetched for itself
    else:
        assert services["trader"]["State"] == "created"


@pytest.mark.parametrize("profile", ["testnet", "demo", "live"])
def test_compose_profile_gives_keys_only_to_the_trader(stack: Stack, profile: str) -> None:
    without = stack.compose("--profile", profile, "config")
    assert without.returncode != 0
    assert f"keys/{profile}.env" in without.stderr

    example = stack.folder / "keys" / f"{profile}.env.example"
    written = example.read_text().replace("KEY=", "KEY=the-key").replace("SECRET=", "SECRET=hush")
    example.with_suffix("").write_text(written)
    services = json.loads(stack.do("--profile", profile, "config", "--format", "json"))["services"]
    assert set(services) == {f"warmup-{profile}", f"trader-{profile}"}
    trader, warmup = services[f"trader-{profile}"], services[f"warmup-{profile}"]
    assert "hush" in json.dumps(trader["environment"])
    assert "hush" not in json.dumps(warmup)
    assert trader["environment"]["WARMUP_MODE"] == "live"
    (snapshot,) = [each for each in trader["volumes"] if each["target"] == "/snapshot"]
    assert snapshot["read_only"] is True
    venue = trader["environment"]["WARMUP_VENUE"]
    assert venue == warmup["environment"]["WARMUP_VENUE"]
    for name in ("API_KEY", "API_SECRET"):  # what the venue file asks for is what the file holds
        (key,) = [each for each in trader["environment"] if each.endswith(name)]
        assert f"${{{key}}}" in (REPO / venue).read_text()
    plan = stack.do("--profile", profile, "run", "--rm", "--no-deps", f"warmup-{profile}", "plan")
    assert "BTCUSDT 1m" in plan
    found = stack.do(
        *("--profile", profile, "run", "--rm", "--no-deps", "--entrypoint", "python"),
        *(f"warmup-{profile}", "-c", LOOK_FOR_KEYS),
    )
    assert found.split() == ["looked"]
