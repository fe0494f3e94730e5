"""Containers of the image, as it is shipped, on a Docker Engine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.suite import REPO

LABEL = "warmup-job.test"
FAULTS = """
import sys, urllib.request as u
method, path, body = sys.argv[1:]
request = u.Request("http://127.0.0.1:8080/_sim/" + path, body.encode() or None, method=method)
print(u.urlopen(request, timeout=5).read().decode())
"""
AS_SHIPPED = {  # how docker-compose.yml and k8s run it
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


@dataclass(frozen=True)
class Done:
    """How a container ended."""

    code: int
    out: str
    err: str
    oom: bool

    @property
    def messages(self) -> list[str]:
        """The log's messages; a line that is no JSON fails."""
        return [str(json.loads(line)["message"]) for line in self.err.splitlines()]

    @property
    def json(self) -> Any:
        """The result, parsed."""
        return json.loads(self.out)


@dataclass
class Engine:
    """Runs the image as shipped: read-only, without capabilities, in a closed network."""

    client: Any
    image: str
    session: str
    network: Any
    begun: list[Any] = field(default_factory=list)

    def start(self, *command: str, **options: Any) -> Any:
        """Start a container; it is removed when the test ends."""
        environment = {"WARMUP_CONFIG": "configs/demo.yaml", "WARMUP_ON_FAILURE": "fail"}
        environment |= {
            "WARMUP_EXCHANGE_URL": "http://exchange:8080",
            "WARMUP_EXCHANGE_WS_URL": "ws://exchange:8080",
        }
        environment |= options.pop("environment", {})
        settings = AS_SHIPPED | {"network": self.network.name} | options
        container = self.client.containers.create(
            settings.pop("image", self.image), list(command), environment=environment,
            labels={LABEL: self.session}, **settings,
        )  # fmt: skip
        self.begun.append(container)
        container.start()
        return container

    def run(self, *command: str, within_s: float = 90, **options: Any) -> Done:
        """Run a container to its end."""
        return self.end(self.start(*command, **options), within_s)

    def end(self, container: Any, within_s: float = 90) -> Done:
        """Wait for a container to end."""
        code = container.wait(timeout=within_s)["StatusCode"]
        container.reload()
        return Done(
            code,
            container.logs(stdout=True, stderr=False).decode(),
            container.logs(stdout=False, stderr=True).decode(),
            bool(container.attrs["State"]["OOMKilled"]),
        )

    def volume(self, **options: Any) -> str:
        """Create a volume and return its name."""
        return str(self.client.volumes.create(labels={LABEL: self.session}, **options).name)

    def look(self, volume: str, code: str, user: str = "10001:0") -> str:
        """Run a line of Python with the volume at /snapshot; return its output."""
        done = self.run(
            "-c", code, entrypoint="python", user=user, volumes=mounts(volume), network="none",
            network_disabled=True,
        )  # fmt: skip
        assert done.code == 0, done.err
        return done.out.strip()

    def snapshots(self, volume: str) -> list[str]:
        """The snapshots on a volume, oldest first."""
        printed = self.look(
            volume, "import os; print(*sorted(os.listdir('/snapshot/snapshots')), sep='\\n')"
        )
        return printed.split()

    def clear(self) -> None:
        """Remove all containers and volumes."""
        for container in self.begun:
            container.remove(force=True, v=True)
        self.begun.clear()


@dataclass(frozen=True)
class ExchangeContainer:
    """The local exchange, from the same image."""

    container: Any

    def ask(self, method: str, path: str, body: str = "") -> Any:
        """Call its control port for tests from inside; no port is published."""
        code, output = self.container.exec_run(["python", "-c", FAULTS, method, path, body])
        assert code == 0, output
        return json.loads(output)

    def fault(self, spec: str) -> None:
        """Add a fault."""
        self.ask("POST", "faults", spec)

    def mend(self) -> None:
        """Remove all faults."""
        self.ask("DELETE", "faults")


def mounts(snapshot: str, mode: str = "rw", **others: str) -> dict[str, dict[str, str]]:
    """Return the mounts of a snapshot volume and of other volumes, by the name of their path."""
    made = {snapshot: {"bind": "/snapshot", "mode": mode}}
    return made | {name: {"bind": f"/{at}", "mode": "rw"} for at, name in others.items()}


def wait_until(container: Any, word: str, within_s: float = 60) -> str:
    """Wait until the container's log has the word; return the log."""
    deadline = time.monotonic() + within_s
    while True:
        log = str(container.logs().decode())
        if word in log:
            return log
        container.reload()
        assert container.status != "exited", log
        assert time.monotonic() < deadline, log
        time.sleep(0.1)


def command(*arguments: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> Any:
    """Run a command on the host to its end."""
    return subprocess.run(
        arguments,
        cwd=cwd,
        env=os.environ | {"BUILDKIT_PROGRESS": "plain"} | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def checked(*arguments: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> str:
    """Run a command that must succeed; return its stdout."""
    done = command(*arguments, env=env, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def health(*url: str) -> dict[str, Any]:
    """A health check that looks every half second."""
    ns = 1_000_000_000
    test: Sequence[str] = ["CMD", "python", "-m", "warmup_job.process.healthcheck", *url]
    return {"test": test, "interval": ns // 2, "timeout": 3 * ns, "start_period": 60 * ns}


def wait_until_healthy(container: Any, wanted: str = "healthy", within_s: float = 60) -> None:
    """Wait until the engine's health check reports healthy."""
    deadline = time.monotonic() + within_s
    while True:
        container.reload()
        if container.attrs["State"]["Health"]["Status"] == wanted:
            return
        assert container.status == "running", container.logs().decode()
        assert time.monotonic() < deadline, container.attrs["State"]["Health"]
        time.sleep(0.2)


ENDS = {  # by exit code: its environment and its fault
    2: ({"WARMUP_REQUIRE": "luck"}, ""),
    10: ({"WARMUP_EXCHANGE_URL": "http://exchange:9", "WARMUP_DEADLINE": "8s"}, ""),
    11: ({}, "418@/fapi/*:for=600s"),
    12: ({"WARMUP_STREAMS": "NOPEUSDT:1m:70"}, ""),
    13: ({}, "nan@klines"),
    14: ({"WARMUP_STREAMS": "BTCUSDT:1m:70"}, ""),
    16: ({"WARMUP_DEADLINE": "2s"}, "stall@klines"),
}
