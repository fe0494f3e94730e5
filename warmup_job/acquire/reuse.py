"""What the last snapshot spares the next run: bars that it has, instruments that are unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from warmup_job.catalog import packed_bars as arrow
from warmup_job.catalog import stored_bars as stored
from warmup_job.catalog.names import instrument_id_of
from warmup_job.errors import SnapshotError
from warmup_job.market.rows import missing_bars
from warmup_job.plan.stream_pages import StreamPages
from warmup_job.plan.venue_plan import VenuePlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.manifest import InstrumentEntry, Versions
from warmup_job.snapshot.verify import Snapshot, find_problems, open_snapshot

if TYPE_CHECKING:
    from warmup_job.binance.fetch import Known
    from warmup_job.proof.certificate import Certificate

RE_ASKED = 5
"""So many of the last bars are fetched again, in case that the venue has revised them."""


@dataclass(frozen=True, slots=True)
class WarmInstrument:
    """An instrument, ready for the catalog."""

    entry: InstrumentEntry
    packed: arrow.PackedInstrument


def last_snapshot(plan: WarmupPlan) -> Snapshot | None:
    """The current snapshot, if it was written by the same versions from the same venue.

    Only its manifest was read so far: `is_whole` looks at the rest.
    """
    try:
        snapshot = open_snapshot(plan.root)
    except SnapshotError:
        return None
    manifest = snapshot.manifest
    same = (manifest.versions, manifest.endpoint) == (written_by(), plan.venue.endpoint)
    return snapshot if same else None


def is_whole(snapshot: Snapshot) -> bool:
    """Whether every file is as it was written."""
    problems = find_problems(snapshot)
    if problems:
        logger.warning(
            "the last snapshot, {}, is not gone on from: {}",
            snapshot.folder.name, "; ".join(problems),
        )  # fmt: skip
    return not problems


def serves(plan: WarmupPlan, snapshot: Snapshot) -> bool:
    """Whether a snapshot is what this configuration asks for, its age apart."""
    manifest = snapshot.manifest
    return not manifest.degraded and manifest.settings_digest == plan.settings_digest


def is_up_to_date(snapshot: Snapshot, streams: list[StreamPages]) -> bool:
    """Whether no bar of any stream has closed since; ``streams`` are made for now."""
    for pages in streams:
        stream = pages.plan.stream
        entry = snapshot.stream(stream.symbol, stream.interval.name, stream.price)
        if entry is None or stream.interval.floor(entry.last_close) != pages.last_open_ms:
            return False
    return True


def known_bars(
    snapshot: Snapshot, pages: StreamPages, max_gap_bars: int
) -> Known[arrow.PackedBars] | None:
    """The bars of the stream that need not be fetched.

    None: fetching all costs no more, or too many are missing among them, and may have come since.
    """
    from warmup_job.binance.fetch import Known

    stream, interval = pages.plan.stream, pages.plan.stream.interval
    entry = snapshot.stream(stream.symbol, interval.name, stream.price)
    if entry is None or entry.bar_count <= RE_ASKED or missing_bars(entry.gaps) > max_gap_bars:
        return None
    newest_ms = interval.floor(entry.last_close)
    oldest_asked_ms = interval.shift(newest_ms, 1 - RE_ASKED)
    to_fetch = interval.count(oldest_asked_ms, pages.last_open_ms)
    if newest_ms > pages.last_open_ms or to_fetch >= pages.plan.bars:
        return None
    bars = stored.StoredBars(snapshot.catalog, entry.bar_type)
    parts = bars.parts()
    if sum(part.rows for part in parts) != entry.bar_count:  # a folder that cannot be listed
        logger.warning("{}: the last snapshot's bars cannot be read any more", stream)
        return None
    opens_ms = [interval.floor(close_ms) for close_ms in bars.close_times_ms()]
    last = {interval.floor(each.close_ms): each for each in stored.last_values(parts, RE_ASKED)}
    kept = stored.without_last(parts, RE_ASKED)
    return Known(opens_ms[:-RE_ASKED], kept, last, entry.from_listing)


def known_certificate(snapshot: Snapshot, pages: StreamPages) -> Certificate | None:
    """The certificate of the stream's bars there, if its bounds and what follows are all bounds."""
    plan, stream = pages.plan, pages.plan.stream
    entry = snapshot.stream(stream.symbol, stream.interval.name, stream.price)
    if entry is None or entry.certificate is None or entry.certificate.exact:
        return None
    newest_ms = stream.interval.floor(entry.last_close)
    since = stream.interval.count(newest_ms, pages.last_open_ms)
    return entry.certificate if since <= min(plan.bars, plan.bar_counts[-1]) else None


def warm_instrument(
    venue: VenuePlan, symbol: str, raw: dict[str, Any], last: Snapshot | None
) -> WarmInstrument:
    """The instrument as Nautilus makes it; taken over where the venue's entry is unchanged.

    That spares a run the second that importing Nautilus takes.
    """
    source_digest = hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()
    if last is not None:
        for entry in last.manifest.instruments:
            if (entry.symbol, entry.source_digest) == (symbol, source_digest):
                packed = last.instrument(entry)
                if packed is not None:
                    return WarmInstrument(entry, packed)
    from warmup_job.catalog.instruments import parse_instrument
    from warmup_job.catalog.nautilus_catalog import pack_instrument, values_digest

    market = venue.market
    made = parse_instrument(market, raw, 0)
    entry = InstrumentEntry(
        symbol=symbol,
        instrument_id=instrument_id_of(market, symbol),
        price_precision=made.price_precision,
        size_precision=made.size_precision,
        source_digest=source_digest,
        values_digest=values_digest(made),
    )
    return WarmInstrument(entry, pack_instrument(made))


def written_by() -> Versions:
    """The versions that a snapshot of this process is written by."""
    return Versions(
        warmup_job=version("warmup-job"),
        ccxt=version("ccxt"),
        nautilus_trader=version("nautilus_trader"),
        pyarrow=version("pyarrow"),
        catalog_schema=arrow.CATALOG_SCHEMA,
    )
