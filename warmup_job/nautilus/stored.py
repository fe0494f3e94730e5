"""A catalog's files read back by pyarrow alone: what is in them, and bars to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.market.kline import BarValues
from warmup_job.market.moment import NS_PER_MS
from warmup_job.nautilus.arrow import (
    VALUES,
    PackedBars,
    PackedInstrument,
    bar_schema,
    decimals_of,
    in_memory,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class StoredBars:
    """The bars of one type as they lie in a catalog, in the order of its files' names."""

    def __init__(self, catalog: Path, bar_type: str) -> None:
        import pyarrow.parquet as pq

        files = sorted((catalog / "data" / "bar" / bar_type).glob("*.parquet"))
        self._files = [pq.ParquetFile(path) for path in files]

    def schema_problems(self, price_precision: int, size_precision: int) -> list[str]:
        """What is not as `arrow.write_bars` would have written it; empty: all is."""
        said = {"price_precision": price_precision, "size_precision": size_precision}
        problems = []
        for file in self._files:
            schema = file.schema_arrow
            if not schema.equals(bar_schema(), check_metadata=False):
                problems.append("its columns are not those of the catalog's schema")
            for name, precision in said.items():
                held = (schema.metadata or {}).get(name.encode(), b"missing").decode()
                if held != str(precision):
                    problems.append(f"its {name} is {held}, the manifest says {precision}")
        return problems

    def close_times_ms(self) -> Iterator[int]:
        """When each bar closed, UTC ms."""
        for file, group in self._row_groups():
            yield from _closes_ms(file.read_row_group(group, columns=["ts_event"]))

    def parts(self) -> list[PackedBars]:
        """The bars, a stretch for each row group, each of them read when it is needed."""
        return [_part(file, group) for file, group in self._row_groups()]

    def _row_groups(self) -> Iterator[tuple[pq.ParquetFile, int]]:
        for file in self._files:
            for group in range(file.num_row_groups):
                yield file, group


def last_values(parts: list[PackedBars], bars: int) -> list[BarValues]:
    """The exact values of the last ``bars`` bars of stretches in order, oldest first."""
    import pyarrow as pa

    table = pa.concat_tables([part.load() for part in parts[-2:]])
    table = table.slice(max(0, table.num_rows - bars))
    columns = [decimals_of(table.column(name)).to_pylist() for name in VALUES]
    return [BarValues(*row) for row in zip(*columns, _closes_ms(table), strict=True)]


def without_last(parts: list[PackedBars], bars: int) -> list[PackedBars]:
    """Stretches in order, but for their last ``bars`` bars."""
    kept = list(parts)
    while kept and bars:
        part = kept.pop()
        if part.rows > bars:
            table = part.load().slice(0, part.rows - bars)
            kept.append(in_memory(table, part.price_decimals, part.size_decimals))
        bars -= min(bars, part.rows)
    return kept


def read_instrument(file: Path) -> PackedInstrument:
    """An instrument from its file in a catalog."""
    import pyarrow.parquet as pq

    return PackedInstrument("/".join(file.parts[-3:-1]), pq.read_table(file, partitioning=None))


def _part(file: pq.ParquetFile, group: int) -> PackedBars:
    def load() -> pa.Table:
        return file.read_row_group(group, use_threads=False).cast(bar_schema())

    table = load()
    closes = table.column("ts_event")
    used = [_decimals_used(decimals_of(table.column(name))) for name in VALUES]
    return PackedBars(
        table.num_rows, closes[0].as_py(), closes[-1].as_py(), max(used[:4]), used[4], load
    )


def _closes_ms(table: pa.Table) -> list[int]:
    closes: list[int] = (table.column("ts_event").to_numpy() // NS_PER_MS).tolist()
    return closes


def _decimals_used(values: pa.Array) -> int:
    """The most decimals of any value, trailing zeros left out."""
    import pyarrow as pa

    for decimals in range(16):
        try:
            values.cast(pa.decimal128(38, decimals))
        except pa.ArrowInvalid:  # it would lose digits
            continue
        return decimals
    return 16
