"""What an answer means: each refusal told apart, in our own errors (docs/refusals.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from warmup_job.errors import (
    BlockedError,
    DataInvalidError,
    ExchangeUnreachableError,
    NotTheExchangeError,
    RateLimitedError,
    RefusedError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.market.times import utc_text

UNKNOWN_SYMBOL, UNKNOWN_INTERVAL, ILLEGAL_CHARACTERS = -1121, -1120, -1100
SYMBOL_STATUS, TOO_MANY_REQUESTS = -1122, -1003
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_BANNED_UNTIL = re.compile(r"\bbanned until ([0-9]{13})\b", re.ASCII | re.IGNORECASE)
_PASSING_4XX = frozenset({404, 408, 425})
DEFAULT_WAIT_MS = 60_000
"""The budget's window: how long to be quiet where a 429 or 418 does not say."""
BLOCK_MS = 600_000
"""How long Binance's firewall keeps blocking, about; it does not say."""
LONGEST_BAN_MS = 3 * 24 * 3_600_000
"""Binance's longest ban. Whoever asks for a longer wait is not believed."""

_MOST_SHOWN = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+", re.ASCII)
# URLs (they can hold a signature), and what is long enough to be a key or a signature.
_SECRET = re.compile(
    r"\b\w+://\S*|\b(?:signature|api_?key|secret|listen_?key)\s*[=:]\s*\S+|[A-Za-z0-9+/_-]{32,}",
    re.ASCII | re.IGNORECASE,
)


def refusal(
    url: str,
    status: int,
    code: object,
    headers: Mapping[str, str],
    now_ms: int,
    *,
    message: object = None,
    server_ms: int | None = None,
) -> WarmupError:
    """Return the error for an answer of HTTP ``status`` (not 200) with Binance's ``code``.

    Args:
        headers: with names in lower case.
        now_ms: this machine's clock, UTC ms; every ``until_ms`` is on it too.
        message: Binance's ``msg``; it is shown, cleaned by `shown`.
        server_ms: the exchange's clock, UTC ms, which a ban's end is on; None: as ``now_ms``.
    """
    said = shown(message)
    said = f"; it says: {said}" if said else ""
    if status in {418, 429} or code == TOO_MANY_REQUESTS:
        wait_ms = _wait_ms(headers, message, now_ms if server_ms is None else server_ms)
        what = "has banned this IP" if status == 418 else "limits this IP's rate"
        return RateLimitedError(
            f"{url} {what} until {utc_text(now_ms + wait_ms)} (HTTP {status}): wait until then, "
            f"and see what else behind this IP asks it{said}",
            until_ms=now_ms + wait_ms,
        )
    return _of_the_client(url, status, headers, now_ms, said) or _of_the_request(
        url, status, code, said
    )


def _of_the_client(
    url: str, status: int, headers: Mapping[str, str], now_ms: int, said: str
) -> WarmupError | None:
    """What any request of this client's would be told; None: it is about this request."""
    if 300 <= status < 400:
        where = _redirect_target(headers.get("location", ""))
        return NotTheExchangeError(
            f"{url} redirects to {where} (HTTP {status}), which is not followed: correct "
            "api.base_url, or see what stands between"
        )
    if status == 407:
        return NotTheExchangeError(
            "the proxy does not accept its user and password (HTTP 407): correct the proxy variable"
        )
    if status == 451:
        return BlockedError(
            f"{url} does not serve this location (HTTP 451): run in another region, use the "
            f"testnet or demo (api.environment), or set HTTPS_PROXY{said}",
            until_ms=now_ms + BLOCK_MS,
            remember=False,  # another region or proxy is allowed at once
        )
    if status == 403:
        return BlockedError(
            f"{url} refuses this client (HTTP 403, its firewall): nothing is sent before "
            f"{utc_text(now_ms + BLOCK_MS)}; change the IP or set HTTPS_PROXY{said}",
            until_ms=now_ms + BLOCK_MS,
            remember=True,
        )
    return None


def _of_the_request(url: str, status: int, code: object, said: str) -> WarmupError:
    if code == UNKNOWN_SYMBOL:
        return UnknownSymbolError(f"{url} does not list the symbol (code {code}): correct it{said}")
    if code == ILLEGAL_CHARACTERS:
        return UnknownSymbolError(
            f"{url} finds characters in the request that no symbol has (code {code}): symbols are "
            f"written in capitals, as BTCUSDT{said}"
        )
    if code == UNKNOWN_INTERVAL:
        return RefusedError(f"{url} does not offer the interval (code {code}): correct it{said}")
    if code == SYMBOL_STATUS:
        return DataInvalidError(
            f"{url} has no klines of the symbol in its present status (code {code}): it may be "
            f"halted, not trading yet, or about to be delisted{said}"
        )
    if 400 <= status < 500 and status not in _PASSING_4XX:
        return RefusedError(f"{url} refused the request (HTTP {status}, code {code}){said}")
    return ExchangeUnreachableError(f"{url} answered HTTP {status}: it is in trouble{said}")


def shown(message: object) -> str:
    """Return what the exchange said as one printable line of at most 200 characters.

    URLs and whatever could be a key or a signature are left out. Empty if it said nothing.
    """
    if not isinstance(message, str):
        return ""
    line = _SECRET.sub("***", _UNPRINTABLE.sub(" ", message[:5_000]))
    line = " ".join(line.split()).strip(" .")
    return line if len(line) <= _MOST_SHOWN else f"{line[: _MOST_SHOWN - 3].rstrip()}..."


def _wait_ms(headers: Mapping[str, str], message: object, server_ms: int) -> int:
    """How long a 429 or 418 asks us to wait: by its header, by its message, or by neither."""
    asked = headers.get("retry-after", "")
    waits = [int(asked) * 1000] if _SECONDS.fullmatch(asked) else []
    banned = _BANNED_UNTIL.search(message) if isinstance(message, str) else None
    if banned is not None and int(banned[1]) > server_ms:
        waits.append(int(banned[1]) - server_ms)
    return min(max(waits, default=DEFAULT_WAIT_MS), LONGEST_BAN_MS)


def _redirect_target(location: str) -> str:
    """Where a redirect leads, for people: scheme and host only."""
    try:
        parts = urlsplit(location)
        host = parts.hostname or ""
    except ValueError:
        return "an unreadable address"
    if not host or not host.isascii() or not host.isprintable():
        return "another path" if not host else "an unreadable address"
    return f"{parts.scheme}://{host}"
