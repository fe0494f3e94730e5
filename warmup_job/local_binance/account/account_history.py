"""Which entries of a history an endpoint lists. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.market.interval import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_BACK_MS = 7 * DAY_MS
"""Binance goes back seven days if the client names no start."""


def history_page[T](
    entries: Iterable[tuple[int, int, T]],
    *,
    now_ms: int,
    start_ms: int | None,
    end_ms: int | None,
    from_id: int | None,
    limit: int,
) -> list[T]:
    """Return a page of a history, oldest first.

    Args:
        entries: Time, id and entry, oldest first.
        now_ms: The exchange's time, UTC ms.
        start_ms: The first time; None: seven days before the end.
        end_ms: The last time; None: now.
        from_id: The first id; None: the newest entries are listed.
        limit: The most entries.
    """
    last_ms = now_ms if end_ms is None else end_ms
    first_ms = last_ms - LOOK_BACK_MS if start_ms is None else start_ms
    if from_id is not None and start_ms is None:
        first_ms = 0
    chosen = [
        entry
        for at_ms, entry_id, entry in entries
        if first_ms <= at_ms <= last_ms and (from_id is None or entry_id >= from_id)
    ]
    return chosen[-limit:] if from_id is None else chosen[:limit]
