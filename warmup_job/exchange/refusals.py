"""What an answer means: each refusal told apart, in our own errors (docs/refusals.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from warmup_job.errors import (
    ExchangeUnreachableError,
    RateLimitedError,
    RefusedError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.market.moment import utc_text

UNKNOWN_SYMBOL, UNKNOWN_INTERVAL, ILLEGAL_CHARACTERS = -1121, -1120, -1100
TOO_MANY_REQUESTS = -1003
_SECONDS = re.compile(r"[0-9]{1,7}", re.ASCII)  # a ban lasts three days at the most
_PASSING_4XX = frozenset({404, 408, 425})
DEFAULT_WAIT_MS = 60_000
"""The budget's window: how long to be quiet where a 429 or 418 does not say."""


def refusal(
    url: str, status: int, code: object, headers: Mapping[str, str], now_ms: int
) -> WarmupError:
    """The error for an answer of HTTP ``status`` (not 200) with Binance's ``code``.

    Args:
        headers: with names in lower case.
        now_ms: this machine's clock, UTC ms; ``until_ms`` of a RateLimitedError is on it too.
    """
    if status in {418, 429} or code == TOO_MANY_REQUESTS:
        asked = headers.get("retry-after", "")
        wait_ms = int(asked) * 1000 if _SECONDS.fullmatch(asked) else DEFAULT_WAIT_MS
        what = "has banned this IP" if status == 418 else "limits this IP's rate"
        return RateLimitedError(
            f"{url} {what} until {utc_text(now_ms + wait_ms)} (HTTP {status}): wait until then, "
            "and see what else behind this IP asks it",
            until_ms=now_ms + wait_ms,
        )
    if status == 451:
        return RefusedError(
            f"{url} does not serve this location (HTTP 451): run in another region, use the "
            "testnet or demo (api.environment), or set HTTPS_PROXY"
        )
    if status == 403:
        return RefusedError(
            f"{url} refuses this client (HTTP 403, its firewall): change the IP or set HTTPS_PROXY"
        )
    if code == UNKNOWN_SYMBOL:
        return UnknownSymbolError(f"{url} does not list the symbol (code {code}): correct it")
    if code == ILLEGAL_CHARACTERS:
        return UnknownSymbolError(
            f"{url} finds characters in the request that no symbol has (code {code}): symbols are "
            "written in capitals, as BTCUSDT"
        )
    if code == UNKNOWN_INTERVAL:
        return RefusedError(f"{url} does not offer the interval (code {code}): correct it")
    if 400 <= status < 500 and status not in _PASSING_4XX:
        return RefusedError(f"{url} refused the request (HTTP {status}, code {code})")
    return ExchangeUnreachableError(f"{url} answered HTTP {status}: it is in trouble, try later")
