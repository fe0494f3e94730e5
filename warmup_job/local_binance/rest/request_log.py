"""The log of requests that the exchange has received, for tests."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from warmup_job.local_binance.faults.fault_spec import Fault

_KEPT_REQUESTS = 10_000


class LoggedRequest(msgspec.Struct, frozen=True):
    """A logged request whose status is still to be set."""

    entry: dict[str, Any]
    by_status: Counter[str]

    def ended(self, status: int | None) -> None:
        """Set the status of the answer; None: the client got no answer."""
        self.entry["status"] = status
        self.by_status["none" if status is None else str(status)] += 1


class RequestLog(msgspec.Struct):
    """The newest requests and counts of all, without secrets."""

    conceal: Callable[[str, Mapping[str, str]], tuple[str, dict[str, str]]]
    """Removes keys, secrets and signatures from a path and its parameters."""
    recent: deque[dict[str, Any]] = msgspec.field(
        default_factory=lambda: deque(maxlen=_KEPT_REQUESTS)
    )
    by_path: Counter[str] = msgspec.field(default_factory=Counter)
    by_status: Counter[str] = msgspec.field(default_factory=Counter)
    weight: int = 0
    _began_s: float = msgspec.field(default_factory=time.monotonic)

    def begin(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        weight: int,
        at_ms: int,
        faults: Iterable[Fault],
    ) -> LoggedRequest:
        """Log a request on its arrival, before a fault can delay or drop it.

        Args:
            method: The HTTP method.
            path: The path.
            params: The parameters.
            weight: Its request weight.
            at_ms: The exchange's time, UTC ms.
            faults: The faults that hit it.
        """
        path, shown = self.conceal(path, params)
        entry = {
            "time": at_ms,
            "arrived": round((time.monotonic() - self._began_s) * 1000, 3),
            "method": method,
            "path": path,
            "params": shown,
            "weight": weight,
            "status": None,
            "fault": "+".join(fault.kind for fault in faults) or None,
        }
        self.recent.append(entry)
        self.by_path[path] += 1
        self.weight += weight
        return LoggedRequest(entry, self.by_status)

    def clear(self) -> None:
        """Drop all requests and counts; requests without an answer yet are not counted later."""
        self.recent.clear()
        self.by_path.clear()
        self.by_status = Counter()
        self.weight = 0
