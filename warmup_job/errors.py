"""Define the error tree: one class per kind of failure, named after who must act.

Each class carries the process exit code that docs/reference/exit-codes.md promises. A message is
one line that says what happened and what to do. It contains no secret, so it can be logged as is.
"""

from __future__ import annotations


def help_page(exit_code: int) -> str:
    """Return the section of the documentation about an exit code."""
    return f"docs/troubleshooting.md#exit-{exit_code}"


class WarmupError(Exception):
    """Root of the tree. Raised directly only for a bug (exit code 1)."""

    exit_code = 1
    remember_until_ms: int | None = None
    """UTC ms before which no process on this volume may send a request; None: no restriction."""
    may_proceed = False
    """Whether ``warmup.on_failure: proceed`` turns this error into exit code 0."""

    @property
    def help_page(self) -> str:
        """The section of the documentation about this error, for a person to look up."""
        return help_page(self.exit_code)


class ConfigError(WarmupError):
    """A file, an option or a variable is wrong; the user must correct it (2)."""

    exit_code = 2


class ExchangeUnreachableError(WarmupError):
    """The exchange sent no usable answer; retry later (10)."""

    exit_code = 10
    may_proceed = True


class NotTheExchangeError(ExchangeUnreachableError):
    """Something between us and the exchange answered; somebody must check the network (10).

    Examples: a redirect, an endless answer, an invalid certificate, a proxy that rejects the login.
    A retry does not help.
    """


class RateLimitedError(WarmupError):
    """The exchange limits or bans this IP; wait (11).

    Attributes:
        until_ms: UTC ms from which requests are allowed again; None: the exchange did not say.
    """

    exit_code = 11
    may_proceed = True

    def __init__(self, message: str, *, until_ms: int | None = None) -> None:
        super().__init__(message)
        self.until_ms = until_ms
        self.remember_until_ms = until_ms


class RefusedError(WarmupError):
    """The exchange refuses permanently: location, symbol or interval (12)."""

    exit_code = 12
    may_proceed = True


class BlockedError(RefusedError):
    """The exchange refuses every request of this client: firewall or restricted location (12).

    Attributes:
        until_ms: no request is sent before this time (this machine's clock, UTC ms).
    """

    def __init__(self, message: str, *, until_ms: int, remember: bool) -> None:
        super().__init__(message)
        self.until_ms = until_ms
        self.remember_until_ms = until_ms if remember else None


class UnknownSymbolError(RefusedError):
    """The exchange does not list the symbol; the user must correct it (12)."""


class DataInvalidError(WarmupError):
    """The data is incomplete or invalid beyond what the policy allows (13)."""

    exit_code = 13
    may_proceed = True


class NotConvergedError(WarmupError):
    """The strategy cannot be proven warm, and the policy requires it (14)."""

    exit_code = 14
    may_proceed = True


class VolumeError(WarmupError):
    """The snapshot volume cannot be written or locked (15).

    Attributes:
        errno: the operating system's error number; None: the cause is not a system call.
    """

    exit_code = 15
    may_proceed = True

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class UnusableVolumeError(VolumeError):
    """The volume's setup prevents writing; detected before the first request (15).

    Every later run would fail too, so ``on_failure: proceed`` does not hide it.
    """

    may_proceed = False


class DeadlineError(WarmupError):
    """The run exceeded its deadline (16)."""

    exit_code = 16
    may_proceed = True


class SnapshotError(WarmupError):
    """The snapshot is missing, corrupt, stale, or was made for other settings (20).

    Attributes:
        problems: every problem found, one line each.
    """

    exit_code = 20

    def __init__(self, message: str, *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)


class TraderError(WarmupError):
    """The trader could not start, or lost its exchange permanently (21)."""

    exit_code = 21


class LiveRefusedError(WarmupError):
    """A requirement of live trading is not met (22)."""

    exit_code = 22


class StoppedError(WarmupError):
    """SIGTERM or SIGINT ended the run; nothing is half-published (143)."""

    exit_code = 143
