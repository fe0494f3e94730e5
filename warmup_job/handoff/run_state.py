"""The state that a run is in: which, why, since when, and when it was live for the first time."""

from __future__ import annotations

from warmup_job.handoff.reporting.report import State


class RunState:
    """What is known about a run as a whole. Times are UTC ms by this machine's clock.

    Args:
        started_ms: when the process started.
        now_ms: when the run was made.
    """

    def __init__(self, started_ms: int, now_ms: int) -> None:
        self.state: State = "starting"
        self.why = ""
        self.last_reason = ""
        """The last state before it stopped, and why."""
        self.started_ms = started_ms
        self.since_ms = now_ms
        """Since when it is in this state."""
        self.live_after_s: float | None = None
        """Seconds from the process' start until it was live for the first time."""
        self.started_warm: bool | None = None
        """Whether the history alone was enough; None: it has not been delivered yet."""

    def enter(self, state: State, why: str, now_ms: int) -> bool:
        """Note the state and the reason.

        Returns:
            Whether it is another state than before; the reason alone may have changed.
        """
        if state != "stopping":
            self.last_reason = f"{state}: {why}"
        self.why = why
        if state == self.state:
            return False
        self.state, self.since_ms = state, now_ms
        if state == "live" and self.live_after_s is None:
            self.live_after_s = (now_ms - self.started_ms) / 1000
        return True
