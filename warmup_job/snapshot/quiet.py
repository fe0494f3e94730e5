"""A rate limit or a ban, remembered on the volume: who restarts before its end asks for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from loguru import logger

from warmup_job.errors import RateLimitedError
from warmup_job.market.moment import utc_text
from warmup_job.snapshot.durable import read_whole, replace_file
from warmup_job.snapshot.layout import LIMITS, STAGING

_MOST_BYTES = 65_536


def quiet_until_ms(root: Path, endpoint: str) -> int:
    """Until when nothing may be sent to ``endpoint`` (this machine's clock, UTC ms); 0: now.

    A file that is missing or unreadable says nothing: it is a courtesy, not a lock.
    """
    return _read(root).get(endpoint, 0)


def remember_quiet(root: Path, endpoint: str, until_ms: int) -> None:
    """Note that ``endpoint`` wants no request before ``until_ms``; where that cannot be, go on."""
    limits = _read(root)
    limits[endpoint] = max(until_ms, limits.get(endpoint, 0))
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
        aside = root / STAGING if (root / STAGING).is_dir() else root
        replace_file(root / LIMITS, msgspec.json.encode(limits) + b"\n", aside=aside)


async def sit_out(places: Iterable[Path], endpoint: str, *, most_ms: int | None = None) -> None:
    """Wait until a limit or ban on record in any of ``places`` is over: no request before its end.

    Raises:
        RateLimitedError: that is ``most_ms`` away or more.
    """
    until_ms = max(quiet_until_ms(place, endpoint) for place in places)
    wait_ms = until_ms - time.time_ns() // 1_000_000
    if most_ms is not None and wait_ms >= most_ms:
        raise RateLimitedError(
            f"{endpoint} wants no request from this IP before {utc_text(until_ms)}, and none was "
            "sent: start again then",
            until_ms=until_ms,
        )
    if wait_ms > 0:
        logger.warning("{} wants no request before {}: waiting", endpoint, utc_text(until_ms))
        await asyncio.sleep(wait_ms / 1000)


def _read(root: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(read_whole(root / LIMITS, _MOST_BYTES), type=dict[str, int])
    except (OSError, ValueError):  # malformed, or text that is not UTF-8
        return {}
