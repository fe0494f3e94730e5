"""Check that the exchange accepts a websocket connection."""

from __future__ import annotations

import base64
import secrets
import ssl
import time

from warmup_job.binance.answers import answer_error
from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy
from warmup_job.doctor.finding import Finding, failed, passed
from warmup_job.doctor.probe_connection import connected, exchanged, target_of
from warmup_job.errors import NotTheExchangeError, WarmupError

_SWITCHED = 101


async def check_websocket(url: str, proxy: Proxy | None, trust: ssl.SSLContext) -> Finding:
    """Open a websocket to ``<url>/ws``, as the trader does, and close it again.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Connect

    Args:
        url: The base URL of the websocket streams.
        proxy: The proxy in effect; None: connect directly.
        trust: The TLS settings.
    """
    target = target_of(url)
    lines = [
        f"GET {target.path}/ws HTTP/1.1",
        f"Host: {target.authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode('ascii')}",
        "Sec-WebSocket-Version: 13",
    ]
    try:
        async with connected(url, proxy, trust) as (reader, writer):
            status, headers = await exchanged(reader, writer, lines)
    except WarmupError as error:
        return failed("websocket", error)
    return judge_handshake(public_url(url), status, headers)


def judge_handshake(url: str, status: int, headers: dict[str, str]) -> Finding:
    """Judge the answer to a websocket's handshake.

    Args:
        url: The URL, without credentials.
        status: The HTTP status; 0: the answer was not HTTP.
        headers: The headers, with names in lower case.
    """
    if status == _SWITCHED:
        return passed("websocket", f"{url} accepts connections")
    if 0 < status < 300:
        return failed(
            "websocket",
            NotTheExchangeError(
                f"{url} does not switch to a websocket (HTTP {status}): correct api.ws_url, or "
                "check the proxy or portal in between"
            ),
        )
    if status == 0:
        return failed(
            "websocket",
            NotTheExchangeError(f"{url} does not answer in HTTP: correct api.ws_url"),
        )
    now_ms = time.time_ns() // 1_000_000
    error = answer_error(url, status, None, headers, now_ms)
    return failed("websocket", error, otherwise="try again in a minute, or correct api.ws_url")
