"""Read a catalog's files with pyarrow alone: bars to verify, to judge and to reuse."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.catalog.audit import opens_of, snapshot_errors
from warmup_job.catalog.packed_bars import (
    ROWS_PER_GROUP,
    SPILL_FROM_BARS,
    BarSeries,
    PackedBars,
    PackedInstrument,
    bar_schema,
)
from warmup_job.errors import SnapshotError
from warmup_job.market.interval import Interval

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class StoredBars:
    """The bars of one bar type in a catalog, in the order of the file names.

    Each row group is decoded once and then kept in memory, unless the bars are too many for that
    (`SPILL_FROM_BARS`). Every method raises SnapshotError for a file that cannot be decoded, and
    OSError for one that cannot be read.

    Args:
        catalog: folder of the catalog.
        bar_type: Nautilus bar type.
    """

    def __init__(self, catalog: Path, bar_type: str) -> None:
        import pyarrow.parquet as pq

        self._groups: list[_RowGroup] = []
        self._schemas: list[pa.Schema] = []
        for path in sorted((catalog / "data" / "bar" / bar_type).glob("*.parquet")):
            with snapshot_errors(path):
                file = pq.ParquetFile(path)
            self._schemas.append(file.schema_arrow)
            self._groups += [
                _RowGroup(path, file, index)
                for index in range(file.num_row_groups)
                if file.metadata.row_group(index).num_rows
            ]
        self.rows = sum(group.rows for group in self._groups)
        """Number of bars, by the files' own metadata."""
        for group in self._groups:
            group.keep = self.rows < SPILL_FROM_BARS

    def schema_problems(self, **expected: object) -> list[str]:
        """Return how the files differ from what `write_bars` writes; empty: they do not.

        Args:
            expected: the files' metadata, by the names of `write_bars`.
        """
        problems = []
        for schema in self._schemas:
            if not schema.equals(bar_schema(), check_metadata=False):
                problems.append("its columns are not those of the catalog's schema")
            for name, value in expected.items():
                held = (schema.metadata or {}).get(name.encode(), b"missing")
                if held.decode(errors="replace") != str(value):
                    problems.append(
                        f"its {name} is {held.decode(errors='replace')}, the manifest says {value}"
                    )
        if any(group.rows > ROWS_PER_GROUP for group in self._groups):
            problems.append(f"it has a row group of more than {ROWS_PER_GROUP} rows")
        return problems

    def tables(self) -> Iterator[pa.Table]:
        """Iterate over the row groups as they are stored, whatever their columns are."""
        for group in self._groups:
            yield group.table()

    def bar_tables(self) -> Iterator[pa.Table]:
        """Iterate over the row groups in the catalog's schema."""
        for group in self._groups:
            yield group.bars()

    def series(self, interval: Interval) -> BarSeries:
        """Return the bars, which must be those of ``interval``."""
        return BarSeries([group.packed(interval) for group in self._groups])


class _RowGroup:
    """One row group of a Parquet file, decoded when it is first needed."""

    def __init__(self, path: Path, file: pq.ParquetFile, index: int) -> None:
        self._path, self._file, self._index = path, file, index
        self._table: pa.Table | None = None
        self.rows: int = file.metadata.row_group(index).num_rows
        self.keep = False

    def table(self) -> pa.Table:
        if self._table is not None:
            return self._table
        with snapshot_errors(self._path):
            table = self._file.read_row_group(self._index, use_threads=False)
            table.validate(full=True)
        if self.keep:
            self._table = table
        return table

    def packed(self, interval: Interval) -> PackedBars:
        stamps = ["ts_event", "ts_init"]
        with snapshot_errors(self._path):
            opens_ms = opens_of(
                self.table() if self.keep else self._file.read_row_group(self._index, stamps),
                interval,
            )
            if isinstance(opens_ms, str):
                raise SnapshotError(f"{self._path}: {opens_ms}")
        return PackedBars(array("q", opens_ms.tobytes()), self.bars)

    def bars(self) -> pa.Table:
        table, wanted = self.table(), bar_schema()
        if table.schema.equals(wanted, check_metadata=False):  # a cast would import much
            return table.replace_schema_metadata(None)
        with snapshot_errors(self._path):
            return table.cast(wanted)


def read_instrument(file: Path) -> PackedInstrument:
    """Read an instrument from its file in a catalog.

    Raises:
        SnapshotError: the file cannot be decoded.
        OSError: the file cannot be read.
    """
    import pyarrow.parquet as pq

    with snapshot_errors(file):
        table = pq.ParquetFile(file).read(use_threads=False)
        table.validate(full=True)
    return PackedInstrument("/".join(file.parts[-3:-1]), table)
