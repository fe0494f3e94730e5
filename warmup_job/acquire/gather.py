"""Fetch: what a run lacks comes from the exchange, before the deadline."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from warmup_job.acquire.prove import Columns, Proof, extremes_of
from warmup_job.acquire.reuse import (
    is_up_to_date,
    is_whole,
    known_bars,
    known_certificate,
    last_snapshot,
    serves,
)
from warmup_job.catalog import packed_bars as arrow
from warmup_job.errors import DeadlineError, ExchangeUnreachableError
from warmup_job.market.times import duration_text, parse_when, utc_text
from warmup_job.plan.stream_pages import StreamPages, pages_at
from warmup_job.plan.venue_client import open_client
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.durable import volume_error
from warmup_job.snapshot.limits import record_limit, wait_for_limit
from warmup_job.snapshot.verify import Snapshot

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.binance.fetch import Fetched
    from warmup_job.market.kline import Klines

_LAST_WORD_MS = 50  # between giving up by ourselves and being cut off
_SKEW_TO_TELL_MS = 2_000
_ASIDE_FROM_BARS = 50_000  # a stream this long is not held in memory: 5 MB


@dataclass(frozen=True, slots=True)
class Run:
    """What one run was asked for, and when it began (monotonic clock)."""

    plan: WarmupPlan
    until: str | None
    full: bool
    progress: Callable[[int], object]
    started_s: float

    def left_ms(self) -> int:
        """How much of the deadline is left to wait in: we give up ourselves a little earlier."""
        spent_ms = round((time.monotonic() - self.started_s) * 1000)
        return self.plan.deadline_ms - spent_ms - _LAST_WORD_MS


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of one stream, and the proof that it is enough, as far as it goes."""

    fetched: Fetched[arrow.PackedBars]
    proof: Proof[arrow.PackedBars]


@dataclass(frozen=True, slots=True)
class Brought:
    """What came from the exchange: for each stream `Gathered`, or the error, in the same order."""

    fetched: list[Any]
    entries: dict[str, Any]
    """The venue's raw exchangeInfo, by symbol."""
    last: Snapshot | None
    """The snapshot that was gone on from."""
    at_ms: int
    """The exchange's clock, UTC ms."""
    weight_spent: int


async def gather(run: Run, aside: Path | None) -> Brought | Snapshot:
    """What the exchange gives before the deadline; or the last snapshot, if it lacks nothing.

    ``aside``: a folder to be made on the volume for what is too much for the memory.
    """
    plan, root = run.plan, run.plan.root
    client: BinanceClient | None = None
    last = last_snapshot(plan)
    # While the network is waited for; an import of the same later waits for this one.
    threading.Thread(target=_import_ahead, args=(last is None,), daemon=True).start()
    try:
        async with asyncio.timeout((run.left_ms() + _LAST_WORD_MS) / 1000):
            good = asyncio.to_thread(lambda: not run.full and last is not None and is_whole(last))
            checking = asyncio.create_task(good)
            await wait_for_limit((root,), plan.venue.endpoint, max_wait_ms=plan.deadline_ms)
            client = open_client(
                plan.venue,
                plan.deadline_ms,
                on_limit=lambda ms: record_limit(root, plan.venue.endpoint, ms),
            )
            client.extend_deadline(run.left_ms())  # imports count too
            async with client:
                until_ms = await _now_ms(client, run.until)
                streams = [pages_at(each, plan.venue.market, until_ms) for each in plan.streams]
                base = last if await checking else None
                if base and serves(plan, base) and is_up_to_date(base, streams):
                    return base
                entries, *fetched = await asyncio.gather(
                    client.exchange_info(each.stream.symbol for each in plan.streams),
                    *(_fetch_stream(client, each, base, until_ms, aside, run) for each in streams),
                    return_exceptions=True,
                )
    except TimeoutError:
        allowed = duration_text(plan.deadline_ms)
        if client is not None and client.outage_reason:
            raise ExchangeUnreachableError(
                f"{client.outage_reason}; given up after warmup.deadline ({allowed})"
            ) from None
        raise DeadlineError(
            f"not done within warmup.deadline ({allowed}): raise it, or ask for fewer bars"
        ) from None
    if isinstance(entries, BaseException):
        raise entries
    return Brought(fetched, entries, last, client.now_ms(), client.budget.spent)


async def _now_ms(client: BinanceClient, until: str | None) -> int:
    """Up to when klines count as closed, UTC ms: by the exchange's clock, or as it was wished."""
    clock = await client.sync_clock()
    doubt_ms = clock.round_trip_ms // 2 + 1  # both clocks are read to the ms
    if abs(clock.offset_ms) > doubt_ms:  # else nobody can say that there is an offset
        skewed = abs(clock.offset_ms) > _SKEW_TO_TELL_MS
        logger.log(
            "WARNING" if skewed else "INFO",
            "clock offset {:+d} ms ± {} ms; using the exchange's clock{}",
            clock.offset_ms, doubt_ms,
            ". Have this machine's set by NTP: live trading signs by it" if skewed else "",
        )  # fmt: skip
    now_ms = client.now_ms()
    return now_ms if until is None else min(now_ms, parse_when(until, now_ms))


async def _fetch_stream(
    client: BinanceClient,
    pages: StreamPages,
    base: Snapshot | None,
    until_ms: int,
    aside: Path | None,
    run: Run,
) -> Gathered:
    """One stream's bars, going on from those of ``base`` where it has them."""
    from warmup_job.binance.fetch import fetch_last

    plan, stream = pages.plan, pages.plan.stream
    known = known_bars(base, pages, run.plan.max_gap_bars) if base else None
    before = known_certificate(base, pages) if base and known else None
    if known:
        logger.info(
            "{}: {} bars are there already; fetching what has closed since",
            stream, len(known.opens_ms),
        )  # fmt: skip
        run.progress(len(known.opens_ms))
    else:
        logger.info(
            "{}: fetching {} bars in {} page(s), weight {}",
            stream, plan.bars, len(pages.pages), pages.weight,
        )  # fmt: skip

    def pack(klines: Klines) -> arrow.PackedBars:
        bars = arrow.pack(klines)
        if aside is None or plan.bars < _ASIDE_FROM_BARS:
            return bars
        try:
            return arrow.set_aside(bars, aside / secrets.token_hex(8))
        except OSError as error:
            raise volume_error(run.plan.root, error) from None

    ahead = plan.needs_bounds and before is None
    async with extremes_of(client, stream, ahead=ahead) as extremes:
        proof = Proof(plan, _columns, extremes, before)
        fetched = await fetch_last(
            client, stream, plan.bars, until_ms, pack, run.progress, known, proof.enough
        )
    if fetched.revised:
        logger.warning(
            "{}: the venue has revised {} of its last bars, first that of {}: its new values hold",
            stream, len(fetched.revised), utc_text(fetched.revised[0]),
        )  # fmt: skip
    return Gathered(fetched, proof)


def _columns(fetched: Fetched[arrow.PackedBars], bars: int) -> Columns:
    series = arrow.join(fetched.parts, bars)
    return (
        arrow.floats(series, "high"),
        arrow.floats(series, "low"),
        arrow.floats(series, "close"),
    )


def _import_ahead(with_nautilus: bool) -> None:
    arrow.import_ahead()
    import warmup_job.proof.enough_bars  # numpy

    if with_nautilus:
        import warmup_job.catalog.instruments
        import warmup_job.catalog.nautilus_catalog  # noqa: F401
