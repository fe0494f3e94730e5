"""Check: what came is held against what was asked for, stream by stream."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from warmup_job.acquire.gather import Brought, Gathered
from warmup_job.acquire.prove import explain
from warmup_job.acquire.reuse import WarmInstrument, warm_instrument
from warmup_job.catalog import packed_bars as arrow
from warmup_job.catalog.names import bar_type_name
from warmup_job.config import WarmupConfig
from warmup_job.errors import DataInvalidError, UnknownSymbolError, WarmupError
from warmup_job.market.rows import missing_bars, odd_kline
from warmup_job.market.times import utc_text
from warmup_job.plan.streams import StreamPlan
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


def check(config: WarmupConfig, brought: Brought) -> Checked:
    """Streams and instruments that are good, ready for the catalog.

    Raises:
        WarmupError: none is good; the worst of the errors.
    """
    streams: list[WarmStream] = []
    errors: list[WarmupError] = []
    instruments: dict[str, WarmInstrument] = {}
    for plan, result in zip(brought.plans, brought.fetched, strict=True):
        try:
            if isinstance(result, BaseException):
                raise result
            if plan.symbol not in brought.entries:
                raise UnknownSymbolError(
                    f"the venue does not list the symbol {plan.symbol}: correct it"
                )
            if plan.symbol not in instruments:
                instruments[plan.symbol] = warm_instrument(
                    config, plan.symbol, brought.entries[plan.symbol], brought.last
                )
            stream = _stream(plan, result, instruments[plan.symbol].entry)
            if result.proof.certificate is not None and _needs_proof(config, plan):
                logger.info("{}: {}", plan.name, explain(result.proof.certificate))
            short = _shortcomings(config, plan, stream, result)
        except WarmupError as error:
            logger.error("{}: {}", plan.name, error)
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
    if not fetched.opens_ms:
        odd = "" if fetched.odd_ms is None else f": {odd_kline(fetched.odd_ms, plan.interval)}"
        raise DataInvalidError(f"the venue has no closed kline of it{odd}")
    bars = arrow.join(fetched.parts, len(fetched.opens_ms))
    # What loses nothing of the bars, whose tick can have changed, nor of what the venue says now.
    used = bars.decimals()
    mark = plan.price == "mark"
    price_precision = max(used[0], _MARK_PRECISION if mark else instrument.price_precision)
    size_precision = max(used[1], instrument.size_precision)
    entry = StreamEntry(
        symbol=plan.symbol,
        instrument_id=instrument.instrument_id,
        bar_type=bar_type_name(instrument.instrument_id, plan.interval, plan.price),
        interval=plan.interval.name,
        price=plan.price,
        price_precision=price_precision,
        size_precision=size_precision,
        first_open=fetched.opens_ms[0],
        last_close=plan.interval.close_ms(fetched.opens_ms[-1]),
        bar_count=len(fetched.opens_ms),
        gaps=fetched.gaps,
        from_listing=fetched.from_listing,
        detector=plan.detector,
        certificate=proof.certificate,
        indicators=proof.indicators,
    )
    logger.info(
        "{}: {} bars, all closed, to {}", plan.name, entry.bar_count, utc_text(entry.last_close)
    )
    return WarmStream(entry, bars)


def _needs_proof(config: WarmupConfig, plan: StreamPlan) -> bool:
    """Whether a strategy must not trade on this stream without a proof."""
    return config.warmup.require == "proven" and plan.demanded


def _shortcomings(
    config: WarmupConfig, plan: StreamPlan, stream: WarmStream, gathered: Gathered
) -> list[WarmupError]:
    max_gap_bars = config.warmup.max_gap_bars
    found: list[WarmupError] = []
    if _needs_proof(config, plan):
        found += gathered.proof.shortcomings()
    odd_ms = gathered.fetched.odd_ms
    if odd_ms is not None and stream.entry.bar_count < plan.bars:
        found.append(
            DataInvalidError(
                f"{plan.name}: {odd_kline(odd_ms, plan.interval)}: the {stream.entry.bar_count} "
                f"bars after it are used, {plan.bars} were asked for: ask for no more of them"
            )
        )
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
    if stream.entry.from_listing:
        logger.warning(
            "{}: the symbol is young, its whole history is {} bars ({} were asked for)",
            plan.name, stream.entry.bar_count, plan.bars,
        )  # fmt: skip
    return found
