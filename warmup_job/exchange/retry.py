"""What to do about an error: a pure function of (error, attempt, now), so that it can be tested.

| error | answer |
|---|---|
| rate limited or banned (429, 418) | wait for Retry-After if the deadline allows, else give up |
| refused (403, 451, unknown symbol or interval) | give up at once |
| anything passing: 5xx, timeout, reset, malformed answer | wait 0.25 s · 2ⁿ, jittered, 6 tries |
"""

from __future__ import annotations

from warmup_job.errors import (
    DataInvalidError,
    ExchangeUnreachableError,
    RateLimitedError,
    WarmupError,
)

MAX_ATTEMPTS = 6
_FIRST_WAIT_MS = 250
_UNKNOWN_LIMIT_WAIT_MS = 60_000  # the budget's window, where a 429 does not say how long


def wait_ms(
    error: WarmupError, attempt: int, now_ms: int, deadline_ms: int, jitter: float
) -> int | None:
    """How long to wait before asking again, in ms; None: give up and raise ``error``.

    Args:
        attempt: how many times this was asked already, from 1.
        now_ms, deadline_ms: UTC ms on one clock.
        jitter: in [0, 1), spreads bots that restart together.
    """
    if isinstance(error, RateLimitedError):
        until_ms = error.until_ms or now_ms + _UNKNOWN_LIMIT_WAIT_MS
        wait = max(0, until_ms - now_ms) + round(500 * jitter)
    elif isinstance(error, ExchangeUnreachableError | DataInvalidError):
        if attempt >= MAX_ATTEMPTS:
            return None
        wait = round(_FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + jitter))
    else:
        return None
    return wait if now_ms + wait < deadline_ms else None
