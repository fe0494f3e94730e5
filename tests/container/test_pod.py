"""The Kubernetes manifests, played by Podman: the job as init container, the trader after it.

Podman is no cluster (it knows no native sidecars and no StatefulSets): the demo's exchange is
taken out of the pod into a pod of its own, where DNS finds it, and a Pod is made of the
StatefulSet's template, as a cluster does. What else kustomize renders is played as it is.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container.conftest import checked, command
from tests.container.test_job import ENDS
from tests.test_deployment import rendered

NAMED = {
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
}  # podman plays none of these


@dataclass
class Pods:
    """What kustomize makes of an overlay, with names of this test's own."""

    folder: Path
    image: str
    suffix: str
    played: list[Path] = field(default_factory=list)

    def play(self, documents: list[Any]) -> subprocess.CompletedProcess[str]:
        """`podman kube play` of these."""
        path = self.folder / f"{len(self.played)}.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        self.played.append(path)
        done: subprocess.CompletedProcess[str] = command("podman", "kube", "play", str(path))
        return done

    def name(self, of: str) -> str:
        """A name that nobody else on this engine has."""
        return f"{of}-{self.suffix}"

    def pod(self, **settings: str) -> list[Any]:
        """The demo overlay, its exchange elsewhere, with these settings for its containers."""
        documents = [each for each in rendered("overlays/demo") if each["kind"] not in NAMED]
        (stateful_set,) = [each for each in documents if each["kind"] == "StatefulSet"]
        pod = _pod_of(stateful_set, self.name("trader"))
        documents[documents.index(stateful_set)] = pod
        note = "io.podman.annotations.init.container.type"
        pod["metadata"]["annotations"][note] = "always"  # its log stays
        spec = pod["spec"]
        spec["initContainers"] = [e for e in spec["initContainers"] if e["name"] == "warmup"]
        self.adapt(spec, settings)
        return documents

    def adapt(self, pod: Any, settings: dict[str, str]) -> None:
        """This test's image, exchange, volumes and settings."""
        ours = {
            "WARMUP_EXCHANGE_URL": f"http://{self.name('exchange')}:8080",
            "WARMUP_EXCHANGE_WS_URL": f"ws://{self.name('exchange')}:8080",
        } | settings
        for each in pod.get("initContainers", []) + pod["containers"]:
            each["image"] = self.image
            each["env"] = [entry for entry in each.get("env", []) if entry["name"] not in ours] + [
                {"name": name, "value": value} for name, value in ours.items()
            ]
        for each in pod["volumes"]:
            if "emptyDir" in each:  # podman shares those of one name between pods
                renamed = self.name(each["name"])
                for container in pod.get("initContainers", []) + pod["containers"]:
                    for mount in container["volumeMounts"]:
                        if mount["name"] == each["name"]:
                            mount["name"] = renamed
                each["name"] = renamed

    def exchange(self, *faults: str) -> None:
        """The demo's own exchange container, in a pod of its own."""
        (stateful_set,) = [e for e in rendered("overlays/demo") if e["kind"] == "StatefulSet"]
        spec = stateful_set["spec"]["template"]["spec"]
        (container,) = [e for e in spec["initContainers"] if e["name"] == "exchange"]
        del container["restartPolicy"], container["startupProbe"]
        container["image"] = self.image
        container["args"] += ["--host", "0.0.0.0"]
        for each in faults:
            container["args"] += ["--fault", each]
        name = self.name("exchange")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"securityContext": spec["securityContext"], "containers": [container]},
        }
        done = self.play([pod])
        assert done.returncode == 0, done.stderr
        probe = (
            "python",
            "-m",
            "warmup_job.process.healthcheck",
            "http://127.0.0.1:8080/_sim/faults",
        )
        until(lambda: command("podman", "exec", f"{name}-exchange", *probe).returncode == 0)

    def trader(self) -> str:
        """The trader's container."""
        return f"{self.name('trader')}-trader"

    def log(self, container: str) -> str:
        """Both of its streams."""
        done = command("podman", "logs", container)
        return str(done.stdout + done.stderr)

    def clear(self) -> None:
        """Take all of it down, volumes too."""
        for path in reversed(self.played):
            command("podman", "kube", "down", "--force", str(path))


def _pod_of(stateful_set: Any, name: str) -> Any:
    """The pod that a cluster makes of it."""
    template = stateful_set["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"] | {"name": name},
        "spec": template["spec"],
    }


def until(holds: Any, within_s: float = 60) -> None:
    """Wait for something to hold."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.fixture(scope="session")
def podman_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image in podman's own store."""
    if not shutil.which("podman"):
        pytest.skip("podman is not here; CI has it")
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    checked("docker", "save", "-o", str(archive), image)
    checked("podman", "load", "-q", "-i", str(archive))
    archive.unlink()
    return f"docker.io/library/{image}"


@pytest.fixture
def pods(podman_image: str, tmp_path: Path) -> Iterator[Pods]:
    """Pods that end with the test."""
    made = Pods(tmp_path, podman_image, secrets.token_hex(3))
    try:
        yield made
    finally:
        made.clear()


def test_the_trader_goes_live_on_what_the_init_container_left(pods: Pods) -> None:
    pods.exchange()
    done = pods.play(pods.pod())
    assert done.returncode == 0, done.stderr
    ready = ("python", "-m", "warmup_job.process.healthcheck", "http://127.0.0.1:8081/readyz")
    until(lambda: command("podman", "exec", pods.trader(), *ready).returncode == 0)
    left = checked("podman", "exec", pods.trader(), "readlink", "/snapshot/current").strip()
    log = pods.log(pods.trader())
    assert f"{Path(left).name} verified" in log
    assert "live: contiguous" in log

    refused = command("podman", "exec", pods.trader(), "touch", "/snapshot/x")
    assert "Read-only file system" in refused.stderr
    said = json.loads(checked("podman", "inspect", pods.trader()))[0]
    assert said["EffectiveCaps"] in ([], None)
    assert said["HostConfig"]["ReadonlyRootfs"] is True

    # A container that restarts in its pod has no init container before it.
    checked("podman", "restart", "-t", "20", pods.trader())
    until(lambda: pods.log(pods.trader()).count("live: contiguous") == 2)
    assert pods.log(pods.trader()).count(f"{Path(left).name} verified") == 2


@pytest.mark.parametrize("code", ENDS)
def test_an_init_container_that_fails_keeps_the_trader_away(pods: Pods, code: int) -> None:
    environment, fault = ENDS[code]
    pods.exchange(*[fault] if fault else [])
    settings = {"WARMUP_ON_FAILURE": "fail", "WARMUP_DEADLINE": "60s"} | {
        name: value.replace("exchange:9", f"{pods.name('exchange')}:9")
        for name, value in environment.items()
    }
    done = pods.play(pods.pod(**settings))
    assert done.returncode == 125
    assert f"exited with code {code}" in done.stderr, done.stderr
    state = json.loads(checked("podman", "inspect", pods.trader()))[0]["State"]["Status"]
    assert state in ("created", "initialized")


def test_an_init_container_that_fails_lets_the_trader_in_if_it_is_told_to(pods: Pods) -> None:
    pods.exchange("418@klines:for=3s")
    settings = {"WARMUP_DEADLINE": "2s"}
    done = pods.play(pods.pod(**settings))
    assert done.returncode == 0, done.stderr
    until(lambda: "live: contiguous" in pods.log(pods.trader()))


def test_the_job_and_the_cron_job_publish_onto_their_claim(pods: Pods) -> None:
    """A CronJob cannot be played: a Job is made of its template, as a cluster does."""
    pods.exchange()
    for overlay in ("job", "cronjob"):
        documents = [e for e in rendered(f"overlays/{overlay}") if e["kind"] not in NAMED]
        for each in documents:
            if each["kind"] == "CronJob":
                each["kind"] = "Job"
                each["spec"] = each["spec"]["jobTemplate"]["spec"]
            if each["kind"] == "Job":
                each["metadata"]["name"] = pods.name(overlay)
                pods.adapt(each["spec"]["template"]["spec"], {})
                for volume in each["spec"]["template"]["spec"]["volumes"]:
                    if "persistentVolumeClaim" in volume:
                        volume["persistentVolumeClaim"]["claimName"] = pods.name("snapshot")
            if "WARMUP_VENUE" in each.get("data", {}):
                each["data"]["WARMUP_VENUE"] = "/etc/warmup-job/simulated.yaml"
            if each["kind"] == "PersistentVolumeClaim":
                each["metadata"]["name"] = pods.name("snapshot")
        done = pods.play(documents)
        assert done.returncode == 0, done.stderr
        container = f"{pods.name(overlay)}-pod-warmup"
        assert checked("podman", "wait", container).strip() == "0", pods.log(container)
        assert "499 bars of BTCUSDT 1m" in pods.log(container)


@pytest.mark.parametrize(
    ("file", "right", "typo", "code"),
    [
        ("warmup.yaml", "venue:", "venue:", 0),
        ("warmup.yaml", "venue:", "venu:", 2),
        ("hedge_grid_v1.yaml", "hysteresis_bps:", "hysteresis_pbs:", 2),
        ("hedge_grid_v1.yaml", "BTCUSDT-PERP", "BTCUSDX-PERP", 12),
    ],
)
def test_a_check_finds_a_typo_before_it_is_applied(
    pods: Pods, file: str, right: str, typo: str, code: int
) -> None:
    pods.exchange()
    documents = [e for e in rendered("checks/testnet") if e["kind"] not in NAMED]
    for each in documents:
        if each["kind"] == "Job":
            each["metadata"]["name"] = pods.name("check")
            pods.adapt(each["spec"]["template"]["spec"], {})
        if "WARMUP_VENUE" in each.get("data", {}):
            each["data"]["WARMUP_VENUE"] = "/etc/warmup-job/simulated.yaml"
        if file in each.get("data", {}):
            assert right in each["data"][file]
            each["data"][file] = each["data"][file].replace(right, typo)
    done = pods.play(documents)
    assert done.returncode == 0, done.stderr
    container = f"{pods.name('check')}-pod-warmup"
    ended = checked("podman", "wait", container).strip()
    assert ended == str(code), pods.log(container)
    if code == 0:
        assert "dry run: would publish 499 bars of BTCUSDT 1m" in pods.log(container)
