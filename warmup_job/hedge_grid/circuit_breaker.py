"""The circuit breaker: no entries for a while after too many order errors. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from warmup_job.market.times import NS_PER_S


class CircuitBreaker(msgspec.Struct):
    """Opens when a window has too many errors, and closes after a cooldown."""

    errors_per_minute: int
    """The rate of errors at which it opens."""
    window_seconds: int
    cooldown_seconds: int
    open_until_ns: int = 0
    _errors_ns: deque[int] = msgspec.field(default_factory=deque)

    def count_error(self, now_ns: int) -> bool:
        """Count an error; return True if this one opens the breaker."""
        if self.is_open(now_ns):
            return False
        self._errors_ns.append(now_ns)
        while self._errors_ns[0] <= now_ns - self.window_seconds * NS_PER_S:
            self._errors_ns.popleft()
        if len(self._errors_ns) * 60 < self.errors_per_minute * self.window_seconds:
            return False
        self._errors_ns.clear()
        self.open_until_ns = now_ns + self.cooldown_seconds * NS_PER_S
        return True

    def restore(self, open_until_ns: int, now_ns: int) -> None:
        """Stay open as long as an earlier run has decided, at most for a cooldown from now on.

        Args:
            open_until_ns: The saved end, Unix ns. A past one changes nothing.
            now_ns: The time now, Unix ns.
        """
        self.open_until_ns = min(open_until_ns, now_ns + self.cooldown_seconds * NS_PER_S)

    def is_open(self, now_ns: int) -> bool:
        """Return whether the breaker blocks entries at ``now_ns`` (Unix ns)."""
        return now_ns < self.open_until_ns
