"""Connect to a URL as far as TLS, directly or through a proxy, and say why that fails."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from warmup_job.binance.connection_errors import connection_error
from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy
from warmup_job.errors import ExchangeUnreachableError, NotTheExchangeError

TIMEOUT_S = 10.0
_SECURE = frozenset({"https", "wss"})


class Target(msgspec.Struct, frozen=True):
    """Where a URL leads; it has no user and no password."""

    host: str
    port: int
    secure: bool
    path: str

    @property
    def authority(self) -> str:
        """``host:port``, with an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Return where an http, https, ws or wss URL leads."""
    parts = urlsplit(url)
    secure = parts.scheme in _SECURE
    port = parts.port or (443 if secure else 80)
    return Target(parts.hostname or "", port, secure, parts.path.rstrip("/"))


@asynccontextmanager
async def connected(
    url: str, proxy: Proxy | None, trust: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to ``url``, with TLS if its scheme has it; the end of the block closes it.

    Args:
        url: The URL.
        proxy: The proxy, which is asked for a tunnel (CONNECT); None: connect directly.
        trust: The TLS settings.

    Raises:
        ExchangeUnreachableError: The connection failed, here or in the block; the message says why.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            target = target_of(url)
            via = target if proxy is None else target_of(proxy.address)
            reader, writer = await asyncio.open_connection(via.host, via.port)
            if proxy is not None:
                await _tunnel(reader, writer, target, proxy)
            if target.secure:
                await writer.start_tls(trust, server_hostname=target.host)
            yield reader, writer
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        if proxy is not None and writer is None:
            raise ExchangeUnreachableError(
                f"cannot connect to the proxy of {proxy.variable} ({type(error).__name__}): "
                "correct it, or start the proxy"
            ) from None
        failure = connection_error(error, public_url(url), proxy)
        if url.startswith("ws"):
            failure = type(failure)(str(failure).replace("api.base_url", "api.ws_url"))
        raise failure from None
    finally:
        if writer is not None:
            writer.transport.abort()  # nothing is pending, and a broken TLS would not end


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target, proxy: Proxy
) -> None:
    """Ask the proxy for a tunnel.

    Raises:
        ExchangeUnreachableError: The proxy refuses it.
    """
    lines = [f"CONNECT {target.authority} HTTP/1.1", f"Host: {target.authority}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    status, _ = await exchanged(reader, writer, lines)
    if status == 407:
        raise NotTheExchangeError(
            f"the proxy of {proxy.variable} rejects the user and password (HTTP 407): correct the "
            "variable"
        )
    if status != 200:
        raise ExchangeUnreachableError(
            f"the proxy of {proxy.variable} does not connect to {target.host} (HTTP {status}): "
            "allow that host there"
        )


async def exchanged(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: list[str]
) -> tuple[int, dict[str, str]]:
    """Send the head of an HTTP request and return the answer's status and headers.

    Args:
        reader: The connection's reader.
        writer: Its writer.
        lines: The request line and the headers.

    Returns:
        The HTTP status, 0 if the answer is not HTTP; the headers with names in lower case.
    """
    writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    await writer.drain()
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, answer = first.partition(" ")
    status = answer[:3]
    if not version.startswith("HTTP/") or not (status.isascii() and status.isdigit()):
        return 0, {}
    pairs = (line.partition(":") for line in rest if line)
    return int(status), {name.strip().lower(): value.strip() for name, _, value in pairs}
