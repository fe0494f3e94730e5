"""Record rate limits and bans on the volume, so that a restarted process sends no request early."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from loguru import logger

from warmup_job.binance.answers import LONGEST_BAN_MS
from warmup_job.errors import RateLimitedError
from warmup_job.market.times import duration_text, utc_text
from warmup_job.process.long_wait import sleep_and_log
from warmup_job.snapshot.durable import read_regular_file, replace_file
from warmup_job.snapshot.layout import LIMITS, STAGING

_MAX_BYTES = 65_536


def limited_until_ms(root: Path, endpoint: str) -> int:
    """Return until when no request may be sent to ``endpoint``: UTC ms on this machine's clock.

    0 means that there is no limit. A missing or unreadable file counts as no limit: the file is a
    courtesy to the exchange, not a lock. An entry more than three days ahead is ignored with a
    warning.
    """
    until_ms = _read(root).get(endpoint, 0)
    if until_ms > _now_ms() + LONGEST_BAN_MS:
        logger.warning(
            "{path}: ignoring the entry for {endpoint}, which ends more than 3 days ahead. "
            "Binance bans for at most 3 days; delete the file",
            event="limit.ignored",
            path=root / LIMITS,
            endpoint=endpoint,
        )
        return 0
    return until_ms


def recorded_limits(root: Path) -> dict[str, int]:
    """Return until when each recorded endpoint must not be asked, UTC ms; past ends included."""
    longest_ms = _now_ms() + LONGEST_BAN_MS
    return {url: until_ms for url, until_ms in _read(root).items() if until_ms <= longest_ms}


def record_limit(root: Path, endpoint: str, until_ms: int) -> None:
    """Record that no request may be sent to ``endpoint`` before ``until_ms``.

    If the file cannot be written, nothing is recorded and no error is raised.
    """
    limits = _read(root)
    known_ms = limits.get(endpoint, 0)
    plausible = known_ms <= _now_ms() + LONGEST_BAN_MS
    limits[endpoint] = max(until_ms, known_ms) if plausible else until_ms
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
        temporary = root / STAGING if (root / STAGING).is_dir() else root
        replace_file(root / LIMITS, msgspec.json.encode(limits) + b"\n", temporary=temporary)


async def wait_for_limit(
    folders: Iterable[Path], endpoint: str, *, max_wait_ms: int | None = None
) -> None:
    """Wait until every recorded limit or ban of ``endpoint`` is over.

    Args:
        folders: The folders that may hold a limits.json.
        endpoint: The exchange's REST base URL.
        max_wait_ms: The longest wait; None: no restriction.

    Raises:
        RateLimitedError: The wait would take ``max_wait_ms`` or more.
    """
    until_ms, folder = max((limited_until_ms(each, endpoint), each) for each in folders)
    wait_ms, file = until_ms - _now_ms(), folder / LIMITS
    if max_wait_ms is not None and wait_ms >= max_wait_ms:
        raise RateLimitedError(
            f"{endpoint} limits or bans this IP until {utc_text(until_ms)} (recorded in {file}). "
            "No request was sent; start again after that time",
            until_ms=until_ms,
        )
    if wait_ms > 0:
        logger.warning(
            "{endpoint} limits or bans this IP until {until} (recorded in {path}): waiting until "
            "then",
            event="limit.waiting",
            endpoint=endpoint,
            until=utc_text(until_ms),
            path=file,
        )

        def log(passed_s: float, left_s: float) -> None:
            logger.warning(
                "{endpoint} still limits or bans this IP: waited for {passed}, {left} are left",
                event="limit.still_waiting",
                endpoint=endpoint,
                passed=duration_text(round(passed_s) * 1000),
                left=duration_text(round(left_s) * 1000),
            )

        await sleep_and_log(wait_ms / 1000, log)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _read(root: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(
            read_regular_file(root / LIMITS, _MAX_BYTES), type=dict[str, int]
        )
    except (OSError, ValueError):  # malformed, or text that is not UTF-8
        return {}
