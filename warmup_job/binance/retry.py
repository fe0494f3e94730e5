"""Decide whether and when to retry: a pure function (docs/reference/refusals.md)."""

from __future__ import annotations

from warmup_job.errors import (
    DataInvalidError,
    ExchangeUnreachableError,
    NotTheExchangeError,
    RateLimitedError,
    WarmupError,
)

MAX_ATTEMPTS = 6
"""Attempts for invalid data. An unreachable exchange is retried until the deadline."""
FIRST_WAIT_MS = 250
LONGEST_WAIT_MS = 4_000
"""The longest doubled wait, before the jitter of ±50 %."""
LAST_TRY_MS = 500
"""An unreachable exchange gets its last request this long before the deadline."""
_MIN_LIMIT_WAIT_MS = 1_000  # some answers say 0, and an immediate retry makes bans longer
_SPREAD_MS = 500  # so that bots with the same end of a ban do not all retry at once


def wait_ms(
    error: WarmupError, attempt: int, now_ms: int, deadline_ms: int, jitter: float
) -> int | None:
    """Return the wait before the next attempt, in ms; None: give up and raise ``error``.

    - A rate limit or ban: wait until its end, if that is before the deadline.
    - An unreachable exchange: retry until the deadline, with waits that double up to
      `LONGEST_WAIT_MS`, and a last time `LAST_TRY_MS` before it.
    - Invalid data: `MAX_ATTEMPTS` attempts.
    - Any other error: give up.

    Args:
        error: The error of the last attempt.
        attempt: The number of attempts so far, at least 1.
        now_ms: UTC ms on this machine's clock.
        deadline_ms: UTC ms on this machine's clock.
        jitter: A random number in [0, 1).
    """
    if isinstance(error, RateLimitedError):
        remaining = (error.until_ms or now_ms) - now_ms
        wait = max(_MIN_LIMIT_WAIT_MS, remaining) + round(_SPREAD_MS * jitter)
    elif isinstance(error, NotTheExchangeError):
        return None
    elif isinstance(error, ExchangeUnreachableError):
        wait = min(_doubled(attempt, jitter), max(0, deadline_ms - LAST_TRY_MS - now_ms))
        return wait or None
    elif isinstance(error, DataInvalidError) and attempt < MAX_ATTEMPTS:
        wait = _doubled(attempt, jitter)
    else:
        return None
    return wait if now_ms + wait < deadline_ms else None


def _doubled(attempt: int, jitter: float) -> int:
    doubled = FIRST_WAIT_MS << min(attempt - 1, 16)
    return round(min(doubled, LONGEST_WAIT_MS) * (0.5 + jitter))
