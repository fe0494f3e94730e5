"""The error tree: one class for each thing that can stop a run, named for who must act.

Each class carries the process exit code of the public contract (docs/exit-codes.md). A message is
one line that says what happened and what to do; it never holds a secret, so it can be shown as is.
"""

from __future__ import annotations


class WarmupError(Exception):
    """The root. Raised itself only for what must not happen: a bug (exit code 1)."""

    exit_code = 1
    remember_until_ms: int | None = None
    """Until when no process on this volume may send anything, UTC ms; None: there is no limit."""
    may_proceed = False
    """Whether ``warmup.on_failure: proceed`` lets a run end with 0 all the same."""


class ConfigError(WarmupError):
    """A file or an option is wrong: the user edits it (2)."""

    exit_code = 2


class ExchangeUnreachableError(WarmupError):
    """No usable answer came from the exchange: try again (10)."""

    exit_code = 10
    may_proceed = True


class NotTheExchangeError(ExchangeUnreachableError):
    """A redirect, an endless answer, a bad certificate, a proxy that wants another password.

    Asking again changes nothing; somebody has to look at the network (10).
    """


class RateLimitedError(WarmupError):
    """The exchange wants us to wait (11)."""

    exit_code = 11
    may_proceed = True

    def __init__(self, message: str, *, until_ms: int | None = None) -> None:
        super().__init__(message)
        self.until_ms = until_ms
        """When asking is allowed again, UTC ms, as far as the exchange said."""
        self.remember_until_ms = until_ms


class RefusedError(WarmupError):
    """The exchange says no and will not change its mind: location, symbol, interval (12)."""

    exit_code = 12
    may_proceed = True


class BlockedError(RefusedError):
    """The exchange refuses this client, whatever it asks for: its firewall or its country (12)."""

    def __init__(self, message: str, *, until_ms: int, remember: bool) -> None:
        super().__init__(message)
        self.until_ms = until_ms
        """Nothing is sent before this time (this machine's clock, UTC ms)."""
        self.remember_until_ms = until_ms if remember else None


class UnknownSymbolError(RefusedError):
    """The exchange does not list the symbol: somebody corrects it (12)."""


class DataInvalidError(WarmupError):
    """What came is incomplete or not to be believed, beyond what the policy allows (13)."""

    exit_code = 13
    may_proceed = True


class NotConvergedError(WarmupError):
    """The strategy cannot be shown to be warm, and the policy demands it (14)."""

    exit_code = 14
    may_proceed = True


class VolumeError(WarmupError):
    """The snapshot volume cannot be written, or its lock not had (15)."""

    exit_code = 15
    may_proceed = True

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        """What the operating system said, where it was asked."""


class UnusableVolumeError(VolumeError):
    """The volume is set up so that it cannot be written, seen before anything is fetched (15).

    Every later run would fail too, so ``on_failure: proceed`` does not hide it.
    """

    may_proceed = False


class DeadlineError(WarmupError):
    """The time allowed for the run is over (16)."""

    exit_code = 16
    may_proceed = True


class SnapshotError(WarmupError):
    """The snapshot is missing, corrupt, stale, or made for something else (20)."""

    exit_code = 20

    def __init__(self, message: str, *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)
        """Every problem that was found, one line each."""


class TraderError(WarmupError):
    """The trader could not come up, or lost its exchange for good (21)."""

    exit_code = 21


class LiveRefusedError(WarmupError):
    """Live trading lacks something that it demands (22)."""

    exit_code = 22


class StoppedError(WarmupError):
    """SIGTERM or SIGINT ended the run; nothing is half-published (143)."""

    exit_code = 143
