"""Check: what came is held against what was asked for, stream by stream."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from warmup_job.acquire.gather import Brought, Gathered
from warmup_job.acquire.prove import explain
from warmup_job.acquire.reuse import WarmInstrument, warm_instrument
from warmup_job.catalog import packed_bars as arrow
from warmup_job.catalog.names import bar_type_name
from warmup_job.errors import DataInvalidError, UnknownSymbolError, WarmupError
from warmup_job.market.rows import missing_bars, odd_kline
from warmup_job.market.times import utc_text
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.manifest import InstrumentEntry, StreamEntry

_MARK_PRECISION = 8  # mark prices are finer than the tick: they have a precision of their own


@dataclass(frozen=True, slots=True)
class WarmStream:
    """One stream, fetched and checked, ready for the catalog."""

    entry: StreamEntry
    bars: arrow.BarSeries


@dataclass(frozen=True, slots=True)
class Checked:
    """What is good of what came, and for what is not, why; with several errors all of them."""

    streams: list[WarmStream]
    instruments: list[WarmInstrument]
    errors: list[WarmupError]


def check(warmup: WarmupPlan, brought: Brought) -> Checked:
    """Streams and instruments that are good, ready for the catalog.

    Raises:
        WarmupError: none is good; the worst of the errors.
    """
    streams: list[WarmStream] = []
    errors: list[WarmupError] = []
    instruments: dict[str, WarmInstrument] = {}
    for plan, result in zip(warmup.streams, brought.fetched, strict=True):
        try:
            if isinstance(result, BaseException):
                raise result
            symbol = plan.stream.symbol
            if symbol not in brought.entries:
                raise UnknownSymbolError(f"the venue does not list the symbol {symbol}: correct it")
            if symbol not in instruments:
                instruments[symbol] = warm_instrument(
                    warmup.venue, symbol, brought.entries[symbol], brought.last
                )
            stream = _stream(plan, result, instruments[symbol].entry)
            if result.proof.certificate is not None and plan.needs_proof:
                logger.info("{}: {}", plan.stream, explain(result.proof.certificate))
            short = _shortcomings(plan, warmup.max_gap_bars, stream, result)
        except WarmupError as error:
            logger.error("{}: {}", plan.stream, error)
            errors.append(error)
        else:
            streams.append(stream)
            errors += short
    if not streams:
        raise worst_of(errors) or WarmupError("no stream and no error: report this as a bug")
    used = {stream.entry.symbol for stream in streams}
    return Checked(
        streams, [instruments[symbol] for symbol in instruments if symbol in used], errors
    )


def worst_of(errors: list[WarmupError]) -> WarmupError | None:
    """The error with the highest exit code, or None when there is none."""
    return max(errors, key=lambda error: error.exit_code, default=None)


def _stream(plan: StreamPlan, gathered: Gathered, instrument: InstrumentEntry) -> WarmStream:
    fetched, proof = gathered.fetched, gathered.proof
    symbol, interval, price = plan.stream.symbol, plan.stream.interval, plan.stream.price
    if not fetched.opens_ms:
        odd = "" if fetched.odd_ms is None else f": {odd_kline(fetched.odd_ms, interval)}"
        raise DataInvalidError(f"the venue has no closed kline of it{odd}")
    bars = arrow.join(fetched.parts, len(fetched.opens_ms))
    # What loses nothing of the bars, whose tick can have changed, nor of what the venue says now.
    used = bars.decimals()
    mark = price == "mark"
    price_precision = max(used[0], _MARK_PRECISION if mark else instrument.price_precision)
    size_precision = max(used[1], instrument.size_precision)
    entry = StreamEntry(
        symbol=symbol,
        instrument_id=instrument.instrument_id,
        bar_type=bar_type_name(instrument.instrument_id, interval, price),
        interval=interval.name,
        price=price,
        price_precision=price_precision,
        size_precision=size_precision,
        first_open=fetched.opens_ms[0],
        last_close=interval.close_ms(fetched.opens_ms[-1]),
        bar_count=len(fetched.opens_ms),
        gaps=fetched.gaps,
        from_listing=fetched.from_listing,
        detector=plan.detector,
        certificate=proof.certificate,
        indicators=proof.indicators,
    )
    logger.info(
        "{}: {} bars, all closed, to {}", plan.stream, entry.bar_count, utc_text(entry.last_close)
    )
    return WarmStream(entry, bars)


def _shortcomings(
    plan: StreamPlan, max_gap_bars: int, stream: WarmStream, gathered: Gathered
) -> list[WarmupError]:
    found: list[WarmupError] = []
    if plan.needs_proof:
        found += gathered.proof.shortcomings()
    odd_ms = gathered.fetched.odd_ms
    if odd_ms is not None and stream.entry.bar_count < plan.bars:
        found.append(
            DataInvalidError(
                f"{plan.stream}: {odd_kline(odd_ms, plan.stream.interval)}: the "
                f"{stream.entry.bar_count} bars after it are used, {plan.bars} were asked for: ask "
                "for no more of them"
            )
        )
    missing = missing_bars(stream.entry.gaps)
    if missing:
        first = utc_text(stream.entry.gaps[0].first_ms)
        logger.warning(
            "{}: the venue itself lacks {} bar(s), first at {}", plan.stream, missing, first
        )
        if missing > max_gap_bars:
            found.append(
                DataInvalidError(
                    f"{plan.stream}: the venue lacks {missing} bars from {first} on, allowed are "
                    f"{max_gap_bars} (warmup.max_gap_bars)"
                )
            )
    if stream.entry.from_listing:
        logger.warning(
            "{}: the symbol is young, its whole history is {} bars ({} were asked for)",
            plan.stream, stream.entry.bar_count, plan.bars,
        )  # fmt: skip
    return found
