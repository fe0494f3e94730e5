"""The Kubernetes manifests, played by Podman: the job as init container, the trader after it.

Podman is no cluster (it knows no native sidecars and no StatefulSets): the demo's exchange is
taken out of the pod into a pod of its own, where DNS finds it, and a Pod is made of the
StatefulSet's template, as a cluster does. What else kustomize renders is played as it is.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.containers import ENDS, checked, command
from tests.support.manifests import rendered
from tests.support.pods import NAMED, Pods, run_up
from tests.support.waiting import until


def test_pod_trader_goes_live_on_the_snapshot_of_the_init_container(pods: Pods) -> None:
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
    inspected = json.loads(checked("podman", "inspect", pods.trader()))[0]
    assert inspected["EffectiveCaps"] in ([], None)
    assert inspected["HostConfig"]["ReadonlyRootfs"] is True

    # A container that restarts in its pod has no init container before it.
    checked("podman", "restart", "-t", "20", pods.trader())
    until(lambda: pods.log(pods.trader()).count("live: contiguous") == 2)
    assert pods.log(pods.trader()).count(f"{Path(left).name} verified") == 2


def test_pod_of_one_container_runs_job_and_trader(pods: Pods) -> None:
    pods.exchange()
    documents = pods.pod()
    (pod,) = [each["spec"] for each in documents if each["kind"] == "Pod"]
    run_up(pod)
    done = pods.play(documents)
    assert done.returncode == 0, done.stderr
    until(lambda: "live: contiguous" in pods.log(pods.trader()))
    left = checked("podman", "exec", pods.trader(), "readlink", "/snapshot/current").strip()
    assert f"{Path(left).name} verified" in pods.log(pods.trader())


@pytest.mark.parametrize("code", ENDS)
def test_pod_failed_init_container_blocks_the_trader(pods: Pods, code: int) -> None:
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


def test_pod_failed_init_container_admits_the_trader_under_proceed(pods: Pods) -> None:
    pods.exchange("418@klines:for=3s")
    settings = {"WARMUP_DEADLINE": "2s"}
    done = pods.play(pods.pod(**settings))
    assert done.returncode == 0, done.stderr
    until(lambda: "live: contiguous" in pods.log(pods.trader()))


def test_pod_job_and_cron_job_publish_to_their_claim(pods: Pods) -> None:
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
def test_pod_check_finds_a_typo_before_the_deployment(
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
