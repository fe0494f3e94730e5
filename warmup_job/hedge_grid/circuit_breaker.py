"""When the strategy stops itself: too many errors, or too much lost. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class CircuitBreaker:
    """Opens on too many errors within a window, and closes after a cooldown."""

    errors_per_minute: int
    window_seconds: int
    cooldown_seconds: int
    open_until_ns: int = 0
    _errors_ns: deque[int] = field(default_factory=deque)

    def error(self, now_ns: int) -> bool:
        """Count an error; True: it is the one that opens the breaker."""
        if self.is_open(now_ns):
            return False
        self._errors_ns.append(now_ns)
        while self._errors_ns[0] <= now_ns - self.window_seconds * _SECOND_NS:
            self._errors_ns.popleft()
        if len(self._errors_ns) * 60 < self.errors_per_minute * self.window_seconds:
            return False
        self._errors_ns.clear()
        self.open_until_ns = now_ns + self.cooldown_seconds * _SECOND_NS
        return True

    def is_open(self, now_ns: int) -> bool:
        """Whether no entry may leave."""
        return now_ns < self.open_until_ns


def drawdown_pct(capital: Decimal, peak: Decimal, profit: Decimal) -> Decimal:
    """How much of what there was at the best time is lost since, in percent.

    Args:
        capital: what the strategy began with; peak and profit are counted from there.
    """
    most = capital + peak
    return (peak - profit) / most * 100 if most > 0 else Decimal(0)
