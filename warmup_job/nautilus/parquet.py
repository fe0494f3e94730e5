"""A look into the catalog's files without the cost of importing Nautilus."""

from __future__ import annotations

from pathlib import Path


def close_times_ms(catalog: Path, bar_type: str) -> list[int]:
    """When the catalog's bars of one type closed (UTC ms), in the order of its files."""
    import pyarrow.parquet  # 0.2 s: only who reads a catalog pays for it

    closes: list[int] = []
    for path in sorted((catalog / "data" / "bar" / bar_type).glob("*.parquet")):
        column = pyarrow.parquet.read_table(path, columns=["ts_event"]).column("ts_event")
        closes += [ts_ns // 1_000_000 for ts_ns in column.to_pylist()]
    return closes
