"""An overlay as Podman plays it: the demo overlay, or another one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.containers import checked, command
from tests.support.manifests import rendered
from tests.support.waiting import until

NAMED = {
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
}  # podman plays none of these kinds


@dataclass
class Pods:
    """Objects of an overlay, with names that are unique to this test."""

    folder: Path
    image: str
    suffix: str
    overlay: str = "overlays/demo"
    network: str = ""
    """A network of podman's; empty: its own for `kube play`."""
    played: list[Path] = field(default_factory=list)

    def play(self, documents: list[Any]) -> subprocess.CompletedProcess[str]:
        """Run `podman kube play` on these objects."""
        path = self.folder / f"{len(self.played)}.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        self.played.append(path)
        network = ("--network", self.network) if self.network else ()
        done: subprocess.CompletedProcess[str] = command(
            "podman", "kube", "play", *network, str(path)
        )
        return done

    def name(self, of: str) -> str:
        """Return a name that is unique on this engine."""
        return f"{of}-{self.suffix}"

    def pod(self, **settings: str) -> list[Any]:
        """Return the overlay without its exchange, with these settings for its containers."""
        documents = [each for each in rendered(self.overlay) if each["kind"] not in NAMED]
        (stateful_set,) = [each for each in documents if each["kind"] == "StatefulSet"]
        pod = _pod_of(stateful_set, self.name("trader"))
        documents[documents.index(stateful_set)] = pod
        note = "io.podman.annotations.init.container.type"
        pod["metadata"]["annotations"][note] = "always"  # keeps its log
        spec = pod["spec"]
        spec["initContainers"] = [e for e in spec["initContainers"] if e["name"] == "warmup"]
        self.adapt(spec, settings)
        return documents

    def adapt(self, pod: Any, settings: dict[str, str]) -> None:
        """Set this test's image, exchange, volumes and settings."""
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
            if "emptyDir" in each:  # podman shares volumes of one name between pods
                renamed = self.name(each["name"])
                for container in pod.get("initContainers", []) + pod["containers"]:
                    for mount in container["volumeMounts"]:
                        if mount["name"] == each["name"]:
                            mount["name"] = renamed
                each["name"] = renamed

    def exchange(self, *faults: str) -> None:
        """Start the overlay's exchange container in a separate pod."""
        (stateful_set,) = [e for e in rendered(self.overlay) if e["kind"] == "StatefulSet"]
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
        """Return its stdout and stderr."""
        done = command("podman", "logs", container)
        return str(done.stdout + done.stderr)

    def clear(self) -> None:
        """Remove all pods and volumes."""
        for path in reversed(self.played):
            command("podman", "kube", "down", "--force", str(path))


def _pod_of(stateful_set: Any, name: str) -> Any:
    """Return the pod that a cluster would create from this object."""
    template = stateful_set["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"] | {"name": name},
        "spec": template["spec"],
    }


def run_up(pod: Any) -> None:
    """Let the trader's container run the job too, and be the pod's only one."""
    pod["initContainers"] = []
    (trader,) = pod["containers"]
    trader["args"] = ["up"]
    (mount,) = [each for each in trader["volumeMounts"] if each["mountPath"] == "/snapshot"]
    del mount["readOnly"]


def load_into_podman(image: str, folder: Path) -> str:
    """Copy an image from Docker into podman's own store; return its name there.

    Args:
        image: Its name in Docker.
        folder: Where there is room for it until it is copied.
    """
    archive = folder / "image.tar"
    checked("docker", "save", "-o", str(archive), image)
    checked("podman", "load", "-q", "-i", str(archive))
    archive.unlink()
    return f"docker.io/library/{image}"
