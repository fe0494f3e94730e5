"""A process that runs, and its log with one JSON object a line."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.suite import HANG_S
from tests.support.waiting import until


@dataclass(frozen=True)
class LoggingProcess:
    """A process and its log."""

    process: Any
    log: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's lines of an event."""
        lines = [line for line in self.log.read_text().splitlines() if line[:1] == "{"]
        return [line for line in map(json.loads, lines) if line.get("event") == name]

    def until(self, event: str, **fields: str) -> dict[str, Any]:
        """Wait for a line of an event with these fields, and return it."""
        found: list[dict[str, Any]] = []

        def logged() -> bool:
            found[:] = [each for each in self.events(event) if fields.items() <= each.items()]
            return bool(found)

        until(logged, lambda: f"{event} {fields}\n{self.log.read_text()}", process=self.process)
        return found[0]

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; return its exit code."""
        self.process.send_signal(number)
        return int(self.process.wait(HANG_S))
