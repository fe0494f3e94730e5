"""What to do about an error: a pure function of (error, attempt, now) (docs/refusals.md)."""

from __future__ import annotations

from warmup_job.errors import (
    DataInvalidError,
    ExchangeUnreachableError,
    NotTheExchangeError,
    RateLimitedError,
    WarmupError,
)

MAX_ATTEMPTS = 6
"""How often data that cannot be used are asked for. An exchange that is away has no such limit."""
FIRST_WAIT_MS = 250
LONGEST_WAIT_MS = 4_000
"""Where the doubling ends, before the spread of half as much either way."""
LAST_TRY_MS = 500
"""How long before the deadline an exchange that is away is asked for the last time."""
_LEAST_LIMIT_WAIT_MS = 1_000  # some answers say 0: asking at once is how bans grow
_SPREAD_MS = 500  # bots that were told the same moment do not come back in the same one


def wait_ms(
    error: WarmupError, attempt: int, now_ms: int, deadline_ms: int, jitter: float
) -> int | None:
    """Return how long to wait before asking again, in ms; None: give up and raise ``error``.

    A rate limit or a ban is waited out if the deadline allows. An exchange that cannot be reached
    is asked again until the deadline, with waits that double up to `LONGEST_WAIT_MS`, the last
    time `LAST_TRY_MS` before it; invalid data `MAX_ATTEMPTS` times. The rest is final.

    Args:
        attempt: how many times this was asked already, from 1.
        now_ms, deadline_ms: UTC ms on this machine's clock.
        jitter: in [0, 1).
    """
    if isinstance(error, RateLimitedError):
        asked = (error.until_ms or now_ms) - now_ms
        wait = max(_LEAST_LIMIT_WAIT_MS, asked) + round(_SPREAD_MS * jitter)
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
