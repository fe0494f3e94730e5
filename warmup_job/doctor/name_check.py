"""Check that the names of the exchange's hosts can be resolved (DNS)."""

from __future__ import annotations

import asyncio
import socket

from warmup_job.doctor.finding import Finding, failed, passed
from warmup_job.doctor.probe_connection import TIMEOUT_S
from warmup_job.errors import ExchangeUnreachableError


async def check_name(host: str, key: str) -> Finding:
    """Resolve a host's name.

    Args:
        host: The host.
        key: The venue file's key that the host comes from, for the remedy.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return failed(
            "dns",
            ExchangeUnreachableError(
                f"the name {host} cannot be resolved ({reason}): correct {key}, or check this "
                "machine's name server and, in Kubernetes, the network policy for port 53"
            ),
        )
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return passed("dns", f"{host}: {', '.join(addresses)}")
