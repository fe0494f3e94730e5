"""A catalog's files read back by pyarrow alone: what is in them, and bars to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.catalog.audit import snapshot_errors
from warmup_job.catalog.packed_bars import (
    ROWS_PER_GROUP,
    VALUES,
    PackedBars,
    PackedInstrument,
    bar_schema,
    decimals_of,
    decimals_used,
    in_memory,
)
from warmup_job.market.kline import BarValues
from warmup_job.market.times import NS_PER_MS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class StoredBars:
    """The bars of one type as they lie in a catalog, in the order of its files' names.

    Everything here raises SnapshotError for a file that cannot be decoded, and OSError for one that
    cannot be read.
    """

    def __init__(self, catalog: Path, bar_type: str) -> None:
        import pyarrow.parquet as pq

        self._paths = sorted((catalog / "data" / "bar" / bar_type).glob("*.parquet"))
        self._files: list[pq.ParquetFile] = []
        for path in self._paths:
            with snapshot_errors(path):
                self._files.append(pq.ParquetFile(path))

    @property
    def rows(self) -> int:
        """How many bars the files say that they hold."""
        return sum(file.metadata.num_rows for file in self._files)

    def schema_problems(self, **said: object) -> list[str]:
        """What is not as `arrow.write_bars` would have written it with ``said``; empty: all is."""
        problems = []
        for file in self._files:
            schema = file.schema_arrow
            if not schema.equals(bar_schema(), check_metadata=False):
                problems.append("its columns are not those of the catalog's schema")
            for name, value in said.items():
                held = (schema.metadata or {}).get(name.encode(), b"missing")
                if held.decode(errors="replace") != str(value):
                    problems.append(
                        f"its {name} is {held.decode(errors='replace')}, the manifest says {value}"
                    )
        for _, file, group in self._row_groups():
            if file.metadata.row_group(group).num_rows > ROWS_PER_GROUP:
                problems.append("a row group of it is larger than any that is written")
                break
        return problems

    def tables(self) -> Iterator[pa.Table]:
        """The bars, a table for each row group."""
        for path, file, group in self._row_groups():
            with snapshot_errors(path):
                table = file.read_row_group(group, use_threads=False)
                table.validate(full=True)
            yield table

    def close_times_ms(self) -> Iterator[int]:
        """When each bar closed, UTC ms."""
        for path, file, group in self._row_groups():
            with snapshot_errors(path):
                closes = _closes_ms(file.read_row_group(group, columns=["ts_event"]))
            yield from closes

    def parts(self, last: int | None = None) -> list[PackedBars]:
        """The bars, a stretch for each row group, each of them read when it is needed.

        ``last``: only those that the last so many bars are in.
        """
        groups, rows = list(self._row_groups()), 0
        if last is not None:
            wanted = []
            while groups and rows < last:
                wanted.append(groups.pop())
                rows += wanted[-1][1].metadata.row_group(wanted[-1][2]).num_rows
            groups = wanted[::-1]
        return [_part(*each) for each in groups]

    def _row_groups(self) -> Iterator[tuple[Path, pq.ParquetFile, int]]:
        for path, file in zip(self._paths, self._files, strict=True):
            for group in range(file.num_row_groups):
                if file.metadata.row_group(group).num_rows:
                    yield path, file, group


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
            kept.append(in_memory(part.load().slice(0, part.rows - bars)))
        bars -= min(bars, part.rows)
    return kept


def read_instrument(file: Path) -> PackedInstrument:
    """An instrument from its file in a catalog.

    Raises:
        SnapshotError: it cannot be decoded.
        OSError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with snapshot_errors(file):
        table = pq.ParquetFile(file).read(use_threads=False)
        table.validate(full=True)
    return PackedInstrument("/".join(file.parts[-3:-1]), table)


def _part(path: Path, file: pq.ParquetFile, group: int) -> PackedBars:
    def load() -> pa.Table:
        with snapshot_errors(path):
            return file.read_row_group(group, use_threads=False).cast(bar_schema())

    table = load()
    used = decimals_used(table)
    closes = table.column("ts_event")
    return PackedBars(table.num_rows, closes[0].as_py(), closes[-1].as_py(), *used, load)


def _closes_ms(table: pa.Table) -> list[int]:
    closes: list[int] = (table.column("ts_event").to_numpy() // NS_PER_MS).tolist()
    return closes
