"""Encode bars in Nautilus' Arrow schema with pyarrow alone, to the same bytes as Nautilus' writer.

This is the only module that knows the schema of nautilus_trader 1.231.0 (high precision): prices
and volumes are 128-bit integers of 10⁻¹⁶, as in a decimal128 with 16 decimals. pyarrow takes 0.2 s
to import, so each function imports it when it needs it.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec.structs

from warmup_job.errors import DataInvalidError
from warmup_job.market import kline
from warmup_job.market.kline import Klines
from warmup_job.market.times import NS_PER_MS, file_stamp

if TYPE_CHECKING:
    import pyarrow as pa

Create = Callable[[str], AbstractContextManager[Any]]
"""Opens a new file of the catalog, by its path in the catalog, for sequential writing."""

CATALOG_SCHEMA = "nautilus-1.x-high-precision"
"""The family of Arrow schemas; Nautilus 2.0 uses another one."""
VALUES = ("open", "high", "low", "close", "volume")
_SCALE, _WIDTH = 16, 16  # decimals and bytes of one value
PRICE_MAX, SIZE_MAX = 17_014_118_346_046, 34_028_236_692_093  # Nautilus' limits
ROWS_PER_GROUP = 5000  # the default of ParquetDataCatalog: part of "the same bytes"
SPILL_FROM_BARS = 50_000
"""A stream with this many bars or more is kept on disk, not in memory (96 bytes a bar: 5 MB)."""


class PackedBars(msgspec.Struct, frozen=True):
    """Consecutive bars of one stream as columns of the catalog, in memory or on disk."""

    opens_ms: array[int]
    """Open time of each bar, UTC ms, ascending; never empty."""
    load: Callable[[], pa.Table]
    """Return the bars as a table, from memory or from disk."""
    decimals: tuple[int, int] | None = None
    """Most decimals that a price and a volume use, without trailing zeros; None: not known."""

    @property
    def rows(self) -> int:
        """Number of bars."""
        return len(self.opens_ms)


@dataclass(frozen=True)
class BarSeries:
    """Bars of one stream: the parts in order, without the first ``skipped`` rows of the first part.

    Only a few parts are in memory at a time, unless they were in memory to begin with.
    """

    parts: Sequence[PackedBars]
    skipped: int = 0

    @property
    def rows(self) -> int:
        """Number of bars."""
        return sum(part.rows for part in self.parts) - self.skipped

    @property
    def opens_ms(self) -> array[int]:
        """Open time of each bar, UTC ms, ascending."""
        return array("q", chain.from_iterable(part.opens_ms for part in self.parts))[self.skipped :]

    @property
    def first_ms(self) -> int:
        """Open time of the oldest bar, UTC ms; there must be one."""
        return self.parts[0].opens_ms[self.skipped]

    @property
    def last_ms(self) -> int:
        """Open time of the newest bar, UTC ms; there must be one."""
        return self.parts[-1].opens_ms[-1]

    def last(self, bars: int) -> BarSeries:
        """Return the last ``bars`` bars, or all if there are fewer."""
        skip, parts = max(self.skipped, self.skipped + self.rows - bars), list(self.parts)
        while parts and parts[0].rows <= skip:
            skip -= parts.pop(0).rows
        return BarSeries(parts, skip)

    def without_last(self, bars: int) -> BarSeries:
        """Return the series without its last ``bars`` bars."""
        parts = list(self.parts)
        while parts and bars:
            part = parts.pop()
            if part.rows > bars:
                table = part.load().slice(0, part.rows - bars)
                parts.append(in_memory(table, part.opens_ms[:-bars]))
            bars -= min(bars, part.rows)
        return BarSeries(parts, self.skipped if parts else 0)

    def values(self, first_ms: int, last_ms: int) -> dict[int, tuple[Any, ...]]:
        """Return the encoded values of the bars that open from ``first_ms`` to ``last_ms``.

        Returns:
            By open time; two bars are equal if their values are.
        """
        found: dict[int, tuple[Any, ...]] = {}
        for part in self.parts:
            begin, end = bisect_left(part.opens_ms, first_ms), bisect_right(part.opens_ms, last_ms)
            if begin < end:
                table = part.load().slice(begin, end - begin)
                rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
                found.update(zip(part.opens_ms[begin:end], rows, strict=True))
        return found

    def span_ns(self) -> tuple[int, int]:
        """Return the close time of the first and of the last bar, UTC ns."""
        first = next(self.tables()).column("ts_event")[0].as_py()
        return first, self.parts[-1].load().column("ts_event")[-1].as_py()

    @cached_property
    def decimals(self) -> tuple[int, int]:
        """Most decimals that a price and a volume of these bars use.

        Bars that were fetched but are not in the series do not count: equal bars must give equal
        snapshots. Stored bars must be decoded to count, so the result is kept.
        """
        used, skip = [(0, 0)], self.skipped
        for part in self.parts:
            if skip or part.decimals is None:
                used.append(decimals_used(part.load().slice(skip)))
            else:
                used.append(part.decimals)
            skip = 0
        prices, sizes = zip(*used, strict=True)
        return max(prices), max(sizes)

    def tables(self) -> Iterator[pa.Table]:
        """Iterate over the bars, in tables of one row group of the catalog each."""
        import pyarrow as pa

        held: list[pa.Table] = []
        skip = self.skipped
        for part in self.parts:
            held.append(part.load().slice(skip))
            skip = 0
            while sum(table.num_rows for table in held) >= ROWS_PER_GROUP:
                joined = pa.concat_tables(held)
                yield joined.slice(0, ROWS_PER_GROUP)
                held = [joined.slice(ROWS_PER_GROUP)]
        if held and (joined := pa.concat_tables(held)).num_rows:
            yield joined


class PackedInstrument(msgspec.Struct, frozen=True):
    """An instrument as the table of its file in a catalog; ``folder`` is its folder in ``data``."""

    folder: str
    table: pa.Table


def import_ahead() -> None:
    """Import pyarrow now; call this from a thread while the main one waits for the network."""
    import pyarrow.parquet  # noqa: F401


def pack(klines: Klines) -> PackedBars:
    """Encode klines, at least one, digit for digit; ts_event = ts_init = close time.

    Raises:
        DataInvalidError: the catalog cannot hold a value.
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
    return in_memory(table, klines.open_ms, (max(decimals[:4]), decimals[4]))


def in_memory(
    table: pa.Table, opens_ms: Iterable[int], decimals: tuple[int, int] | None = None
) -> PackedBars:
    """Return a table of bars as `PackedBars` that keep it in memory."""
    return PackedBars(array("q", opens_ms), lambda: table, decimals)


def spill(bars: PackedBars, path: Path) -> PackedBars:
    """Write bars to a new file at ``path``, and return them as `PackedBars` that read it."""
    import pyarrow as pa

    table = bars.load()
    path.parent.mkdir(exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)

    def load() -> pa.Table:
        with pa.OSFile(str(path), "rb") as file:
            return pa.ipc.open_file(file).read_all()

    return msgspec.structs.replace(bars, load=load)


def join(parts: Iterable[PackedBars]) -> BarSeries:
    """Return the bars of all parts as one ascending series, whatever the order of the parts.

    A part may fill a hole of another one; no bar may be in two parts.
    """
    import pyarrow as pa

    ordered: list[PackedBars] = []
    for part in sorted(parts, key=lambda part: part.opens_ms[0]):
        if ordered and part.opens_ms[0] < ordered[-1].opens_ms[-1]:
            before = ordered.pop()
            table = pa.concat_tables([before.load(), part.load()]).sort_by("ts_event")
            ordered.append(in_memory(table, sorted((*before.opens_ms, *part.opens_ms))))
        else:
            ordered.append(part)
    return BarSeries(ordered)


def check_precision(
    bars: BarSeries, bar_type: str, price_precision: int, size_precision: int
) -> None:
    """Check that writing the bars with these precisions rounds nothing.

    Raises:
        DataInvalidError: a price or a volume has more decimals than its precision.
    """
    for what, used, precision in zip(
        ("price", "volume"), bars.decimals, (price_precision, size_precision), strict=True
    ):
        if used > precision:
            raise DataInvalidError(
                f"{bar_type}: a {what} has {used} decimals, but the file's precision is {precision}"
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
    """Write the bars of one bar type as `ParquetDataCatalog.write_data` would, byte for byte.

    Args:
        create: opens the file to write.
        bars: the bars, at least one.
        bar_type: their Nautilus bar type.
        instrument_id: their Nautilus instrument id.
        price_precision: decimals of prices in the file, 0 to 16.
        size_precision: decimals of volumes in the file, 0 to 16.

    Raises:
        DataInvalidError: a price or a volume has more decimals than its precision.
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

    Args:
        create: opens the file to write.
        instrument: the instrument.
        ts_ns: its ts_event and ts_init, UTC ns.
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
    """Return the sha256 of the bars' canonical values: of each column's little-endian bytes."""
    columns = {name: hashlib.sha256() for name in (*VALUES, "ts_event")}
    for table in bars.tables():
        for name, digest in columns.items():
            width = _WIDTH if name in VALUES else 8
            for chunk in table.column(name).chunks:
                start, end = chunk.offset * width, (chunk.offset + len(chunk)) * width
                digest.update(memoryview(chunk.buffers()[1])[start:end])
    return hashlib.sha256(b"".join(digest.digest() for digest in columns.values())).hexdigest()


def float_columns(tables: Iterable[pa.Table], names: Iterable[str]) -> list[array[float]]:
    """Return columns of prices or volumes, each value the float nearest to its decimal.

    Args:
        tables: bars in the catalog's schema, oldest first.
        names: the columns to return, of `VALUES`.
    """
    import pyarrow as pa

    columns = {name: array("d") for name in names}
    for table in tables:
        for name, column in columns.items():
            texts = _cast(decimals_of(table.column(name)), pa.string())
            floats = _cast(texts, pa.float64())  # whose to_numpy() imports pandas (0.25 s)
            column.frombytes(memoryview(floats.buffers()[1])[: 8 * len(floats)])
    return list(columns.values())


def decimals_used(table: pa.Table) -> tuple[int, int]:
    """Return the most decimals of any price and of any volume, without trailing zeros."""
    used = [_fewest_decimals(decimals_of(table.column(name))) for name in VALUES]
    return max(used[:4]), used[4]


def decimals_of(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of 128-bit integers of 10⁻¹⁶ as decimals."""
    import pyarrow as pa

    raw = column.combine_chunks()
    return pa.Array.from_buffers(
        pa.decimal128(38, _SCALE), len(raw), [None, raw.buffers()[1]], offset=raw.offset
    )


def bar_schema() -> pa.Schema:
    """Return the columns of the catalog's bars, without the file's metadata."""
    import pyarrow as pa

    values = [pa.field(name, pa.binary(_WIDTH), nullable=False) for name in VALUES]
    stamps = [pa.field(name, pa.uint64(), nullable=False) for name in ("ts_event", "ts_init")]
    return pa.schema([*values, *stamps])


def _cast(values: Any, to: pa.DataType) -> Any:  # noqa: ANN401  # pyarrow is untyped
    """Return an array of this type, as ``values.cast(to)`` does.

    That method would import pyarrow.compute, which takes 40 ms to wrap functions that no run needs.

    Args:
        values: An array or a chunked array.
        to: The type.

    Raises:
        pyarrow.ArrowInvalid: a value does not fit without a loss.
    """
    from pyarrow._compute import CastOptions, call_function

    return call_function("cast", [values], CastOptions(to))


def _fixed_binary(texts: Sequence[str]) -> Any:  # noqa: ANN401  # pyarrow is untyped
    import pyarrow as pa

    # Not by pa.array(): it imports pandas (0.2 s) to see whether the texts are one of its types.
    ends = array("i", accumulate(map(len, texts), initial=0))
    data = "".join(texts).encode("ascii")
    strings = pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(data))
    decimals = _cast(strings, pa.decimal128(38, _SCALE))
    return pa.Array.from_buffers(pa.binary(_WIDTH), len(decimals), [None, decimals.buffers()[1]])


def _fewest_decimals(values: pa.Array) -> int:
    """Return the most decimals of any value, without trailing zeros."""
    return next((each for each in range(_SCALE) if fits(values, each)), _SCALE)


def fits(values: Any, decimals: int) -> bool:  # noqa: ANN401  # pyarrow is untyped
    """Return whether decimals, as an array or a chunked array, need no more than ``decimals``."""
    import pyarrow as pa

    try:
        _cast(values, pa.decimal128(38, decimals))
    except pa.ArrowInvalid:  # digits would be lost
        return False
    return True
