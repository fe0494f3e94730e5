"""Dockerfile and Kubernetes manifests: everything that can be checked without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.manifests import COMPOSED, _kustomized, rendered
from tests.support.pods import run_up
from tests.support.suite import REPO
from warmup_job.config import duration_ms

OVERLAYS = sorted(each.name for each in (REPO / "k8s/overlays").iterdir())
CHECKS = sorted(each.name for each in (REPO / "k8s/checks").iterdir())
ALL = ["base", *(f"overlays/{name}" for name in OVERLAYS), *(f"checks/{name}" for name in CHECKS)]
TRADERS = ["base", *(f"overlays/{name}" for name in OVERLAYS if "job" not in name)]
VERSIONS = ["1.29", "1.31", "1.33", "1.35", "1.36"]
SECRET = "binance-keys"
MEASURED = {  # by container: peak MB, memory requested, memory limit, CPU requested
    row[0]: row[1:]
    for row in re.findall(
        r"^\| `(\w+)` \| (\d+) \| (\w+) \| (\w+) \| (\w+) \|$",
        (REPO / "docs/performance.md").read_text(),
        re.MULTILINE,
    )
}
VERSION = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]
TRADES = {  # by overlay: the trader's mode and environment; None: no trader
    "cronjob": (None, "binance_futures.yaml"),
    "demo": ("paper", "simulated.yaml"),
    "fast": ("paper", "binance_futures.yaml"),
    "job": (None, "binance_futures.yaml"),
    "mainnet": ("live", "binance_futures.yaml"),
    "sidecar": ("paper", "binance_futures.yaml"),
    "testnet": ("live", "binance_testnet.yaml"),
}


def stateful_set(folder: str) -> Any:
    """Return the trader's StatefulSet, which is the only one."""
    (found,) = [each for each in rendered(folder) if each["kind"] == "StatefulSet"]
    return found


def pods(folder: str) -> list[Any]:
    """Return the pod specs among these objects."""
    made = []
    for each in rendered(folder):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            made.append(spec["template"]["spec"])
    return made


def containers(folder: str) -> list[Any]:
    """Return every container of every pod, init containers first."""
    return [
        each for pod in pods(folder) for each in pod.get("initContainers", []) + pod["containers"]
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", ALL)
def test_deployment_every_object_is_valid_kubernetes(folder: str, version: str) -> None:
    for each in rendered(folder):
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("folder", ALL)
def test_deployment_pods_meet_the_restricted_pod_security_standard(folder: str) -> None:
    (namespace,) = [each for each in rendered(folder) if each["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {each["metadata"].get("namespace", namespace["metadata"]["name"])
            for each in rendered(folder)} == {namespace["metadata"]["name"]}  # fmt: skip
    assert pods(folder)
    for pod in pods(folder):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert context["fsGroup"] > 0
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert {key for each in pod["volumes"] for key in each if key != "name"} <= {
            "configMap", "emptyDir", "persistentVolumeClaim",
        }  # fmt: skip
        for volume in pod["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]
    for each in containers(folder):
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert each["resources"]["limits"]["memory"]
        assert each["resources"]["requests"].keys() >= {"cpu", "memory"}
        alone = folder in {"overlays/job", "overlays/cronjob"}  # no trader shares its node's image
        assert each["image"] == f"warmup-job:{VERSION}" + ("-job" if alone else "")


def test_deployment_each_overlay_has_its_own_namespace() -> None:
    """Deleting one overlay deletes its namespace with everything in it."""
    names = [
        each["metadata"]["name"]
        for overlay in OVERLAYS
        for each in rendered(f"overlays/{overlay}")
        if each["kind"] == "Namespace"
    ]
    assert len(set(names)) == len(OVERLAYS)


@pytest.mark.parametrize("folder", ALL)
def test_deployment_network_policy_allows_only_443_and_dns_for_every_pod(folder: str) -> None:
    (policy,) = [each for each in rendered(folder) if each["kind"] == "NetworkPolicy"]
    wanted = policy["spec"]["podSelector"]["matchLabels"]
    for each in rendered(folder):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            assert wanted.items() <= spec["template"]["metadata"]["labels"].items()
    out = {(p["port"], p["protocol"]) for rule in policy["spec"]["egress"] for p in rule["ports"]}
    assert out == {(53, "UDP"), (53, "TCP"), (443, "TCP")}
    assert policy["spec"]["ingress"] == [{"ports": [{"port": 8081, "protocol": "TCP"}]}]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_deployment_overlay_trades_where_its_name_says(overlay: str) -> None:
    (settings,) = [
        each["data"]
        for each in rendered(f"overlays/{overlay}")
        if each["kind"] == "ConfigMap" and "-settings-" in each["metadata"]["name"]
    ]
    mode, venue = TRADES[overlay]
    assert (settings.get("WARMUP_MODE"), Path(settings["WARMUP_VENUE"]).name) == (mode, venue)


@pytest.mark.parametrize("folder", TRADERS)
def test_deployment_one_account_has_one_trader_with_a_kept_state(folder: str) -> None:
    assert not [each for each in rendered(folder) if each["kind"] == "Deployment"]
    spec = stateful_set(folder)["spec"]
    assert spec["replicas"] == 1
    assert spec["podManagementPolicy"] == "Parallel"
    # One claim for all replicas: its lock lets a second replica find the first.
    assert "volumeClaimTemplates" not in spec
    (pod,) = pods(folder)
    (mount,) = [e for e in pod["containers"][0]["volumeMounts"] if e["mountPath"] == "/state"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    claims = {e["metadata"]["name"] for e in rendered(folder) if "Claim" in e["kind"]}
    if folder == "overlays/demo":
        assert "emptyDir" in volume
    else:
        assert {volume["persistentVolumeClaim"]["claimName"]} == claims
    for each in pod["initContainers"]:  # native sidecars, and the job, which has to end
        is_sidecar = each["name"] != "warmup" or folder == "overlays/fast"
        assert (each.get("restartPolicy") == "Always") == is_sidecar


@pytest.mark.parametrize("folder", TRADERS)
def test_deployment_service_exposes_metrics_of_unready_pods_too(folder: str) -> None:
    spec = stateful_set(folder)["spec"]
    (service,) = [each for each in rendered(folder) if each["kind"] == "Service"]
    assert service["metadata"]["name"] == spec["serviceName"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    (trader,) = spec["template"]["spec"]["containers"]
    assert port["targetPort"] in [each["name"] for each in trader["ports"]]


def test_deployment_trader_of_real_money_is_not_evicted() -> None:
    for folder in ALL:
        budgets = [each["spec"] for each in rendered(folder) if "Budget" in each["kind"]]
        assert len(budgets) == (folder == "overlays/mainnet")
    (budget,) = [e["spec"] for e in rendered("overlays/mainnet") if "Budget" in e["kind"]]
    assert budget["maxUnavailable"] == 0
    # With AlwaysAllow a degraded trader would be evicted with open positions.
    assert budget["unhealthyPodEvictionPolicy"] == "IfHealthyBudget"
    labels = stateful_set("overlays/mainnet")["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_deployment_state_can_be_exclusive_to_one_pod(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": [os.path.relpath(REPO / "k8s/overlays/mainnet", tmp_path)],
                "components": [os.path.relpath(REPO / "k8s/components/exclusive", tmp_path)],
            }
        )
    )
    made = list(yaml.safe_load_all(_kustomized(tmp_path)))
    (claim,) = [each for each in made if each["kind"] == "PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    kubernetes_validate.validate(claim, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("folder", ALL)
def test_deployment_names_are_not_resolved_in_the_cluster_domains_first(folder: str) -> None:
    for pod in pods(folder):
        assert pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}


@pytest.mark.parametrize("folder", ALL)
def test_deployment_config_maps_exist_by_the_names_that_pods_use(folder: str) -> None:
    there = {e["metadata"]["name"] for e in rendered(folder) if e["kind"] == "ConfigMap"}
    used = {
        source["configMapRef"]["name"]
        for each in containers(folder)
        for source in each.get("envFrom", [])
        if "configMapRef" in source
    } | {
        each["configMap"]["name"] for pod in pods(folder) for each in pod["volumes"]
        if "configMap" in each
    }  # fmt: skip
    assert used == there
    assert len(used) == 2


@pytest.mark.parametrize("folder", ALL)
def test_deployment_job_waits_for_the_exchange_longer_than_kubelets_back_off(folder: str) -> None:
    """The job retries for 4 minutes inside; kubelet's back-off reaches 5 minutes."""
    for each in containers(folder):
        variables = {entry["name"]: entry.get("value") for entry in each.get("env", [])}
        assert variables.get("WARMUP_DEADLINE") == ("4m" if each["name"] == "warmup" else None)
    for each in rendered(folder):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        assert spec.get("activeDeadlineSeconds", 300) > 4 * 60


@pytest.mark.parametrize("folder", ALL)
def test_deployment_resources_are_those_that_were_measured(folder: str) -> None:
    """docs/performance.md has the peaks, and what the manifests request because of them."""
    for each in containers(folder):
        peak_mb, *written = MEASURED[each["name"]]
        requests, limits = each["resources"]["requests"], each["resources"]["limits"]
        assert [requests["memory"], limits["memory"], requests["cpu"]] == written
        assert int(peak_mb) * 10**6 <= int(requests["memory"].removesuffix("Mi")) * 2**20
        assert limits.keys() == {"memory"}  # a CPU limit would slow the start down


def test_deployment_compose_has_the_memory_limits_of_the_manifests() -> None:
    for name, service in COMPOSED.items():
        _, _, limit, _ = MEASURED[name.partition("-")[0]]
        assert service["mem_limit"] == limit.removesuffix("i").lower()


@pytest.mark.parametrize("name", CHECKS)
def test_deployment_check_is_the_init_container_and_changes_nothing(name: str) -> None:
    overlay, check = rendered(f"overlays/{name}"), rendered(f"checks/{name}")
    (job,) = [each for each in check if each not in overlay]
    assert (job["kind"], job["metadata"]["name"]) == ("Job", "check")
    assert {each["kind"] for each in overlay if each not in check} <= {
        "StatefulSet", "Service", "PersistentVolumeClaim", "PodDisruptionBudget",
    }  # fmt: skip
    assert job["spec"]["backoffLimit"] == 0
    (checking,) = job["spec"]["template"]["spec"]["containers"]
    (init,) = stateful_set(f"overlays/{name}")["spec"]["template"]["spec"]["initContainers"]
    assert checking["args"] == [*init["args"], "--dry-run"]
    assert {"name": "WARMUP_ON_FAILURE", "value": "fail"} in checking["env"]
    for key in ("image", "envFrom", "resources", "securityContext", "volumeMounts"):
        assert checking[key] == init[key]


@pytest.mark.parametrize("folder", ["overlays/testnet", "overlays/mainnet"])
def test_deployment_only_the_trader_gets_keys(folder: str) -> None:
    (pod,) = pods(folder)
    assert SECRET in json.dumps(pod["containers"])
    assert SECRET not in json.dumps(pod["initContainers"])
    assert SECRET not in json.dumps(pod["volumes"])


@pytest.mark.parametrize("folder", TRADERS)
def test_deployment_only_the_job_can_write_the_snapshot(folder: str) -> None:
    (pod,) = pods(folder)

    def mounts(container: Any) -> dict[str, bool]:
        return {e["mountPath"]: e.get("readOnly", False) for e in container["volumeMounts"]}

    assert mounts(pod["containers"][0])["/snapshot"] is True
    for each in pod["initContainers"]:
        if each["args"][0] == "run":
            assert mounts(each)["/snapshot"] is False
    names = [each["name"] for each in pod["initContainers"]]
    assert names == {
        "overlays/demo": ["exchange", "warmup"], "overlays/sidecar": ["warmup", "refresh"],
    }.get(folder, ["warmup"])  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "name"), [("overlays/sidecar", "refresh"), ("overlays/fast", "warmup")]
)
def test_deployment_lasting_refresh_failure_makes_the_pod_unready(folder: str, name: str) -> None:
    (pod,) = pods(folder)
    (refresh,) = [each for each in pod["initContainers"] if each["name"] == name]
    probe = refresh["readinessProbe"]
    *word, path, most_s = probe["exec"]["command"]
    assert word == ["python", "-m", "warmup_job.process.healthcheck"]
    assert str(Path(path).parent) in [each["mountPath"] for each in refresh["volumeMounts"]]
    assert refresh["args"] == ["run", "--repeat-every", "5m"]
    assert int(most_s) == 3 * 300
    assert probe["failureThreshold"] == 1
    assert probe["timeoutSeconds"] >= 3  # the probe starts a separate Python


def waits_ms(variables: Mapping[str, str]) -> int:
    """Return how long a trader with these variables waits for a snapshot."""
    return duration_ms(variables["WARMUP_WAIT_FOR_SNAPSHOT"])


def test_deployment_only_fast_starts_the_trader_before_the_job_has_ended() -> None:
    for folder in TRADERS:
        (pod,) = pods(folder)
        (warmup,) = [each for each in pod["initContainers"] if each["name"] == "warmup"]
        (trader,) = pod["containers"]
        variables = {each["name"]: each["value"] for each in trader["env"]}
        if folder != "overlays/fast":
            assert "WARMUP_WAIT_FOR_SNAPSHOT" not in variables
            continue
        # Kubelet starts the next container when a sidecar runs, unless it has a startup probe.
        assert "startupProbe" not in warmup
        deadline = {each["name"]: each["value"] for each in warmup["env"]}["WARMUP_DEADLINE"]
        assert waits_ms(variables) > duration_ms(deadline)
        assert warmup["resources"] == containers("base")[0]["resources"]


def test_deployment_real_money_can_start_fast_too(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": [os.path.relpath(REPO / "k8s/overlays/mainnet", tmp_path)],
                "components": [
                    os.path.relpath(REPO / f"k8s/components/{name}", tmp_path)
                    for name in ("fast", "image")
                ],
            }
        )
    )
    made = list(yaml.safe_load_all(_kustomized(tmp_path)))
    (found,) = [each for each in made if each["kind"] == "StatefulSet"]
    kubernetes_validate.validate(found, VERSIONS[-1], strict=True)
    pod = found["spec"]["template"]["spec"]
    assert SECRET in json.dumps(pod["containers"])
    assert SECRET not in json.dumps(pod["initContainers"])
    assert [each["restartPolicy"] for each in pod["initContainers"]] == ["Always"]


def test_deployment_of_one_container_is_what_the_docs_say(tmp_path: Path) -> None:
    page = (REPO / "docs/how-to/deployment.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    overlay = tmp_path / "k8s/overlays/one-container"
    for each in ("k8s", "configs"):
        shutil.copytree(REPO / each, tmp_path / each)
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(block)
    made = list(yaml.safe_load_all(_kustomized(overlay)))
    (found,) = [each for each in made if each["kind"] == "StatefulSet"]
    kubernetes_validate.validate(found, VERSIONS[-1], strict=True)
    (wanted,) = pods("base")
    run_up(wanted)
    pod = found["spec"]["template"]["spec"]
    (mount,) = [e for e in pod["containers"][0]["volumeMounts"] if e["name"] == "snapshot"]
    assert mount.pop("readOnly") is False
    assert pod.pop("initContainers", []) == wanted.pop("initContainers")
    wanted["containers"][0]["image"] = pod["containers"][0]["image"]  # the component's tag
    for each in (pod, wanted):
        each["containers"][0]["volumeMounts"].sort(key=lambda mount: mount["name"])
    assert pod == wanted


def test_deployment_job_is_not_retried_where_that_cannot_help() -> None:
    specs = [
        *(e["spec"] for e in rendered("overlays/job") if e["kind"] == "Job"),
        *(e["spec"]["jobTemplate"]["spec"] for e in rendered("overlays/cronjob")
          if e["kind"] == "CronJob"),
    ]  # fmt: skip
    assert len(specs) == 2
    for spec in specs:
        fail, ignore = spec["podFailurePolicy"]["rules"]
        assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [1, 2, 12])
        assert ignore["action"] == "Ignore"
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
    settings = [e["data"] for e in rendered("overlays/job") if e["kind"] == "ConfigMap"]
    assert {"WARMUP_ON_FAILURE": "fail"}.items() <= settings[-1].items()


def test_deployment_hanging_run_does_not_block_the_next_one() -> None:
    """Forbid waits for a hanging run, such as one without its image, even after a repair."""
    (spec,) = [e["spec"] for e in rendered("overlays/cronjob") if e["kind"] == "CronJob"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["schedule"] == "*/5 * * * *"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 5 * 60


@pytest.mark.parametrize("folder", TRADERS)
def test_deployment_probes_ask_what_the_trader_answers(folder: str) -> None:
    (pod,) = pods(folder)
    (trader,) = pod["containers"]
    port = {each["name"]: str(each["containerPort"]) for each in trader["ports"]}["http"]
    assert {"name": "WARMUP_HTTP_PORT", "value": port} in trader["env"]
    asked = {
        name: trader[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert {each["port"] for each in asked.values()} == {"http"}
    assert [each["path"] for each in asked.values()] == ["/healthz", "/healthz", "/readyz"]
    startup = trader["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    liveness = trader["livenessProbe"]
    assert liveness["failureThreshold"] > 1  # one slow answer is no reason to kill a trader
    found_s = liveness["periodSeconds"] * liveness["failureThreshold"] + liveness["timeoutSeconds"]
    assert found_s + liveness["terminationGracePeriodSeconds"] <= 25  # it does not handle SIGTERM
    assert trader["readinessProbe"]["failureThreshold"] == 1
    assert pod["terminationGracePeriodSeconds"] >= 40  # docs/explanation/trading.md: up to 28 s
    for each in pod["initContainers"]:
        if "startupProbe" in each:  # a process that has to be started, on a fraction of a core
            assert each["startupProbe"]["timeoutSeconds"] >= 3


@pytest.mark.parametrize("folder", ALL)
def test_deployment_config_maps_can_be_loaded(folder: str, tmp_path: Path) -> None:
    """Load the files as they are mounted, with the environment of the containers."""
    (files,) = [e["data"] for e in rendered(folder) if "-files-" in e["metadata"]["name"]]
    (settings,) = [e["data"] for e in rendered(folder) if "-settings-" in e["metadata"]["name"]]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for each in containers(folder):
        if each["args"][0] == "exchange":
            continue
        at = {
            name: value.replace("/etc/warmup-job", str(tmp_path))
            for name, value in settings.items()
        }
        done = subprocess.run(
            [sys.executable, "-m", "warmup_job", "plan"],
            env={"PATH": "/usr/bin:/bin"} | at,
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "BTCUSDT 1m" in done.stdout


def test_deployment_compose_mounts_no_folder_with_keys() -> None:
    """An env_file reaches only its trader; a folder reaches every container that mounts it."""
    files = {each["env_file"] for each in COMPOSED.values() if "env_file" in each}
    assert len(files) == 3
    for name, service in COMPOSED.items():
        assert ("env_file" in service) == name.startswith("trader-")
        for source in (each.partition(":")[0] for each in service.get("volumes", [])):
            for file in files:
                assert (REPO / source) not in (REPO / file).parents


def test_deployment_compose_restricts_its_containers() -> None:
    for service in COMPOSED.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("profile", ["local", "testnet", "demo", "live"])
def test_deployment_compose_profile_has_its_own_volumes_and_its_trader_waits_for_the_job(
    profile: str,
) -> None:
    dash = "" if profile == "local" else f"-{profile}"
    job, trader = COMPOSED[f"warmup{dash}"], COMPOSED[f"trader{dash}"]
    assert job["profiles"] == trader["profiles"] == [profile]
    assert job["volumes"][1:] == [f"snapshot{dash}:/snapshot"]
    assert trader["volumes"][1:] == [f"snapshot{dash}:/snapshot:ro", f"state{dash}:/state"]
    assert trader["depends_on"][f"warmup{dash}"] == {"condition": "service_completed_successfully"}
    assert trader["restart"] == "unless-stopped"
    grace_s = int(trader["stop_grace_period"].removesuffix("s"))
    assert grace_s >= 40  # docs/explanation/trading.md: up to 28 s
    assert trader["healthcheck"]["test"][-1].endswith(":8081/readyz")
    assert trader["healthcheck"]["retries"] == 1  # not live is not healthy, at once
    assert job["environment"].get("WARMUP_DEADLINE") == (None if profile == "local" else "4m")
    assert "WARMUP_DEADLINE" not in trader["environment"]
    venue = {
        "local": None,  # configs/demo.yaml names it
        "testnet": "configs/venues/binance_testnet.yaml",
        "demo": "configs/venues/binance_demo.yaml",
        "live": "configs/venues/binance_futures.yaml",
    }[profile]
    for each in (job, trader):
        assert each["environment"].get("WARMUP_VENUE") == venue
    assert trader["environment"]["WARMUP_MODE"] == ("paper" if profile == "local" else "live")


@pytest.mark.parametrize("profile", ["local", "testnet", "demo", "live"])
def test_deployment_compose_fast_starts_the_trader_with_the_job(profile: str) -> None:
    fast = yaml.safe_load((REPO / "docker-compose.fast.yml").read_text())["services"]
    dash = "" if profile == "local" else f"-{profile}"
    changes = fast[f"trader{dash}"]
    assert changes["depends_on"] == {f"warmup{dash}": {"condition": "service_started"}}
    deadline = COMPOSED[f"warmup{dash}"]["environment"].get("WARMUP_DEADLINE", "1m")
    assert waits_ms(changes["environment"]) > duration_ms(deadline)
    assert changes.keys() == {"environment", "depends_on"}
    # It does not end and has a check, or `up --wait` would take it for a failure.
    job = fast[f"warmup{dash}"]
    assert job["command"] == ["run", "--repeat-every", "5m"]
    assert job["restart"] == "unless-stopped"
    assert job["healthcheck"]["disable"] is False
    assert job["healthcheck"]["test"][-2:] == ["/snapshot/status.json", "900"]
    assert fast.keys() == COMPOSED.keys() - {"exchange"}


def test_deployment_compose_live_profiles_have_a_job_that_fails_without_a_snapshot() -> None:
    """Live trading requires a snapshot, and a job that exited with 0 does not run again."""
    settings = [
        each["data"] for folder in ALL if "checks/" not in folder
        for each in rendered(folder) if "data" in each
    ] + [each.get("environment", {}) for each in COMPOSED.values()]  # fmt: skip
    live = [each for each in settings if each.get("WARMUP_MODE") == "live"]
    assert len(live) == 5
    assert {each["WARMUP_ON_FAILURE"] for each in live} == {"fail"}
    for name, service in COMPOSED.items():
        if name.startswith("warmup-"):
            assert service["environment"]["WARMUP_ON_FAILURE"] == "fail"


def test_deployment_dockerfile_passes_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", REPO / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "# syntax=" not in (REPO / "Dockerfile").read_text()
