"""Download what a run needs from Binance before the deadline: bars and exchangeInfo."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from warmup_job.acquire.acquire_bars import AcquiredBars, acquire_bars
from warmup_job.acquire.reuse import reusable_bars
from warmup_job.catalog.packed_bars import (
    SPILL_FROM_BARS,
    PackedBars,
    import_ahead,
    pack,
    spill,
)
from warmup_job.errors import DeadlineError, ExchangeUnreachableError, WarmupError
from warmup_job.job.previous_snapshot import is_intact, is_up_to_date, previous_snapshot, serves
from warmup_job.market.kline import Klines
from warmup_job.market.stream_id import StreamId
from warmup_job.market.times import duration_text, parse_when
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.venue_client import open_client
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.durable import volume_error
from warmup_job.snapshot.rate_limits import record_limit, wait_for_limit
from warmup_job.snapshot.verify import Snapshot

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.binance.weight_budget import WeightBudget

_LAST_WORD_MS = 50  # the client gives up this long before asyncio.timeout, so that the error is its
_LARGE_OFFSET_MS = 2_000


class JobRun(msgspec.Struct, frozen=True):
    """One run of the job: what it was asked for, and when it began."""

    plan: WarmupPlan
    until: str | None
    """The time to pretend, as `parse_when` reads it; None: Binance's clock."""
    full: bool
    """Whether to fetch everything, whatever the volume holds."""
    progress: Callable[[int], object]
    """Called with the number of rows of each page."""
    on_budget: Callable[[WeightBudget], object]
    """Called with the weight budget of the client that fetches."""
    started_s: float
    """Monotonic clock, s."""

    def left_ms(self) -> int:
        """Return how long the client may still wait before the deadline, ms."""
        spent_ms = round((time.monotonic() - self.started_s) * 1000)
        return self.plan.deadline_ms - spent_ms - _LAST_WORD_MS


class Download(msgspec.Struct, frozen=True):
    """What Binance answered."""

    streams: dict[StreamId, AcquiredBars | WarmupError]
    """The bars of each planned stream, or why there are none."""
    exchange_info: dict[str, Any]
    """The raw entries of exchangeInfo by symbol."""
    previous: Snapshot | None
    """The snapshot that was on the volume."""
    at_ms: int
    """Binance's clock at the end, UTC ms."""
    weight_spent: int
    """Request weight."""
    listed: frozenset[str] = frozenset()
    """All symbols of Binance's; empty: they are not known (spot answers only what it is asked)."""


async def download(run: JobRun, spill_folder: Path | None) -> Download | Snapshot:
    """Download every stream of a run, reusing the bars of the previous snapshot.

    Args:
        run: the run.
        spill_folder: where to keep streams that are too long for the memory; None: in memory. It
            is made if it is needed, and the caller removes it.

    Returns:
        The download; or the previous snapshot, if it lacks nothing.

    Raises:
        WarmupError: the deadline passed, or Binance could not be asked for the time or for
            exchangeInfo.
        OSError: a file of the previous snapshot cannot be read.
    """
    plan, root, url = run.plan, run.plan.root, run.plan.venue.endpoint
    client: BinanceClient | None = None
    previous = previous_snapshot(plan)
    # It imports while the main thread waits for the network; the same import waits for this one.
    threading.Thread(target=_import_ahead, daemon=True).start()
    try:
        async with asyncio.timeout((run.left_ms() + _LAST_WORD_MS) / 1000):
            verified = asyncio.create_task(asyncio.to_thread(_reusable, run, previous))
            await wait_for_limit((root,), url, max_wait_ms=plan.deadline_ms)
            client = open_client(
                plan.venue, plan.deadline_ms, on_limit=lambda ms: record_limit(root, url, ms)
            )
            run.on_budget(client.budget)
            client.extend_deadline(run.left_ms())  # imports count too
            async with client:
                until_ms = await _until_ms(client, run.until)
                base = await verified
                if base and serves(plan, base) and is_up_to_date(base, plan.streams, until_ms):
                    return base
                info, *acquired = await asyncio.gather(
                    client.exchange_info(each.stream.symbol for each in plan.streams),
                    *(_acquire(client, run, each, until_ms, base, spill_folder)
                      for each in plan.streams),
                    return_exceptions=True,
                )  # fmt: skip
    except TimeoutError:
        allowed = duration_text(plan.deadline_ms)
        if client is not None and client.outage_reason:
            raise ExchangeUnreachableError(
                f"{client.outage_reason}; gave up after warmup.deadline ({allowed})"
            ) from None
        raise DeadlineError(
            f"not done within warmup.deadline ({allowed}): raise it, or ask for fewer bars"
        ) from None
    if isinstance(info, BaseException):
        raise info
    streams = {
        each.stream: _value_or_error(result)
        for each, result in zip(plan.streams, acquired, strict=True)
    }
    return Download(streams, info, previous, client.now_ms(), client.budget.spent, client.listed)


def _reusable(run: JobRun, previous: Snapshot | None) -> Snapshot | None:
    return previous if previous and not run.full and is_intact(previous) else None


def _value_or_error[T](result: T | BaseException) -> T | WarmupError:
    """Return a result or one of our own errors; raise everything else."""
    if isinstance(result, BaseException) and not isinstance(result, WarmupError):
        raise result
    return result


async def _until_ms(client: BinanceClient, until: str | None) -> int:
    """Return the time up to which closed klines count, UTC ms, and log the clock's offset."""
    clock = await client.sync_clock()
    error_ms = clock.round_trip_ms // 2 + 1  # both clocks are read to the ms
    if abs(clock.offset_ms) > error_ms:
        large = abs(clock.offset_ms) > _LARGE_OFFSET_MS
        logger.log(
            "WARNING" if large else "INFO",
            "clock offset {offset_ms:+d} ms ± {error_ms} ms; using the exchange's clock{_advice}",
            event="clock.offset",
            offset_ms=clock.offset_ms,
            error_ms=error_ms,
            _advice=". Synchronise this machine by NTP: live trading signs with its clock"
            if large
            else "",
        )
    now_ms = client.now_ms()
    return now_ms if until is None else min(now_ms, parse_when(until, now_ms))


async def _acquire(
    client: BinanceClient,
    run: JobRun,
    plan: StreamPlan,
    until_ms: int,
    base: Snapshot | None,
    spill_folder: Path | None,
) -> AcquiredBars:
    def store(klines: Klines) -> PackedBars:
        bars = pack(klines)
        if spill_folder is None or plan.bars < SPILL_FROM_BARS:
            return bars
        try:
            return spill(bars, spill_folder / secrets.token_hex(8))
        except OSError as error:
            raise volume_error(run.plan.root, error) from None

    last_ms = plan.stream.interval.last_closed(until_ms)
    return await acquire_bars(
        client,
        plan,
        until_ms,
        reusable=reusable_bars(base, plan, last_ms, run.plan.max_gap_bars) if base else None,
        store=store,
        progress=run.progress,
    )


def _import_ahead() -> None:
    import_ahead()
    import warmup_job.proof.enough_bars  # numpy
    import warmup_job.snapshot.volume_metrics  # noqa: F401
