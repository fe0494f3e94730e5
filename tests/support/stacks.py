"""A compose project of a test's own."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.containers import checked, command
from tests.support.suite import HANG_S


@dataclass(frozen=True)
class Stack:
    """A copy of what a user has, as a compose project of its own."""

    folder: Path
    env: dict[str, str]

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command, whatever comes of it."""
        done: subprocess.CompletedProcess[str] = command(
            "docker", "compose", *arguments, env=self.env, cwd=self.folder
        )
        return done

    def do(self, *arguments: str) -> str:
        """One command, which must succeed."""
        return checked("docker", "compose", *arguments, env=self.env, cwd=self.folder)

    def services(self) -> dict[str, Any]:
        """Each service's container as compose lists it."""
        lines = self.do("ps", "-a", "--format", "json").splitlines()
        return {each["Service"]: each for each in map(json.loads, lines)}

    def report(self) -> Any:
        """What the trader says on this machine's port."""
        url = f"http://127.0.0.1:{self.env['TRADER_PORT']}/readyz"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def wait_until_healthy(self, within_s: float = HANG_S) -> None:
        """Until compose calls the trader healthy."""
        deadline = time.monotonic() + within_s
        while self.services()["trader"]["Health"] != "healthy":
            assert time.monotonic() < deadline, self.do("logs")
            time.sleep(0.3)


def free_port() -> int:
    """Return a port of this machine that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
