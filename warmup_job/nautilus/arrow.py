"""Bars in Nautilus' Arrow schema by pyarrow alone: the same bytes as its own writer, without it.

The one place that knows the schema of nautilus_trader 1.231.0 (high precision): prices and volumes
are 128-bit integers of 10⁻¹⁶, which is what a decimal128 with 16 decimals holds. pyarrow takes
0.2 s to import, so that happens where it is first needed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_job.errors import DataInvalidError
from warmup_job.market.kline import Klines
from warmup_job.market.moment import NS_PER_MS, file_stamp

if TYPE_CHECKING:
    import pyarrow as pa

CATALOG_SCHEMA = "nautilus-1.x-high-precision"
"""The family of Arrow schemas; the 2.0 line of Nautilus has another one."""
_VALUES = ("open", "high", "low", "close", "volume")
_SCALE, _WIDTH = 16, 16  # decimals and bytes of one value
_PRICE_MAX, _SIZE_MAX = 17_014_118_346_046, 34_028_236_692_093  # Nautilus' own
_ROWS_PER_GROUP = 5000  # ParquetDataCatalog's own default: part of "the same bytes"


@dataclass(frozen=True, slots=True)
class PackedBars:
    """Bars as columns of the catalog; ``price_decimals`` and ``size_decimals`` are those used.

    Trailing zeros do not count: 65000.10 uses one decimal. The table is chunked by pages.
    """

    table: pa.Table
    price_decimals: int
    size_decimals: int


def import_ahead() -> None:
    """Import pyarrow now, in a thread that has the time."""
    import pyarrow.parquet  # noqa: F401


def pack(klines: Klines) -> PackedBars:
    """Encode klines, digit for digit; ts_event = ts_init = close time.

    Raises:
        DataInvalidError: a value that the catalog cannot hold.
    """
    import pyarrow as pa

    values = [getattr(klines, name) for name in _VALUES]
    limits = (_PRICE_MAX, _PRICE_MAX, _PRICE_MAX, _PRICE_MAX, _SIZE_MAX)
    fits = all(max(map(float, each)) <= most for each, most in zip(values, limits, strict=True))
    try:
        columns = [_fixed_binary(column) for column in values]
    except pa.ArrowInvalid:
        fits = False
    if not fits:
        raise DataInvalidError(
            f"a price or volume is more than Nautilus can hold, or has over {_SCALE} decimals: "
            "ask for a shorter interval"
        )
    stamps = array("Q", (close_ms * NS_PER_MS for close_ms in klines.close_ms))
    closes = pa.Array.from_buffers(pa.uint64(), len(stamps), [None, pa.py_buffer(stamps)])
    table = pa.Table.from_arrays([*columns, closes, closes], schema=_schema())
    decimals = [_decimals_used(column) for column in values]
    return PackedBars(table, max(decimals[:4]), decimals[4])


def join(parts: Sequence[PackedBars], last: int) -> PackedBars:
    """The ``last`` bars of all parts together, ascending, whatever the order of the parts.

    No part may be empty. Nothing is copied unless parts overlap.
    """
    import pyarrow as pa

    ordered = sorted(parts, key=lambda part: _span(part)[0])
    table = pa.concat_tables([part.table for part in ordered])
    if any(_span(before)[1] >= _span(after)[0] for before, after in pairwise(ordered)):
        table = table.sort_by("ts_event")
    return PackedBars(
        table.slice(max(0, table.num_rows - last)),
        max(part.price_decimals for part in parts),
        max(part.size_decimals for part in parts),
    )


def _span(part: PackedBars) -> tuple[int, int]:
    """When a part's first and last bar close, ns."""
    closes = part.table.column("ts_event")
    return closes[0].as_py(), closes[-1].as_py()


def check_precision(
    bars: PackedBars, bar_type: str, price_precision: int, size_precision: int
) -> None:
    """Nothing is ever rounded.

    Raises:
        DataInvalidError: a price or a volume is finer than its precision.
    """
    for what, used, precision in (
        ("price", bars.price_decimals, price_precision),
        ("volume", bars.size_decimals, size_precision),
    ):
        if used > precision:
            raise DataInvalidError(
                f"{bar_type}: a {what} of the venue's has {used} decimals, the instrument "
                f"{precision} (its tick was changed?): ask for fewer bars"
            )


def write_bars(
    catalog: Path,
    bars: PackedBars,
    *,
    bar_type: str,
    instrument_id: str,
    price_precision: int,
    size_precision: int,
) -> None:
    """Write one bar type's bars as `ParquetDataCatalog.write_data` would, byte for byte.

    Raises:
        DataInvalidError: as `check_precision`.
    """
    import pyarrow.parquet as pq

    check_precision(bars, bar_type, price_precision, size_precision)
    metadata = {
        "bar_type": bar_type,
        "instrument_id": instrument_id,
        "price_precision": str(price_precision),
        "size_precision": str(size_precision),
    }
    stamps = bars.table.column("ts_init")
    first, last = file_stamp(stamps[0].as_py()), file_stamp(stamps[-1].as_py())
    folder = catalog / "data" / "bar" / bar_type
    folder.mkdir(parents=True)
    table = bars.table.replace_schema_metadata(metadata)
    pq.write_table(table, folder / f"{first}_{last}.parquet", row_group_size=_ROWS_PER_GROUP)


def restamp_instrument(source: Path, catalog: Path, ts_ns: int) -> None:
    """Copy an instrument's file from another catalog, with ``ts_ns`` as its ts_event and ts_init.

    ``source`` is …/<class>/<instrument id>/<file>; the result is what Nautilus would write.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    for name in ("ts_event", "ts_init"):
        index = table.schema.get_field_index(name)
        raw = pa.py_buffer(array("Q", [ts_ns] * table.num_rows))
        stamps = pa.Array.from_buffers(pa.uint64(), table.num_rows, [None, raw])
        table = table.set_column(index, table.schema.field(index), stamps)
    stamp = file_stamp(ts_ns)
    folder = catalog / "data" / Path(*source.parts[-3:-1])
    folder.mkdir(parents=True)
    pq.write_table(table, folder / f"{stamp}_{stamp}.parquet", row_group_size=_ROWS_PER_GROUP)


def update_digest(digest: hashlib._Hash, bar_type: str, bars: PackedBars) -> None:
    """Add the bars' canonical values to a digest: the columns' little-endian bytes, in order."""
    digest.update(f"bars {bar_type} {bars.table.num_rows}\n".encode())
    for name in (*_VALUES, "ts_event"):
        width = _WIDTH if name in _VALUES else 8
        for chunk in bars.table.column(name).chunks:
            start, end = chunk.offset * width, (chunk.offset + len(chunk)) * width
            digest.update(memoryview(chunk.buffers()[1])[start:end])


def close_times_ms(catalog: Path, bar_type: str) -> list[int]:
    """When the catalog's bars of one type closed (UTC ms), in the order of its files."""
    import pyarrow.parquet as pq

    closes: list[int] = []
    for path in sorted((catalog / "data" / "bar" / bar_type).glob("*.parquet")):
        column = pq.read_table(path, columns=["ts_event"]).column("ts_event")
        closes += (column.to_numpy() // NS_PER_MS).tolist()
    return closes


def _schema() -> pa.Schema:
    import pyarrow as pa

    values = [pa.field(name, pa.binary(_WIDTH), nullable=False) for name in _VALUES]
    stamps = [pa.field(name, pa.uint64(), nullable=False) for name in ("ts_event", "ts_init")]
    return pa.schema([*values, *stamps])


def _fixed_binary(texts: Sequence[str]) -> Any:  # noqa: ANN401  # pyarrow is untyped
    import pyarrow as pa

    # By hand, as pa.array() would import pandas, 0.2 s, to see whether this is one of its kind.
    ends = array("i", accumulate(map(len, texts), initial=0))
    data = "".join(texts).encode("ascii")
    strings = pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(data))
    decimals = strings.cast(pa.decimal128(38, _SCALE))
    return pa.Array.from_buffers(pa.binary(_WIDTH), len(decimals), [None, decimals.buffers()[1]])


def _decimals_used(texts: Sequence[str]) -> int:
    """The most decimals of any text, trailing zeros left out."""
    fractions = (text.partition(".")[2].rstrip("0") for text in texts)
    return max(map(len, fractions), default=0)
