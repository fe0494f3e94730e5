"""Check the download of each stream against what was asked for."""

from __future__ import annotations

import msgspec
from loguru import logger

from warmup_job.acquire.acquire_bars import AcquiredBars
from warmup_job.acquire.judge import explain
from warmup_job.catalog.names import bar_type_name
from warmup_job.catalog.packed_bars import BarSeries
from warmup_job.errors import DataInvalidError, UnknownSymbolError, WarmupError
from warmup_job.job.download import Download
from warmup_job.job.make_instruments import CheckedInstrument, make_instrument
from warmup_job.market.listed_symbols import unlisted_text
from warmup_job.market.rows import missing_bars, off_grid_text
from warmup_job.market.times import utc_text
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.manifest import InstrumentEntry, StreamEntry

_MARK_PRECISION = 8  # decimals; mark prices are finer than the instrument's tick


class CheckedStream(msgspec.Struct, frozen=True):
    """One stream, ready to be written."""

    entry: StreamEntry
    bars: BarSeries


class Checked(msgspec.Struct, frozen=True):
    """The streams and instruments that passed, and every error of those that did not."""

    streams: list[CheckedStream]
    instruments: list[CheckedInstrument]
    errors: list[WarmupError]


def check(warmup: WarmupPlan, download: Download) -> Checked:
    """Check every stream of a download.

    Args:
        warmup: what was asked for.
        download: what Binance answered.

    Returns:
        The streams to publish, with their instruments, and all errors.

    Raises:
        WarmupError: no stream passed; the worst of the errors.
    """
    streams: list[CheckedStream] = []
    errors: list[WarmupError] = []
    instruments: dict[str, CheckedInstrument] = {}
    for plan in warmup.streams:
        symbol, acquired = plan.stream.symbol, download.streams[plan.stream]
        try:
            if isinstance(acquired, WarmupError) and not isinstance(acquired, UnknownSymbolError):
                raise acquired
            if symbol not in download.exchange_info:
                raise UnknownSymbolError(
                    unlisted_text(warmup.venue.endpoint, symbol, download.listed)
                )
            if isinstance(acquired, WarmupError):
                raise acquired
            if symbol not in instruments:
                instruments[symbol] = make_instrument(
                    warmup.venue.market, symbol, download.exchange_info[symbol], download.previous
                )
            entry = stream_entry(plan, acquired, instruments[symbol].entry)
        except WarmupError as error:
            logger.error(
                "{stream}: {error}", event="stream.failed", stream=plan.stream, error=error
            )
            errors.append(error)
        else:
            streams.append(CheckedStream(entry, acquired.bars))
            _log_stream(plan, entry)
            errors += shortcomings(plan, acquired, warmup.max_gap_bars)
    if not streams:
        raise worst_of(errors) or WarmupError("no stream and no error: report this as a bug")
    used = {stream.entry.symbol for stream in streams}
    return Checked(
        streams, [instruments[symbol] for symbol in instruments if symbol in used], errors
    )


def worst_of(errors: list[WarmupError]) -> WarmupError | None:
    """Return the error with the highest exit code, or None if there is none."""
    return max(errors, key=lambda error: error.exit_code, default=None)


def stream_entry(
    plan: StreamPlan, acquired: AcquiredBars, instrument: InstrumentEntry
) -> StreamEntry:
    """Describe a stream for the manifest.

    Its precisions are those that lose no digit of the bars, which may be older than the
    instrument's tick and step, and not less than the instrument's.

    Args:
        plan: the stream.
        acquired: its bars.
        instrument: its instrument.

    Raises:
        DataInvalidError: there are no bars.
    """
    bars, interval, price = acquired.bars, plan.stream.interval, plan.stream.price
    if not bars.rows:
        off_grid_ms = acquired.off_grid_ms
        reason = "" if off_grid_ms is None else f": {off_grid_text(off_grid_ms, interval)}"
        raise DataInvalidError(f"Binance has no closed kline of it{reason}")
    price_decimals, size_decimals = bars.decimals
    tick_decimals = _MARK_PRECISION if price == "mark" else instrument.price_precision
    return StreamEntry(
        symbol=plan.stream.symbol,
        instrument_id=instrument.instrument_id,
        bar_type=bar_type_name(instrument.instrument_id, interval, price),
        interval=interval.name,
        price=price,
        price_precision=max(price_decimals, tick_decimals),
        size_precision=max(size_decimals, instrument.size_precision),
        first_open=bars.first_ms,
        last_close=interval.close_ms(bars.last_ms),
        bar_count=bars.rows,
        gaps=acquired.gaps,
        from_listing=acquired.from_listing,
        detector=plan.detector,
        certificate=acquired.verdict.certificate,
        indicators=list(acquired.verdict.indicators),
    )


def shortcomings(plan: StreamPlan, acquired: AcquiredBars, max_gap_bars: int) -> list[WarmupError]:
    """Return why the bars of a stream are published as degraded; empty: they are not.

    Args:
        plan: the stream.
        acquired: its bars, at least one.
        max_gap_bars: how many bars Binance itself may lack.
    """
    found: list[WarmupError] = []
    if plan.needs_proof:
        found += acquired.verdict.shortcomings
    if acquired.off_grid_ms is not None and acquired.bars.rows < plan.bars:
        found.append(
            DataInvalidError(
                f"{plan.stream}: {off_grid_text(acquired.off_grid_ms, plan.stream.interval)}: the "
                f"{acquired.bars.rows} bars after it are used, {plan.bars} were asked for: ask for "
                "no more of them"
            )
        )
    missing = missing_bars(acquired.gaps)
    if missing > max_gap_bars:
        first = utc_text(acquired.gaps[0].first_ms)
        found.append(
            DataInvalidError(
                f"{plan.stream}: Binance lacks {missing} bars from {first} on, allowed are "
                f"{max_gap_bars} (warmup.max_gap_bars)"
            )
        )
    return found


def _log_stream(plan: StreamPlan, entry: StreamEntry) -> None:
    logger.info(
        "{stream}: {bars} bars, all closed, to {last_close}",
        event="stream.checked",
        stream=plan.stream,
        bars=entry.bar_count,
        last_close=utc_text(entry.last_close),
    )
    if entry.certificate is not None and plan.needs_proof:
        logger.info(
            "{stream}: {certificate}",
            event="stream.certificate",
            stream=plan.stream,
            certificate=explain(entry.certificate),
        )
    if entry.gaps:
        logger.warning(
            "{stream}: Binance itself lacks {bars} bar(s), first at {first}",
            event="stream.gaps_at_exchange",
            stream=plan.stream,
            bars=missing_bars(entry.gaps),
            first=utc_text(entry.gaps[0].first_ms),
        )
    if entry.from_listing:
        logger.warning(
            "{stream}: the symbol is young: its whole history is {bars} bars ({wanted} were asked "
            "for)",
            event="stream.young",
            stream=plan.stream,
            bars=entry.bar_count,
            wanted=plan.bars,
        )
