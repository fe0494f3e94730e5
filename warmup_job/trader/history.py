"""History for the trader: from the snapshot, brought up to date where it is old, or fetched."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from loguru import logger

from warmup_job.acquire.prove import Columns, Proof, explain, extremes_of
from warmup_job.acquire.reuse import RE_ASKED, known_bars, known_certificate
from warmup_job.binance.fetch import Fetched, Known, fetch_last
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.catalog.instruments import parse_instrument
from warmup_job.catalog.names import instrument_id_of
from warmup_job.catalog.nautilus_bars import at_one_precision, bar_type_of, instrument_bars
from warmup_job.catalog.nautilus_catalog import (
    read_bars,
    read_instrument,
    reader_schema,
    values_digest,
)
from warmup_job.errors import (
    DataInvalidError,
    RefusedError,
    SnapshotError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.handoff.stream_history import History
from warmup_job.market.kline import Klines
from warmup_job.market.times import NS_PER_MS, duration_text, utc_text
from warmup_job.plan.stream_pages import StreamPages, pages_at
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.proof.rolling_certificate import RollingCertificate
from warmup_job.proof.window import Bounds
from warmup_job.snapshot.manifest import IndicatorEntry, StreamEntry
from warmup_job.snapshot.verify import Snapshot, verify

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar
    from nautilus_trader.model.instruments import Instrument

    from warmup_job.binance.client import BinanceClient
    from warmup_job.proof.certificate import Certificate

_CLOCK_DOUBT_MS = 5_000  # our idea of the exchange's clock lags by half a round trip


async def load_histories(warmup: WarmupPlan, client: BinanceClient) -> list[History]:
    """Of every stream that the strategies are warmed with.

    Without a usable snapshot each is fetched whole, and is empty (a cold start) if that fails too.

    Raises:
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        RefusedError: the exchange will never serve what a strategy needs.
    """
    snapshot: Snapshot | None = None
    try:
        snapshot = open_for_trading(warmup, client.now_ms())
    except SnapshotError as error:
        if warmup.on_failure == "fail":
            raise
        logger.warning("no usable snapshot: {}", error)
    return await histories_of(warmup, snapshot, client)


async def histories_of(
    warmup: WarmupPlan, snapshot: Snapshot | None, client: BinanceClient
) -> list[History]:
    """`load_histories` from a snapshot that is open already."""
    market, now_ms = warmup.venue.market, client.now_ms()
    client.extend_deadline(warmup.deadline_ms)
    streams = [pages_at(plan, market, now_ms) for plan in warmup.strategy_streams]
    return [await _load(warmup, pages, snapshot, client) for pages in streams]


def open_for_trading(plan: WarmupPlan, now_ms: int) -> Snapshot:
    """The current snapshot, if nothing but its age is wrong with it.

    Raises:
        SnapshotError: with every problem that was found.
    """
    snapshot = verify(
        plan.root,
        now_ms=now_ms,
        clock_error_ms=_CLOCK_DOUBT_MS,
        requirements=replace(plan.snapshot_requirements, catalog_schema=reader_schema()),
    )
    for said in snapshot.manifest.instruments:  # what only Nautilus can decode
        made = read_instrument(snapshot.catalog, said.instrument_id)
        if made is not None and values_digest(made) != said.values_digest:
            raise SnapshotError(
                f"the snapshot {snapshot.folder.name} cannot be used: {said.instrument_id} is not "
                "the instrument that its manifest names"
            )
    logger.info(
        "snapshot {} verified: {} file(s) unaltered",
        snapshot.folder.name, len(snapshot.manifest.files),
    )  # fmt: skip
    for reason in snapshot.manifest.degraded:
        logger.warning("the snapshot is degraded: {}", reason)
    return snapshot


async def _load(
    warmup: WarmupPlan, pages: StreamPages, snapshot: Snapshot | None, client: BinanceClient
) -> History:
    """One stream: as it lies there while that is fresh, else with what has closed since."""
    plan, stream, interval = pages.plan, pages.plan.stream, pages.plan.stream.interval
    stale = ""
    try:
        entry = None if snapshot is None else snapshot.stream(stream.symbol, interval.name)
        stored = None if snapshot is None or entry is None else _stored(snapshot, entry)
        if snapshot is None or entry is None or stored is None:
            logger.warning("{}: fetching the whole window", stream)
            return await _fetch(warmup, pages, client)
        bars, instrument = stored
        missing_ms = interval.next(interval.floor(entry.last_close))
        age_ms = client.now_ms() - interval.next(missing_ms)
        lacking = age_ms > warmup.max_age_ms
        if not lacking and interval.count(missing_ms, pages.last_open_ms) < plan.bars:
            logger.info("{}: {} bars to {}", stream, len(bars), utc_text(entry.last_close))
            return _history(
                warmup, plan, bars, entry.certificate, entry.indicators, entry.from_listing,
                instrument,
            )  # fmt: skip
        stale = f"the snapshot is stale, {stream} is missing since {duration_text(age_ms)} ago"
        logger.warning("{}: bringing it up to date", stale)
        known = _known(warmup, pages, snapshot, bars)
        before = known_certificate(snapshot, pages) if known else None
        return await _fetch(warmup, pages, client, instrument, known, before)
    except RefusedError:
        raise  # no node could trade it either
    except WarmupError as error:
        if stale and warmup.on_failure == "fail":
            raise SnapshotError(f"{stale}, and cannot be brought up to date: {error}") from None
        logger.warning("{}: STARTING COLD: the window could not be had: {}", stream, error)
        return _history(warmup, plan, [], None)


def _stored(snapshot: Snapshot, entry: StreamEntry) -> tuple[list[Bar], Instrument] | None:
    """A stream's bars as they lie there; None: they went away while they were read."""
    try:
        bars = read_bars(snapshot.catalog, entry.bar_type)
        instrument = read_instrument(snapshot.catalog, entry.instrument_id)
    except SnapshotError as error:
        logger.warning("the snapshot {} cannot be read: {}", snapshot.folder.name, error)
        return None
    if len(bars) != entry.bar_count or instrument is None:  # a missing path reads as no bars
        logger.warning("the snapshot {} went away while it was read", snapshot.folder.name)
        return None
    return bars, instrument


def _known(
    warmup: WarmupPlan, pages: StreamPages, snapshot: Snapshot, bars: list[Bar]
) -> Known[list[Bar]] | None:
    """What need not be fetched; None: all of it costs no more."""
    known = known_bars(snapshot, pages, warmup.max_gap_bars)
    if known is None:
        return None
    return Known(known.opens_ms, [bars[:-RE_ASKED]], known.last, known.from_listing)


async def _fetch(
    warmup: WarmupPlan,
    pages: StreamPages,
    client: BinanceClient,
    instrument: Instrument | None = None,
    known: Known[list[Bar]] | None = None,
    before: Certificate | None = None,
) -> History:
    plan, stream = pages.plan, pages.plan.stream
    if instrument is None:
        entries = await client.exchange_info([stream.symbol])
        if stream.symbol not in entries:
            raise UnknownSymbolError(
                f"{client.url} does not list the symbol {stream.symbol}: correct it"
            )
        instrument = parse_instrument(
            client.market, entries[stream.symbol], pages.first_open_ms * NS_PER_MS
        )
    made = instrument

    def pack(klines: Klines) -> list[Bar]:
        return instrument_bars(klines, made, stream.interval)

    async with extremes_of(client, stream, ahead=plan.needs_bounds and before is None) as extremes:
        proof = Proof(plan, _columns, extremes, before)
        fetched = await fetch_last(
            client, stream, plan.bars, client.now_ms(), pack, known=known, enough=proof.enough
        )
    if not fetched.opens_ms:
        raise DataInvalidError(f"{stream}: the venue has no closed kline")
    bars = at_one_precision(_joined(fetched, len(fetched.opens_ms)))
    return _history(
        warmup, plan, bars, proof.certificate, proof.indicators, fetched.from_listing, instrument
    )


def _joined(fetched: Fetched[list[Bar]], last: int) -> list[Bar]:
    """The last bars of all pages, ascending, each once."""
    bars = {bar.ts_event: bar for part in fetched.parts for bar in part}
    return sorted(bars.values(), key=attrgetter("ts_event"))[-last:]


def _columns(fetched: Fetched[list[Bar]], bars: int) -> Columns:
    exact = [detector_bar(bar) for bar in _joined(fetched, bars)]
    return (
        [bar.high for bar in exact],
        [bar.low for bar in exact],
        [bar.close for bar in exact],
    )


def _history(
    warmup: WarmupPlan,
    plan: StreamPlan,
    bars: list[Bar],
    certificate: Certificate | None,
    indicators: list[IndicatorEntry] | None = None,
    from_listing: bool = False,
    instrument: Instrument | None = None,
) -> History:
    """What the runner starts from, and what it must see before an order may leave."""
    proven = warmup.require_proof
    if certificate is not None and proven:
        logger.info("{}: {}", plan.stream, explain(certificate))
    proof = None
    if proven and plan.detector is not None:
        bounds = None if certificate is None else Bounds(certificate.lowest, certificate.highest)
        most = max(plan.bar_counts[-1], len(bars) if from_listing else 0)
        proof = RollingCertificate(plan.detector, most, bounds, from_listing=from_listing)
    # Of `auto` the job has found how many it takes.
    wanted = min(plan.bars, len(bars) or plan.bars) if plan.auto else plan.bars
    if proven:
        needed = [each.bars_needed or plan.bar_counts[-1] for each in indicators or ()]
        wanted = max(wanted, *needed, 0)
    return History(
        bar_type=bar_type_of(
            instrument_id_of(warmup.venue.market, plan.stream.symbol), plan.stream.interval
        ),
        interval=plan.stream.interval,
        bars=bars,
        wanted=wanted,
        from_listing=from_listing,
        instrument=instrument,
        proof=proof,
        certificate=certificate,
        declared=tuple((each.kind, each.period) for each in plan.indicators),
    )
