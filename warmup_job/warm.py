"""The producer, top to bottom: config → plan → fetch → check → bars → stage → publish."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from warmup_job.config import WarmupConfig
from warmup_job.errors import (
    DataInvalidError,
    DeadlineError,
    SnapshotError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.market.gaps import missing_bars
from warmup_job.market.moment import NS_PER_MS, duration_text, parse_when, utc_text
from warmup_job.nautilus import arrow
from warmup_job.nautilus.names import bar_type_name, instrument_id_of
from warmup_job.plan import StreamPlan, endpoint, open_client, plan_streams, stream_settings_digest
from warmup_job.snapshot.manifest import InstrumentEntry, Manifest, StreamEntry, Versions
from warmup_job.snapshot.publish import Published, check_writable, publish
from warmup_job.snapshot.quiet import remember_quiet, sit_out
from warmup_job.snapshot.verify import Snapshot, open_snapshot

if TYPE_CHECKING:
    from warmup_job.exchange.client import BinanceClient
    from warmup_job.exchange.fetch import Fetched

_LAST_WORD_MS = 50  # between giving up by ourselves and being cut off
_SKEW_TO_TELL_MS = 2_000
_MARK_PRECISION = 8  # mark prices are finer than the tick: they have a precision of their own


@dataclass(slots=True)
class Outcome:
    """How a run ended. ``errors`` holds every stream's; the worst one gives the exit code."""

    manifest: Manifest | None = None
    published: Published | None = None
    errors: list[WarmupError] = field(default_factory=list)

    @property
    def worst(self) -> WarmupError | None:
        """The error with the highest exit code, or None when all went well."""
        return max(self.errors, key=lambda error: error.exit_code, default=None)


@dataclass(frozen=True, slots=True)
class WarmInstrument:
    """An instrument for the catalog: ``write`` puts its file there, stamped with a time in ns."""

    entry: InstrumentEntry
    write: Callable[[Path, int], None]


@dataclass(frozen=True, slots=True)
class WarmStream:
    """One stream, fetched and checked, ready for the catalog."""

    entry: StreamEntry
    bars: arrow.PackedBars


async def warm(
    config: WarmupConfig,
    *,
    until: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Fetch, check and publish one snapshot of every stream within the deadline.

    Args:
        until: pretend that it is this moment (see `parse_when`); None: by the exchange's clock.
        dry_run: do everything but publish.
        progress: told the number of rows of each page.

    Returns:
        The outcome; errors of single streams are in it, and the good streams are published.

    Raises:
        WarmupError: nothing was published, and the snapshot that was current still is.
    """
    started = time.monotonic()
    root, outcome = config.snapshot.root, Outcome()
    if not dry_run:
        check_writable(root)
    previous = _previous(config)
    # While the network is waited for; an import of the same later waits for this one.
    threading.Thread(target=_import_ahead, args=(previous is None,), daemon=True).start()
    try:
        async with asyncio.timeout(config.warmup.deadline_ms / 1000):
            await sit_out((root,), endpoint(config), most_ms=config.warmup.deadline_ms)
            client = open_client(
                config, on_limit=lambda ms: remember_quiet(root, endpoint(config), ms)
            )
            # Imports count too; the client gives up a little earlier, for the better reason.
            spent_ms = round((time.monotonic() - started) * 1000)
            client.extend_deadline(config.warmup.deadline_ms - spent_ms - _LAST_WORD_MS)
            async with client:
                plans, entries, fetched = await _fetch(config, client, until, progress)
            streams, instruments = _check(config, plans, entries, fetched, previous, outcome)
    except TimeoutError:
        raise DeadlineError(
            f"not done within warmup.deadline ({duration_text(config.warmup.deadline_ms)}): "
            "raise it, or ask for fewer bars"
        ) from None
    if not streams:
        raise outcome.worst or WarmupError("no stream and no error: report this as a bug")
    outcome.manifest = Manifest(
        created_at=client.now_ms(),
        venue=config.venue.venue.name,
        market=client.market,
        endpoint=client.url,
        streams=[stream.entry for stream in streams],
        instruments=[instrument.entry for instrument in instruments],
        degraded=[str(error) for error in outcome.errors],
        content_digest=_content_digest(streams, instruments),
        settings_digest=stream_settings_digest(config),
        versions=_versions(),
        weight_spent=client.budget.spent,
        seconds=round(time.monotonic() - started, 3),
        files=[],
    )
    if not dry_run:

        def write(catalog: Path) -> None:
            _write(catalog, streams, instruments)

        outcome.published = publish(root, outcome.manifest, write, config.snapshot.keep)
    return outcome


# -- fetch -----------------------------------------------------------------------------------------


async def _fetch(
    config: WarmupConfig,
    client: BinanceClient,
    until: str | None,
    progress: Callable[[int], object],
) -> tuple[list[StreamPlan], dict[str, Any], list[Any]]:
    """The plans, the venue's entries, and for each plan what came: klines, or the error."""
    from warmup_job.exchange.fetch import Stream, fetch_last

    clock = await client.sync_clock()
    skewed = abs(clock.ahead_ms) > _SKEW_TO_TELL_MS
    logger.log(
        "WARNING" if skewed else "INFO",
        "this machine's clock is {} ms {} the exchange's (round trip {} ms); nothing goes by it",
        abs(clock.ahead_ms), "ahead of" if clock.ahead_ms > 0 else "behind", clock.round_trip_ms,
    )  # fmt: skip
    until_ms = client.now_ms()
    if until is not None:
        until_ms = min(until_ms, parse_when(until, until_ms))
    plans = plan_streams(config, until_ms)

    async def fetch(plan: StreamPlan) -> Fetched[arrow.PackedBars]:
        logger.info(
            "{}: fetching {} bars in {} page(s), weight {}",
            plan.name, plan.bars, len(plan.pages), plan.weight,
        )  # fmt: skip
        stream = Stream(plan.symbol, plan.interval, plan.price)
        return await fetch_last(client, stream, plan.bars, until_ms, arrow.pack, progress)

    entries, *fetched = await asyncio.gather(
        client.exchange_info(plan.symbol for plan in plans),
        *(fetch(plan) for plan in plans),
        return_exceptions=True,
    )
    if isinstance(entries, BaseException):
        raise entries
    return plans, entries, fetched


# -- check -----------------------------------------------------------------------------------------


def _check(
    config: WarmupConfig,
    plans: list[StreamPlan],
    entries: dict[str, Any],
    fetched: list[Any],
    previous: Snapshot | None,
    outcome: Outcome,
) -> tuple[list[WarmStream], list[WarmInstrument]]:
    """Streams and instruments that are good; what is not goes into the outcome's errors."""
    streams: list[WarmStream] = []
    instruments: dict[str, WarmInstrument] = {}
    for plan, result in zip(plans, fetched, strict=True):
        try:
            if isinstance(result, BaseException):
                raise result
            if plan.symbol not in entries:
                raise UnknownSymbolError(
                    f"the venue does not list the symbol {plan.symbol}: correct it"
                )
            if plan.symbol not in instruments:
                instruments[plan.symbol] = _instrument(
                    config, plan.symbol, entries[plan.symbol], previous
                )
            stream = _stream(plan, result, instruments[plan.symbol].entry)
        except WarmupError as error:
            logger.error("{}: {}", plan.name, error)
            outcome.errors.append(error)
        else:
            streams.append(stream)
            outcome.errors += _shortcomings(plan, stream, config.warmup.max_gap_bars)
    used = {stream.entry.symbol for stream in streams}
    return streams, [instruments[symbol] for symbol in instruments if symbol in used]


def _stream(
    plan: StreamPlan, fetched: Fetched[arrow.PackedBars], instrument: InstrumentEntry
) -> WarmStream:
    if not fetched.opens_ms:
        raise DataInvalidError("the venue has no closed kline of it")
    bars = arrow.join(fetched.parts, len(fetched.opens_ms))
    mark = plan.price == "mark"
    entry = StreamEntry(
        symbol=plan.symbol,
        instrument_id=instrument.instrument_id,
        bar_type=bar_type_name(instrument.instrument_id, plan.interval, plan.price),
        interval=plan.interval.name,
        price=plan.price,
        price_precision=_MARK_PRECISION if mark else instrument.price_precision,
        size_precision=instrument.size_precision,
        first_open=fetched.opens_ms[0],
        last_close=plan.interval.close_ms(fetched.opens_ms[-1]),
        bar_count=len(fetched.opens_ms),
        gaps=fetched.gaps,
        from_listing=fetched.from_listing,
    )
    arrow.check_precision(bars, entry.bar_type, entry.price_precision, entry.size_precision)
    logger.info(
        "{}: {} of {} bars came, all closed, to {}",
        plan.name, entry.bar_count, plan.bars, utc_text(entry.last_close),
    )  # fmt: skip
    return WarmStream(entry, bars)


def _shortcomings(plan: StreamPlan, stream: WarmStream, max_gap_bars: int) -> list[WarmupError]:
    found: list[WarmupError] = []
    missing = missing_bars(stream.entry.gaps)
    if missing:
        first = utc_text(stream.entry.gaps[0].first_ms)
        logger.warning(
            "{}: the venue itself lacks {} bar(s), first at {}", plan.name, missing, first
        )
        if missing > max_gap_bars:
            found.append(
                DataInvalidError(
                    f"{plan.name}: the venue lacks {missing} bars from {first} on, allowed are "
                    f"{max_gap_bars} (warmup.max_gap_bars)"
                )
            )
    if stream.entry.from_listing and stream.entry.bar_count < plan.bars:
        logger.warning(
            "{}: the symbol is young, its whole history is {} bars ({} were asked for)",
            plan.name, stream.entry.bar_count, plan.bars,
        )  # fmt: skip
    return found


# -- instruments -----------------------------------------------------------------------------------


def _import_ahead(with_nautilus: bool) -> None:
    arrow.import_ahead()
    if with_nautilus:
        import warmup_job.nautilus.catalog
        import warmup_job.nautilus.instruments  # noqa: F401


def _previous(config: WarmupConfig) -> Snapshot | None:
    """The last snapshot, if it was written by the same versions from the same venue."""
    try:
        snapshot = open_snapshot(config.snapshot.root)
    except SnapshotError:
        return None
    same = snapshot.manifest.versions == _versions()
    return snapshot if same and snapshot.manifest.endpoint == endpoint(config) else None


def _instrument(
    config: WarmupConfig, symbol: str, raw: dict[str, Any], previous: Snapshot | None
) -> WarmInstrument:
    """The instrument as Nautilus makes it; taken over where the venue's entry is unchanged.

    That spares a run the second that importing Nautilus takes.
    """
    source_digest = hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()
    if previous is not None:
        for entry in previous.manifest.instruments:
            source = previous.instrument_file(entry.instrument_id)
            if (entry.symbol, entry.source_digest) == (symbol, source_digest) and source:
                return WarmInstrument(entry, partial(arrow.restamp_instrument, source))
    from warmup_job.nautilus.catalog import canonical_values, write_instruments
    from warmup_job.nautilus.instruments import parse_instrument

    market = config.venue.market
    made = parse_instrument(market, raw, 0)
    entry = InstrumentEntry(
        symbol=symbol,
        instrument_id=instrument_id_of(market, symbol),
        price_precision=made.price_precision,
        size_precision=made.size_precision,
        source_digest=source_digest,
        values_digest=hashlib.sha256(canonical_values(made)).hexdigest(),
    )
    return WarmInstrument(
        entry,
        lambda catalog, ts_ns: write_instruments(catalog, [parse_instrument(market, raw, ts_ns)]),
    )


# -- publish ---------------------------------------------------------------------------------------


def _write(catalog: Path, streams: list[WarmStream], instruments: list[WarmInstrument]) -> None:
    catalog.mkdir()
    for instrument in instruments:
        symbol = instrument.entry.symbol
        opens = (stream.entry.first_open for stream in streams if stream.entry.symbol == symbol)
        instrument.write(catalog, min(opens) * NS_PER_MS)
    for stream in streams:
        entry = stream.entry
        arrow.write_bars(
            catalog,
            stream.bars,
            bar_type=entry.bar_type,
            instrument_id=entry.instrument_id,
            price_precision=entry.price_precision,
            size_precision=entry.size_precision,
        )


def _content_digest(streams: list[WarmStream], instruments: list[WarmInstrument]) -> str:
    """sha256 over the canonical values of instruments and bars, the same on any machine."""
    digest = hashlib.sha256()
    for entry in sorted((each.entry for each in instruments), key=lambda e: e.instrument_id):
        digest.update(f"instrument {entry.instrument_id} {entry.values_digest}\n".encode())
    for stream in sorted(streams, key=lambda each: each.entry.bar_type):
        arrow.update_digest(digest, stream.entry.bar_type, stream.bars)
    return digest.hexdigest()


def _versions() -> Versions:
    return Versions(
        warmup_job=version("warmup-job"),
        ccxt=version("ccxt"),
        nautilus_trader=version("nautilus_trader"),
        pyarrow=version("pyarrow"),
        catalog_schema=arrow.CATALOG_SCHEMA,
    )
