"""Bars in Nautilus' Arrow schema by pyarrow alone: the same bytes as its own writer, without it.

The one place that knows the schema of nautilus_trader 1.231.0 (high precision): prices and volumes
are 128-bit integers of 10⁻¹⁶, which is what a decimal128 with 16 decimals holds. pyarrow takes
0.2 s to import, so that happens where it is first needed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_job.errors import DataInvalidError
from warmup_job.market import kline
from warmup_job.market.kline import Klines
from warmup_job.market.times import NS_PER_MS, file_stamp

if TYPE_CHECKING:
    import pyarrow as pa

Create = Callable[[str], AbstractContextManager[Any]]
"""Opens a new file of the catalog, by its path there, to be written from its start to its end."""

CATALOG_SCHEMA = "nautilus-1.x-high-precision"
"""The family of Arrow schemas; the 2.0 line of Nautilus has another one."""
VALUES = ("open", "high", "low", "close", "volume")
_SCALE, _WIDTH = 16, 16  # decimals and bytes of one value
PRICE_MAX, SIZE_MAX = 17_014_118_346_046, 34_028_236_692_093  # Nautilus' own
ROWS_PER_GROUP = 5000  # ParquetDataCatalog's own default: part of "the same bytes"


@dataclass(frozen=True, slots=True)
class PackedBars:
    """A stretch of bars as columns of the catalog: ``load`` brings them, from memory or from disk.

    ``first_ns`` and ``last_ns`` are when its first and last bar close. ``price_decimals`` and
    ``size_decimals`` are those used; trailing zeros do not count: 65000.10 uses one decimal.
    """

    rows: int
    first_ns: int
    last_ns: int
    price_decimals: int
    size_decimals: int
    load: Callable[[], pa.Table]


@dataclass(frozen=True, slots=True)
class BarSeries:
    """Stretches of bars in order, no two of them overlapping; the first ``skipped`` rows are out.

    However long it is, no more than a few stretches of it are in memory at a time, unless they were
    there to begin with.
    """

    parts: Sequence[PackedBars]
    skipped: int = 0

    @property
    def rows(self) -> int:
        """How many bars it holds."""
        return sum(part.rows for part in self.parts) - self.skipped

    def span_ns(self) -> tuple[int, int]:
        """When its first and its last bar close."""
        first = next(self.tables()).column("ts_event")[0].as_py()
        return first, self.parts[-1].last_ns

    def decimals(self) -> tuple[int, int]:
        """The most decimals that any of its prices and any of its volumes uses.

        Of exactly its bars: what was fetched besides must make no other snapshot of the same ones.
        """
        used, skip = [(0, 0)], self.skipped
        for part in self.parts:
            if part.rows <= skip:
                skip -= part.rows
                continue
            used.append(
                decimals_used(part.load().slice(skip))
                if skip
                else (part.price_decimals, part.size_decimals)
            )
            skip = 0
        prices, sizes = zip(*used, strict=True)
        return max(prices), max(sizes)

    def tables(self) -> Iterator[pa.Table]:
        """Its bars, in tables as long as a row group of the catalog."""
        import pyarrow as pa

        held: list[pa.Table] = []
        skip = self.skipped
        for part in self.parts:
            if part.rows <= skip:
                skip -= part.rows
                continue
            held.append(part.load().slice(skip))
            skip = 0
            while sum(table.num_rows for table in held) >= ROWS_PER_GROUP:
                joined = pa.concat_tables(held)
                yield joined.slice(0, ROWS_PER_GROUP)
                held = [joined.slice(ROWS_PER_GROUP)]
        if held and (joined := pa.concat_tables(held)).num_rows:
            yield joined


@dataclass(frozen=True, slots=True)
class PackedInstrument:
    """An instrument as the table of its file in a catalog, in ``folder`` below ``data`` there."""

    folder: str
    table: pa.Table


def import_ahead() -> None:
    """Import pyarrow now, in a thread that has the time."""
    import pyarrow.parquet  # noqa: F401


def pack(klines: Klines) -> PackedBars:
    """Encode klines, digit for digit; ts_event = ts_init = close time.

    Raises:
        DataInvalidError: a value that the catalog cannot hold.
    """
    import pyarrow as pa

    values = [getattr(klines, name) for name in VALUES]
    limits = (PRICE_MAX, PRICE_MAX, PRICE_MAX, PRICE_MAX, SIZE_MAX)
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
    table = pa.Table.from_arrays([*columns, closes, closes], schema=bar_schema())
    decimals = [kline.decimals_used(column) for column in values]
    return in_memory(table, (max(decimals[:4]), decimals[4]))


def in_memory(table: pa.Table, decimals: tuple[int, int] | None = None) -> PackedBars:
    """A table of bars, not empty, as it is; ``decimals``: those used, where they are known."""
    used = decimals or decimals_used(table)
    return PackedBars(table.num_rows, *_span(table), *used, lambda: table)


def set_aside(bars: PackedBars, path: Path) -> PackedBars:
    """The same bars, kept in a new file at ``path`` instead of in memory."""
    import pyarrow as pa

    table = bars.load()
    path.parent.mkdir(exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)

    def load() -> pa.Table:
        with pa.OSFile(str(path), "rb") as file:
            return pa.ipc.open_file(file).read_all()

    return replace(bars, load=load)


def join(parts: Sequence[PackedBars], last: int) -> BarSeries:
    """The ``last`` bars of all parts together, ascending, whatever the order of the parts.

    No part may be empty.
    """
    import pyarrow as pa

    ordered: list[PackedBars] = []
    for part in sorted(parts, key=lambda part: part.first_ns):
        if ordered and part.first_ns <= ordered[-1].last_ns:  # what was asked for once more
            before = ordered.pop()
            table = pa.concat_tables([before.load(), part.load()]).sort_by("ts_event")
            ordered.append(in_memory(table))
        else:
            ordered.append(part)
    return BarSeries(ordered, max(0, sum(part.rows for part in ordered) - last))


def _span(table: pa.Table) -> tuple[int, int]:
    """When a table's first and last bar close, ns."""
    closes = table.column("ts_event")
    return closes[0].as_py(), closes[-1].as_py()


def check_precision(
    bars: BarSeries, bar_type: str, price_precision: int, size_precision: int
) -> None:
    """Nothing is ever rounded.

    Raises:
        DataInvalidError: a price or a volume is finer than its precision.
    """
    for what, used, precision in zip(
        ("price", "volume"), bars.decimals(), (price_precision, size_precision), strict=True
    ):
        if used > precision:
            raise DataInvalidError(
                f"{bar_type}: a {what} has {used} decimals, {precision} are to be written"
            )


def write_bars(
    create: Create,
    bars: BarSeries,
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_precision(bars, bar_type, price_precision, size_precision)
    schema = bar_schema().with_metadata(
        {
            "bar_type": bar_type,
            "instrument_id": instrument_id,
            "price_precision": str(price_precision),
            "size_precision": str(size_precision),
        }
    )
    first, last = map(file_stamp, bars.span_ns())
    with (
        create(f"data/bar/{bar_type}/{first}_{last}.parquet") as file,
        pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema) as writer,
    ):
        for table in bars.tables():
            writer.write_table(table.replace_schema_metadata(schema.metadata))


def write_instrument(create: Create, instrument: PackedInstrument, ts_ns: int) -> None:
    """Write an instrument's file as `ParquetDataCatalog.write_data` would, byte for byte.

    ``ts_ns`` becomes its ts_event and ts_init.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = instrument.table
    for name in ("ts_event", "ts_init"):
        index = table.schema.get_field_index(name)
        raw = pa.py_buffer(array("Q", [ts_ns] * table.num_rows))
        stamps = pa.Array.from_buffers(pa.uint64(), table.num_rows, [None, raw])
        table = table.set_column(index, table.schema.field(index), stamps)
    stamp = file_stamp(ts_ns)
    with create(f"data/{instrument.folder}/{stamp}_{stamp}.parquet") as file:
        pq.write_table(table, pa.PythonFile(file, mode="w"), row_group_size=ROWS_PER_GROUP)


def content_digest(bars: BarSeries) -> str:
    """sha256 over the bars' canonical values: those of each column's little-endian bytes."""
    columns = {name: hashlib.sha256() for name in (*VALUES, "ts_event")}
    for table in bars.tables():
        for name, digest in columns.items():
            width = _WIDTH if name in VALUES else 8
            for chunk in table.column(name).chunks:
                start, end = chunk.offset * width, (chunk.offset + len(chunk)) * width
                digest.update(memoryview(chunk.buffers()[1])[start:end])
    return hashlib.sha256(b"".join(digest.digest() for digest in columns.values())).hexdigest()


def floats(bars: BarSeries, name: str) -> array[float]:
    """One column of prices or volumes, each the float that is nearest to its decimal."""
    import pyarrow as pa

    column = array("d")
    for table in bars.tables():
        texts = decimals_of(table.column(name)).cast(pa.string())
        column.frombytes(texts.cast(pa.float64()).to_numpy().tobytes())
    return column


def decimals_used(table: pa.Table) -> tuple[int, int]:
    """The most decimals of any price and of any volume; trailing zeros do not count."""
    used = [_fewest_decimals(decimals_of(table.column(name))) for name in VALUES]
    return max(used[:4]), used[4]


def decimals_of(column: pa.ChunkedArray) -> pa.Array:
    """128-bit integers of 10⁻¹⁶ as the decimals that they are."""
    import pyarrow as pa

    raw = column.combine_chunks()
    return pa.Array.from_buffers(
        pa.decimal128(38, _SCALE), len(raw), [None, raw.buffers()[1]], offset=raw.offset
    )


def bar_schema() -> pa.Schema:
    """The columns of the catalog's bars, without their metadata."""
    import pyarrow as pa

    values = [pa.field(name, pa.binary(_WIDTH), nullable=False) for name in VALUES]
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


def _fewest_decimals(values: pa.Array) -> int:
    """The most decimals of any value, trailing zeros left out."""
    import pyarrow as pa

    for decimals in range(_SCALE):
        try:
            values.cast(pa.decimal128(38, decimals))
        except pa.ArrowInvalid:  # it would lose digits
            continue
        return decimals
    return _SCALE
