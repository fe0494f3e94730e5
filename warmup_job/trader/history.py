"""Load the bars that warm the strategies: from the snapshot, refreshed if it is old, or fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loguru import logger

from warmup_job.acquire.acquire_bars import AcquiredBars, acquire_bars
from warmup_job.acquire.judge import Verdict, explain
from warmup_job.acquire.reuse import reusable_bars
from warmup_job.catalog.instruments import parse_instrument
from warmup_job.catalog.nautilus_bars import bar_type_of, unpack_bars
from warmup_job.catalog.packed_bars import float_columns
from warmup_job.errors import (
    DataInvalidError,
    RefusedError,
    SnapshotError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.market.interval import Interval
from warmup_job.market.listed_symbols import unlisted_text
from warmup_job.market.times import NS_PER_MS, duration_text, utc_text
from warmup_job.plan.stream_pages import pages_at
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.proof.rolling_certificate import RollingCertificate
from warmup_job.proof.window import Bounds
from warmup_job.snapshot.manifest import StreamEntry
from warmup_job.snapshot.rate_limits import wait_for_limit
from warmup_job.snapshot.verify import Snapshot
from warmup_job.trader.snapshot_wait import NO_WAIT, SnapshotWait, awaited_snapshot
from warmup_job.trader.usable_snapshot import missing_bars_of, stored_instrument

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

    from warmup_job.binance.client import BinanceClient


async def load_histories(
    plan: WarmupPlan, client: BinanceClient, wait: SnapshotWait = NO_WAIT
) -> list[History]:
    """Load the history of every stream that a strategy needs.

    Without a usable snapshot each stream is fetched whole. If that fails too, its history is empty:
    a cold start.

    Args:
        plan: the resolved configuration.
        client: the open client; its clock is synchronised.
        wait: how long to wait for a snapshot if there is none.

    Returns:
        The histories, in the order of ``plan.strategy_streams``.

    Raises:
        SnapshotError: there is no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        RefusedError: Binance will never serve what a strategy needs.
    """
    snapshot: Snapshot | None = None
    try:
        snapshot = await awaited_snapshot(plan, client.now_ms, wait)
    except SnapshotError as error:
        if plan.on_failure == "fail":
            raise
        logger.warning("no usable snapshot: {error}", event="snapshot.unusable", error=error)
    return await histories_of(plan, snapshot, client)


async def histories_of(
    plan: WarmupPlan, snapshot: Snapshot | None, client: BinanceClient
) -> list[History]:
    """Load the histories like `load_histories`, but from a snapshot of `awaited_snapshot`."""
    # A job that ran beside the trader may have been limited or banned while the trader waited.
    await wait_for_limit((plan.root,), plan.venue.endpoint)
    now_ms = client.now_ms()
    client.extend_deadline(plan.deadline_ms)
    return [await _load(plan, each, snapshot, client, now_ms) for each in plan.strategy_streams]


async def _load(
    warmup: WarmupPlan,
    plan: StreamPlan,
    snapshot: Snapshot | None,
    client: BinanceClient,
    now_ms: int,
) -> History:
    """Load one stream: stored bars while they are fresh, else with those that closed since."""
    stale = ""
    instrument = reusable = None
    entry = None if snapshot is None else snapshot.stream(plan.stream)
    if snapshot is not None and entry is not None:
        last_ms = plan.stream.interval.last_closed(now_ms)
        age_ms = _age_ms(plan.stream.interval, entry, client.now_ms())
        try:
            instrument = stored_instrument(snapshot, entry.instrument_id)
            if age_ms <= warmup.max_age_ms and missing_bars_of(plan, entry, last_ms) < plan.bars:
                logger.info(
                    "{stream}: {bars} bars to {last_close}",
                    event="stream.loaded",
                    stream=plan.stream,
                    bars=entry.bar_count,
                    last_close=utc_text(entry.last_close),
                )
                found = _stored(snapshot, entry)
                return _history(warmup, plan, found, instrument, snapshot.folder.name)
            reusable = reusable_bars(snapshot, plan, last_ms, warmup.max_gap_bars)
            age = duration_text(age_ms)
            stale = f"the snapshot is stale: {plan.stream} has lacked bars for {age}"
        except (SnapshotError, OSError) as error:
            logger.warning(
                "the snapshot {snapshot} cannot be read: {error}",
                event="snapshot.unreadable",
                snapshot=snapshot.folder.name,
                error=error,
            )
            instrument = None
    if stale:
        logger.warning("{problem}; fetching them", event="snapshot.stale", problem=stale)
    else:
        logger.warning(
            "{stream}: fetching the whole window",
            event="stream.fetching_whole_window",
            stream=plan.stream,
        )
    try:
        if instrument is None:
            instrument = await _fetch_instrument(client, plan, now_ms)
        acquired = await acquire_bars(client, plan, client.now_ms(), reusable=reusable)
        if not acquired.bars.rows:
            raise DataInvalidError(f"{plan.stream}: Binance has no closed kline")
        used = "" if snapshot is None or reusable is None else snapshot.folder.name
        return _history(warmup, plan, acquired, instrument, used)
    except RefusedError:
        raise  # no node could trade it either
    except WarmupError as error:
        if stale and warmup.on_failure == "fail":
            raise SnapshotError(f"{stale}, and they cannot be fetched: {error}") from None
        logger.warning(
            "{stream}: STARTING COLD: its bars cannot be fetched: {error}",
            event="stream.started_cold",
            stream=plan.stream,
            error=error,
        )
        return _history(warmup, plan, None, None)


def _age_ms(interval: Interval, entry: StreamEntry, now_ms: int) -> int:
    """Return how long ago the first missing bar closed, ms; below 0: it has not closed yet."""
    missing_ms = interval.next(interval.floor(entry.last_close))
    return now_ms - interval.next(missing_ms)


def _stored(snapshot: Snapshot, entry: StreamEntry) -> AcquiredBars:
    verdict = Verdict(entry.bar_count, entry.certificate, tuple(entry.indicators))
    return AcquiredBars(snapshot.bars(entry), entry.gaps, entry.from_listing, None, verdict)


async def _fetch_instrument(client: BinanceClient, plan: StreamPlan, now_ms: int) -> Instrument:
    symbol = plan.stream.symbol
    entries = await client.exchange_info([symbol])
    if symbol not in entries:
        raise UnknownSymbolError(unlisted_text(client.url, symbol, client.listed))
    first_open_ms = pages_at(plan, client.market, now_ms).first_open_ms
    return parse_instrument(client.market, entries[symbol], first_open_ms * NS_PER_MS)


def _history(
    warmup: WarmupPlan,
    plan: StreamPlan,
    acquired: AcquiredBars | None,
    instrument: Instrument | None,
    snapshot: str = "",
) -> History:
    """Describe what the runner starts with; without bars it starts cold."""
    bar_type = bar_type_of(warmup.venue.instrument_id(plan.stream.symbol), plan.stream.interval)
    bars, from_listing, verdict = [], False, Verdict(plan.bars)
    if acquired is not None and instrument is not None:
        bars = unpack_bars(acquired.bars, bar_type, instrument)
        from_listing, verdict = acquired.from_listing, acquired.verdict
    certificate = verdict.certificate
    if certificate is not None and warmup.require_proof:
        logger.info(
            "{stream}: {certificate}",
            event="stream.certificate",
            stream=plan.stream,
            certificate=explain(certificate),
        )
    proof = None
    if warmup.require_proof and plan.detector is not None:
        bounds = None if certificate is None else Bounds(certificate.lowest, certificate.highest)
        most = max(plan.bar_counts[-1], len(bars) if from_listing else 0)
        proof = RollingCertificate(plan.detector, most, bounds, from_listing=from_listing)
        if acquired is not None and bars:
            columns = float_columns(acquired.bars.tables(), ("high", "low", "close"))
            # Older bars are neither in the proof's window nor beyond its bounds.
            before_newest = (column[-most - 1 : -1] for column in columns)
            for high, low, close in zip(*before_newest, strict=True):
                proof.update(high, low, close)
    # With `auto` the job found out how many bars are enough: those that it published.
    wanted = min(plan.bars, len(bars) or plan.bars) if plan.auto else plan.bars
    if warmup.require_proof:
        needed = [each.bars_needed or plan.bar_counts[-1] for each in verdict.indicators]
        wanted = max(wanted, *needed, 0)
    return History(
        bar_type=bar_type,
        interval=plan.stream.interval,
        bars=bars,
        wanted=wanted,
        from_listing=from_listing,
        instrument=instrument,
        proof=proof,
        certificate=certificate,
        declared=tuple((each.kind, each.period) for each in plan.indicators),
        snapshot=snapshot,
    )
