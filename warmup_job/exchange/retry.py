"""What to do about an error: a pure function of (error, attempt, now) (docs/refusals.md)."""

from __future__ import annotations

from warmup_job.errors import (
    DataInvalidError,
    ExchangeUnreachableError,
    RateLimitedError,
    WarmupError,
)

MAX_ATTEMPTS = 6
FIRST_WAIT_MS = 250
_LEAST_LIMIT_WAIT_MS = 1_000  # some answers say 0: asking at once is how bans grow
_SPREAD_MS = 500  # bots that were told the same moment do not come back in the same one


def wait_ms(
    error: WarmupError, attempt: int, now_ms: int, deadline_ms: int, jitter: float
) -> int | None:
    """How long to wait before asking again, in ms; None: give up and raise ``error``.

    A rate limit or a ban is waited out if the deadline allows. What passes (no connection, 5xx,
    malformed answers) is tried `MAX_ATTEMPTS` times, with waits that double. The rest is final.

    Args:
        attempt: how many times this was asked already, from 1.
        now_ms, deadline_ms: UTC ms on this machine's clock.
        jitter: in [0, 1).
    """
    if isinstance(error, RateLimitedError):
        asked = (error.until_ms or now_ms) - now_ms
        wait = max(_LEAST_LIMIT_WAIT_MS, asked) + round(_SPREAD_MS * jitter)
    elif isinstance(error, ExchangeUnreachableError | DataInvalidError) and attempt < MAX_ATTEMPTS:
        wait = round(FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + jitter))
    else:
        return None
    return wait if now_ms + wait < deadline_ms else None
