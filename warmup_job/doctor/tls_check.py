"""Check the TLS connection to a host of the exchange, and how long its certificate is valid."""

from __future__ import annotations

import ssl
import time

from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy
from warmup_job.doctor.finding import Finding, failed, passed, skipped, warned
from warmup_job.doctor.probe_connection import connected, target_of
from warmup_job.errors import ExchangeUnreachableError

_DAY_S = 86_400
_SOON_DAYS = 7
_PUBLIC_ONLY = (
    "Nautilus' websocket trusts public certificate authorities only, whatever SSL_CERT_FILE says: "
    "exempt this host from TLS inspection; if a date is wrong, check this machine's clock"
)


async def check_tls(url: str, proxy: Proxy | None, trust: ssl.SSLContext) -> Finding:
    """Connect to a URL with TLS.

    Args:
        url: The URL.
        proxy: The proxy in effect; None: connect directly.
        trust: The TLS settings of the client that uses the URL.
    """
    if not target_of(url).secure:
        return skipped("tls", f"{public_url(url)} uses no TLS")
    try:
        async with connected(url, proxy, trust) as (_, writer):
            certificate = writer.get_extra_info("peercert")
            version = writer.get_extra_info("ssl_object").version()
    except ExchangeUnreachableError as error:
        own_authority = url.startswith("wss") and "is not accepted" in str(error)
        return failed("tls", error, _PUBLIC_ONLY if own_authority else "")
    ends_s = ssl.cert_time_to_seconds(certificate["notAfter"])
    return judge_certificate(public_url(url), version, ends_s - time.time())


def judge_certificate(url: str, version: str, left_s: float) -> Finding:
    """Judge how long an accepted certificate is still valid.

    Args:
        url: The URL, without credentials.
        version: The TLS version, for the text.
        left_s: The time until the certificate ends, seconds.
    """
    days = int(left_s // _DAY_S)  # whole days that are left, never rounded up
    seen = f"{url}: {version}, its certificate ends in {days} days"
    if days < _SOON_DAYS:
        return warned("tls", f"{seen}: ask who runs the host, or the proxy, to renew it")
    return passed("tls", seen)
