"""The producer, top to bottom: config → plan → fetch → check → bars → stage → publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from warmup_job.config import Stream, WarmupConfig
from warmup_job.errors import DataInvalidError, DeadlineError, RefusedError, WarmupError
from warmup_job.market.gaps import missing_bars
from warmup_job.market.interval import Interval
from warmup_job.market.moment import duration_text, parse_when, utc_text
from warmup_job.market.plan import Market, Page, plan_pages
from warmup_job.market.symbol import venue_symbol
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.manifest import (
    Manifest,
    StreamEntry,
    Versions,
    content_digest,
    settings_digest,
)
from warmup_job.snapshot.publish import Published, check_writable, publish

if TYPE_CHECKING:
    from nautilus_trader.model.data import Bar
    from nautilus_trader.model.instruments import Instrument

    from warmup_job.exchange.client import BinanceClient
    from warmup_job.exchange.fetch import Fetched

STRATEGY_INTERVAL = "1m"
"""What HedgeGridV1 is run on, as by naut_hedgegrid."""
_LAST_WORD_MS = 50  # between giving up by ourselves and being cut off
_BYTES_PER_BAR, _BYTES_PER_STREAM = 45, 16_000  # measured on recorded klines; for the plan only


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What one stream takes: its pages up to the newest kline that is closed at ``until_ms``."""

    symbol: str
    interval: Interval
    bars: int
    reason: str
    """Why this many, for people."""
    pages: tuple[Page, ...]

    @property
    def weight(self) -> int:
        """Request weight of its kline pages."""
        return sum(page.weight for page in self.pages)

    @property
    def disk_bytes(self) -> int:
        """About how much it takes on the volume."""
        return self.bars * _BYTES_PER_BAR + _BYTES_PER_STREAM


@dataclass(frozen=True, slots=True)
class WarmStream:
    """One stream, fetched and checked, ready for the catalog."""

    plan: StreamPlan
    fetched: Fetched
    instrument: Instrument
    bars: list[Bar]

    @property
    def entry(self) -> StreamEntry:
        """What the manifest says of it."""
        klines = self.fetched.klines
        return StreamEntry(
            symbol=self.plan.symbol,
            instrument_id=str(self.instrument.id),
            bar_type=str(self.bars[0].bar_type),
            interval=self.plan.interval.name,
            first_open=klines[0].open_ms,
            last_close=self.plan.interval.close_ms(klines[-1].open_ms),
            bar_count=len(klines),
            gaps=self.fetched.gaps,
            from_listing=self.fetched.from_listing,
        )


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


def detector_settings(config: WarmupConfig) -> DetectorSettings:
    """The strategy file's regime section as the detector takes it."""
    regime = config.strategy.regime
    return DetectorSettings(
        ema_fast=regime.ema_fast,
        ema_slow=regime.ema_slow,
        adx_len=regime.adx_len,
        atr_len=regime.atr_len,
        hysteresis_bps=regime.hysteresis_bps,
    )


def wanted_streams(config: WarmupConfig) -> tuple[Stream, ...]:
    """The streams of ``warmup.streams``, or else what the strategy needs."""
    needed = Stream(symbol=config.strategy.strategy.instrument_id, interval=STRATEGY_INTERVAL)
    return config.warmup.streams or (needed,)


def plan_streams(config: WarmupConfig, until_ms: int) -> list[StreamPlan]:
    """What to fetch, per stream, before anything is.

    Raises:
        RefusedError: an interval that Binance, or this market of it, does not have.
    """
    settings = detector_settings(config)
    auto = settings.auto_bars(config.warmup.max_bars)
    why = "auto: eight times the longest average, at least one cheapest page"
    plans = []
    for stream in wanted_streams(config):
        interval = Interval.parse(stream.interval)
        fixed = stream.bars != "auto"
        bars = int(stream.bars) if fixed else auto
        pages = plan_pages(config.venue.market, interval, bars, interval.last_closed(until_ms))
        reason = "as configured" if fixed else why
        plans.append(StreamPlan(venue_symbol(stream.symbol), interval, bars, reason, pages))
    return plans


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
    root = Path(config.snapshot.root)
    if not dry_run:
        check_writable(root)
    try:
        async with asyncio.timeout(config.warmup.deadline_ms / 1000):
            client = open_client(config)
            # Imports count too; the client gives up a little earlier, for the better reason.
            spent_ms = round((time.monotonic() - started) * 1000)
            client.extend_deadline(config.warmup.deadline_ms - spent_ms - _LAST_WORD_MS)
            streams, outcome = await _fetch_streams(config, client, until, progress)
    except TimeoutError:
        raise DeadlineError(
            f"not done within warmup.deadline ({duration_text(config.warmup.deadline_ms)}): "
            "raise it, or ask for fewer bars"
        ) from None
    if not streams:
        raise outcome.worst or WarmupError("no stream and no error: report this as a bug")
    outcome.manifest = _describe(config, streams, outcome, client, started)
    if not dry_run:
        outcome.published = _publish(root, config.snapshot.keep, outcome.manifest, streams)
    return outcome


async def _fetch_streams(
    config: WarmupConfig,
    client: BinanceClient,
    until: str | None,
    progress: Callable[[int], object],
) -> tuple[list[WarmStream], Outcome]:
    outcome = Outcome()
    async with client:
        ahead_ms = await client.sync_clock()
        if abs(ahead_ms) > 2_000:
            logger.warning("this machine's clock is {} ms ahead of the exchange's", ahead_ms)
        until_ms = client.now_ms()
        if until is not None:
            until_ms = min(until_ms, parse_when(until, until_ms))
        plans = plan_streams(config, until_ms)
        entries, *fetched = await asyncio.gather(
            client.exchange_info(plan.symbol for plan in plans),
            *(_fetch_stream(client, plan, until_ms, progress) for plan in plans),
            return_exceptions=True,
        )
    if isinstance(entries, BaseException):
        raise entries
    streams = []
    for plan, result in zip(plans, fetched, strict=True):
        try:
            if isinstance(result, BaseException):
                raise result
            first_ms = min(
                other.klines[0].open_ms
                for owner, other in zip(plans, fetched, strict=True)
                if owner.symbol == plan.symbol and not isinstance(other, BaseException)
            )
            stream = _to_stream(client.market, plan, result, entries, first_ms)
        except WarmupError as error:
            logger.error("{} {}: {}", plan.symbol, plan.interval.name, error)
            outcome.errors.append(error)
        else:
            streams.append(stream)
            outcome.errors += _shortcomings(stream, config.warmup.max_gap_bars)
    return streams, outcome


def open_client(config: WarmupConfig) -> BinanceClient:
    """The market that the venue file names, within the budget share and the deadline."""
    from warmup_job.exchange.client import BinanceClient  # ccxt takes 0.5 s
    from warmup_job.exchange.endpoints import rest_url

    venue = config.venue
    return BinanceClient(
        venue.market,
        rest_url(venue.market, venue.environment, venue.api.base_url),
        weight_per_minute=int(venue.rate_limits.weight_per_minute * config.warmup.budget_share),
        deadline_ms=config.warmup.deadline_ms,
    )


async def _fetch_stream(
    client: BinanceClient, plan: StreamPlan, until_ms: int, progress: Callable[[int], object]
) -> Fetched:
    from warmup_job.exchange.fetch import fetch_last

    logger.info(
        "{} {}: fetching {} bars in {} page(s), weight {}",
        plan.symbol, plan.interval.name, plan.bars, len(plan.pages), plan.weight,
    )  # fmt: skip
    fetched = await fetch_last(client, plan.symbol, plan.interval, plan.bars, until_ms, progress)
    if not fetched.klines:
        raise DataInvalidError(f"{plan.symbol} {plan.interval.name}: the venue has no closed kline")
    logger.info(
        "{} {}: {} of {} bars came, all closed, to {}",
        plan.symbol, plan.interval.name, len(fetched.klines), plan.bars,
        utc_text(plan.interval.close_ms(fetched.klines[-1].open_ms)),
    )  # fmt: skip
    return fetched


def _to_stream(
    market: Market,
    plan: StreamPlan,
    fetched: Fetched,
    entries: dict[str, dict[str, Any]],
    first_ms: int,
) -> WarmStream:
    from warmup_job.nautilus.bars import NS_PER_MS, instrument_bars
    from warmup_job.nautilus.instruments import parse_instrument

    if plan.symbol not in entries:
        raise RefusedError(f"the venue does not list the symbol {plan.symbol}: correct it")
    instrument = parse_instrument(market, entries[plan.symbol], first_ms * NS_PER_MS)
    return WarmStream(
        plan, fetched, instrument, instrument_bars(fetched.klines, instrument, plan.interval)
    )


def _shortcomings(stream: WarmStream, max_gap_bars: int) -> list[WarmupError]:
    name = f"{stream.plan.symbol} {stream.plan.interval.name}"
    found: list[WarmupError] = []
    missing = missing_bars(stream.fetched.gaps)
    if missing:
        first = utc_text(stream.fetched.gaps[0].first_ms)
        logger.warning("{}: the venue itself lacks {} bar(s), first at {}", name, missing, first)
    if missing > max_gap_bars:
        found.append(
            DataInvalidError(
                f"{name}: the venue lacks {missing} bars from {first} on, allowed are "
                f"{max_gap_bars} (warmup.max_gap_bars)"
            )
        )
    if stream.fetched.from_listing and len(stream.bars) < stream.plan.bars:
        logger.warning(
            "{}: the symbol is young, its whole history is {} bars ({} were asked for)",
            name, len(stream.bars), stream.plan.bars,
        )  # fmt: skip
    return found


def _describe(
    config: WarmupConfig,
    streams: list[WarmStream],
    outcome: Outcome,
    client: BinanceClient,
    started: float,
) -> Manifest:
    from warmup_job.nautilus.catalog import CATALOG_SCHEMA, canonical_instrument

    return Manifest(
        created_at=client.now_ms(),
        venue=config.venue.venue.name,
        market=client.market,
        endpoint=client.url,
        streams=[stream.entry for stream in streams],
        degraded=[str(error) for error in outcome.errors],
        content_digest=content_digest(
            {canonical_instrument(stream.instrument) for stream in streams},
            [(str(stream.bars[0].bar_type), stream.fetched.klines) for stream in streams],
        ),
        settings_digest=stream_settings_digest(config),
        versions=Versions(
            warmup_job=version("warmup-job"),
            ccxt=version("ccxt"),
            nautilus_trader=version("nautilus_trader"),
            pyarrow=version("pyarrow"),
            catalog_schema=CATALOG_SCHEMA,
        ),
        weight_spent=client.budget.spent,
        seconds=round(time.monotonic() - started, 3),
        files=[],
    )


def stream_settings_digest(config: WarmupConfig) -> str:
    """Digest of what the bars depend on: which streams, how many bars, the detector's settings."""
    plans = plan_streams(config, 0)
    streams = [(plan.symbol, plan.interval.name, plan.bars) for plan in plans]
    return settings_digest({"streams": sorted(streams), "detector": detector_settings(config)})


def _publish(root: Path, keep: int, manifest: Manifest, streams: list[WarmStream]) -> Published:
    from warmup_job.nautilus.catalog import write_catalog

    instruments = {str(stream.instrument.id): stream.instrument for stream in streams}

    def write(path: Path) -> None:
        write_catalog(path, list(instruments.values()), [stream.bars for stream in streams])

    return publish(root, manifest, write, keep)
