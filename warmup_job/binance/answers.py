"""Translate Binance's error answers into our own errors (docs/reference/refusals.md).

Codes: https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

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
_TOO_MANY_ORDERS = -1015  # of the account, although its HTTP status is 429
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_BANNED_UNTIL = re.compile(r"\bbanned until ([0-9]{13})\b", re.ASCII | re.IGNORECASE)
_TRANSIENT_4XX = frozenset({404, 408, 425})
DEFAULT_WAIT_MS = 60_000
"""The wait after a 429 or 418 that names no time: the window of the weight limit."""
BLOCK_MS = 600_000
"""How long Binance's firewall blocks, approximately; its answer does not say."""
LONGEST_BAN_MS = 3 * 24 * 3_600_000
"""Binance's longest ban; a longer wait in an answer is reduced to it."""

_MAX_SHOWN = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+", re.ASCII)
# URLs, because they can hold a signature, and text as long as a key or a signature.
_SECRET = re.compile(
    r"\b\w+://\S*|\b(?:signature|api_?key|secret|listen_?key)\s*[=:]\s*\S+|[A-Za-z0-9+/_-]{32,}",
    re.ASCII | re.IGNORECASE,
)


def answer_error(
    url: str,
    status: int,
    code: object,
    headers: Mapping[str, str],
    now_ms: int,
    *,
    message: object = None,
    server_ms: int | None = None,
) -> WarmupError:
    """Return the error for an answer whose HTTP status is not 200.

    Args:
        url: The REST base URL, without credentials.
        status: The HTTP status.
        code: Binance's ``code``, or None.
        headers: The headers, with names in lower case.
        now_ms: This machine's clock, UTC ms; every ``until_ms`` is on this clock.
        message: Binance's ``msg``; the error shows it after `printable`.
        server_ms: The exchange's clock, UTC ms, on which a ban ends; None: the same as ``now_ms``.
    """
    quote = printable(message)
    quote = f"; it says: {quote}" if quote else ""
    if status in {418, 429} or code == TOO_MANY_REQUESTS:
        wait_ms = _wait_ms(headers, message, now_ms if server_ms is None else server_ms)
        what = "banned this IP" if status == 418 else "rate-limits this IP"
        return RateLimitedError(
            f"{url} {what} until {utc_text(now_ms + wait_ms)} (HTTP {status}): wait until then, "
            f"and check which other programs behind this IP send requests{quote}",
            until_ms=now_ms + wait_ms,
        )
    return _client_error(url, status, headers, now_ms, quote) or _request_error(
        url, status, code, quote
    )


def _client_error(
    url: str, status: int, headers: Mapping[str, str], now_ms: int, quote: str
) -> WarmupError | None:
    """Return the error that every request of this client gets; None: it is about this request."""
    if 300 <= status < 400:
        target = _redirect_target(headers.get("location", ""))
        return NotTheExchangeError(
            f"{url} redirects to {target} (HTTP {status}); redirects are not followed: correct "
            "api.base_url, or check the proxy or portal in between"
        )
    if status == 407:
        return NotTheExchangeError(
            "the proxy rejects the user and password (HTTP 407): correct the proxy variable"
        )
    if status == 451:
        return BlockedError(
            f"{url} does not serve this location (HTTP 451): run in another region, use the "
            f"testnet or demo (api.environment), or set HTTPS_PROXY{quote}",
            until_ms=now_ms + BLOCK_MS,
            remember=False,  # a run in another region or with a proxy may start at once
        )
    if status == 403:
        return BlockedError(
            f"{url} blocks this IP (HTTP 403, firewall): no request is sent before "
            f"{utc_text(now_ms + BLOCK_MS)}; change the IP or set HTTPS_PROXY{quote}",
            until_ms=now_ms + BLOCK_MS,
            remember=True,
        )
    return None


def _request_error(url: str, status: int, code: object, quote: str) -> WarmupError:
    if code == UNKNOWN_SYMBOL:
        return UnknownSymbolError(
            f"{url} does not list the symbol (code {code}): correct it{quote}"
        )
    if code == ILLEGAL_CHARACTERS:
        return UnknownSymbolError(
            f"{url} rejects characters of the symbol (code {code}): write it in upper case, e.g. "
            f"BTCUSDT{quote}"
        )
    if code == UNKNOWN_INTERVAL:
        return RefusedError(f"{url} does not offer the interval (code {code}): correct it{quote}")
    if code == SYMBOL_STATUS:
        return DataInvalidError(
            f"{url} has no klines of the symbol in its current status (code {code}): it may be "
            f"halted, not trading yet, or about to be delisted{quote}"
        )
    if 400 <= status < 500 and status not in _TRANSIENT_4XX:
        return RefusedError(f"{url} refused the request (HTTP {status}, code {code}){quote}")
    return ExchangeUnreachableError(f"{url} answered HTTP {status}, an error on its side{quote}")


def is_ip_limit(status: int, code: object) -> bool:
    """Return whether an answer means that the exchange limits or bans this IP.

    Args:
        status: The HTTP status.
        code: Binance's ``code``, or None.
    """
    return code == TOO_MANY_REQUESTS or (status in {418, 429} and code != _TOO_MANY_ORDERS)


def limit_text(until_ms: int) -> str:
    """Return a message from which `answer_error` reads the end of a limit or ban.

    Args:
        until_ms: The end, UTC ms.
    """
    return f"Way too many requests; IP limited or banned until {until_ms}."


def printable(message: object) -> str:
    """Return the exchange's message as one printable line of at most 200 characters.

    URLs, and text that could be a key or a signature, are replaced by ``***``. The result is empty
    if there is no message.
    """
    if not isinstance(message, str):
        return ""
    line = _SECRET.sub("***", _UNPRINTABLE.sub(" ", message[:5_000]))
    line = " ".join(line.split()).strip(" .")
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 3].rstrip()}..."


def _wait_ms(headers: Mapping[str, str], message: object, server_ms: int) -> int:
    """Return the wait that a 429 or 418 asks for: the longest of its header and its message."""
    retry_after = headers.get("retry-after", "")
    waits = [int(retry_after) * 1000] if _SECONDS.fullmatch(retry_after) else []
    banned = _BANNED_UNTIL.search(message) if isinstance(message, str) else None
    if banned is not None and int(banned[1]) > server_ms:
        waits.append(int(banned[1]) - server_ms)
    return min(max(waits, default=DEFAULT_WAIT_MS), LONGEST_BAN_MS)


def _redirect_target(location: str) -> str:
    """Return scheme and host of a redirect's target, for the message."""
    try:
        parts = urlsplit(location)
        host = parts.hostname or ""
    except ValueError:
        return "an unreadable address"
    if not host or not host.isascii() or not host.isprintable():
        return "another path" if not host else "an unreadable address"
    return f"{parts.scheme}://{host}"
