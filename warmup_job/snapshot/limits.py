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
from warmup_job.market.times import utc_text
from warmup_job.snapshot.durable import read_whole, replace_file
from warmup_job.snapshot.layout import LIMITS, STAGING

_MOST_BYTES = 65_536
_LONGEST_MS = 3 * 24 * 3_600_000
"""Binance's longest ban. What is further ahead was written by a wrong clock or by somebody else."""


def quiet_until_ms(root: Path, endpoint: str) -> int:
    """Return until when nothing may be sent to ``endpoint`` (this machine's clock, UTC ms); 0: now.

    A file that is missing or unreadable says nothing: it is a courtesy, not a lock. An entry more
    than three days ahead is ignored with a warning.
    """
    until_ms = _read(root).get(endpoint, 0)
    if until_ms > _now_ms() + _LONGEST_MS:
        logger.warning(
            "ignoring {}: its entry for {} is more than three days ahead, longer than any ban of "
            "Binance's; delete the file", root / LIMITS, endpoint,
        )  # fmt: skip
        return 0
    return until_ms


def remember_quiet(root: Path, endpoint: str, until_ms: int) -> None:
    """Note that ``endpoint`` wants no request before ``until_ms``; where that cannot be, go on."""
    limits = _read(root)
    known_ms = limits.get(endpoint, 0)
    believed = known_ms <= _now_ms() + _LONGEST_MS
    limits[endpoint] = max(until_ms, known_ms) if believed else until_ms
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
        aside = root / STAGING if (root / STAGING).is_dir() else root
        replace_file(root / LIMITS, msgspec.json.encode(limits) + b"\n", aside=aside)


async def sit_out(places: Iterable[Path], endpoint: str, *, most_ms: int | None = None) -> None:
    """Wait until a limit or ban on record in any of ``places`` is over: no request before its end.

    Raises:
        RateLimitedError: that is ``most_ms`` away or more.
    """
    until_ms, place = max((quiet_until_ms(place, endpoint), place) for place in places)
    wait_ms, file = until_ms - _now_ms(), place / LIMITS
    if most_ms is not None and wait_ms >= most_ms:
        raise RateLimitedError(
            f"{endpoint} wants no request from this IP before {utc_text(until_ms)} (noted in "
            f"{file}), and none was sent: start again then",
            until_ms=until_ms,
        )
    if wait_ms > 0:
        logger.warning(
            "{} wants no request before {} (noted in {}): waiting", endpoint, utc_text(until_ms),
            file,
        )  # fmt: skip
        await asyncio.sleep(wait_ms / 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _read(root: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(read_whole(root / LIMITS, _MOST_BYTES), type=dict[str, int])
    except (OSError, ValueError):  # malformed, or text that is not UTF-8
        return {}
