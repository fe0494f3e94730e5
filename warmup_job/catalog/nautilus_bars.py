"""Convert klines to Nautilus bars: exact decimals, ts_event = close time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import pyarrow as pa
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import BarAggregation, PriceType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity

from warmup_job.catalog.names import AGGREGATIONS, bar_type_name
from warmup_job.catalog.packed_bars import BarSeries
from warmup_job.errors import ConfigError, DataInvalidError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline, decimals_used
from warmup_job.market.times import NS_PER_MS

_LETTERS = {name: letter for letter, name in AGGREGATIONS.items()}


def bar_type_of(instrument_id: InstrumentId | str, interval: Interval) -> BarType:
    """Return the bar type that Nautilus' Binance data client uses for this interval's klines."""
    return BarType.from_str(bar_type_name(str(instrument_id), interval))


def interval_of(bar_type: BarType) -> Interval:
    """Return the Binance interval of a bar type.

    Raises:
        ConfigError: Binance has no klines of exactly this bar type.
    """
    spec = bar_type.spec
    aggregation = BarAggregation(spec.aggregation).name
    if aggregation not in _LETTERS or spec.price_type != PriceType.LAST:
        raise ConfigError(
            f"Binance has no klines for {bar_type}: use a bar type of LAST prices over time"
        )
    return Interval.parse(f"{spec.step}{_LETTERS[aggregation]}")


def open_ms_of(bar: Bar, interval: Interval) -> int:
    """Return when the bar opened, UTC ms. Bars are identified by this time.

    The ts_event of live bars is off by some ns, and the last bar before an outage closes early; the
    open of the interval is exact in both cases.
    """
    return interval.floor(round(bar.ts_event / NS_PER_MS))


def bars_of(
    klines: Iterable[Kline], bar_type: BarType, price_precision: int, size_precision: int
) -> list[Bar]:
    """Convert klines to bars with the same digits and ts_event = ts_init = close time.

    All prices get one precision, and all volumes one: the given one, or more if a value needs it.
    After a change of the tick or step size, older klines can need more decimals.

    Args:
        klines: The klines.
        bar_type: The bars' type.
        price_precision: Minimum number of decimals of prices.
        size_precision: Minimum number of decimals of volumes.

    Raises:
        DataInvalidError: A price or volume is outside Nautilus' range.
    """
    klines = list(klines)
    price_precision = max(price_precision, decimals_used(chain(*(row[1:5] for row in klines))))
    size_precision = max(size_precision, decimals_used(row.volume for row in klines))

    def bar_of(kline: Kline) -> Bar:
        prices = (kline.open, kline.high, kline.low, kline.close)
        close_ns = kline.close_ms * NS_PER_MS
        return Bar(
            bar_type,
            *(Price.from_str(_at_precision(text, price_precision)) for text in prices),
            Quantity.from_str(_at_precision(kline.volume, size_precision)),
            close_ns,
            close_ns,
        )

    try:
        return [bar_of(kline) for kline in klines]
    except ValueError as error:
        raise DataInvalidError(
            f"{bar_type}: Nautilus cannot represent these values: {error}"
        ) from None


def instrument_bars(
    klines: Iterable[Kline],
    instrument: Instrument,
    interval: Interval,
    earlier: Sequence[Bar] = (),
) -> list[Bar]:
    """Convert an instrument's klines with `bars_of`, at least at the precision of ``earlier``."""
    return bars_of(
        klines,
        bar_type_of(instrument.id, interval),
        max([instrument.price_precision, *(bar.close.precision for bar in earlier)]),
        max([instrument.size_precision, *(bar.volume.precision for bar in earlier)]),
    )


def unpack_bars(series: BarSeries, bar_type: BarType, instrument: Instrument) -> list[Bar]:
    """Decode packed bars as Nautilus' own reader does.

    Args:
        series: the bars.
        bar_type: the type that they get.
        instrument: gives the least price and size precision; all bars are as fine as the finest.

    Returns:
        The bars, ascending, with one price and one size precision.
    """
    used = series.decimals
    decoder = nautilus_pyo3.BarDataWrangler(
        str(bar_type),
        max(instrument.price_precision, used[0]),
        max(instrument.size_precision, used[1]),
    )
    bars: list[Bar] = []
    for table in series.tables():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        batch = sink.getvalue().to_pybytes()
        bars += Bar.from_pyo3_list(decoder.process_record_batch_bytes(batch))
    return bars


def _at_precision(text: str, precision: int) -> str:
    """Return decimal ``text`` with ``precision`` decimals; no digit is lost."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[:precision].ljust(precision, '0')}" if precision else whole
