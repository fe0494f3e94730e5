"""Reads the bars that `warmup-job study` works on, from a recording or a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.catalog.names import meant_bar_type
from warmup_job.catalog.packed_bars import float_columns
from warmup_job.catalog.stored_bars import StoredBars
from warmup_job.errors import ConfigError

if TYPE_CHECKING:
    from warmup_job.proof.window import Window


def read_series(source: Path, bar_type: str | None) -> tuple[str, Window]:
    """Read a series and return its name and bars.

    Args:
        source: A gzip CSV in the column order of Binance's kline array, a Nautilus catalog, or a
            snapshot volume.
        bar_type: Which bars of the catalog to read; None if it has only one bar type.

    Raises:
        ConfigError: The source is none of these, or a value cannot be a price.
        SnapshotError: A file of the catalog cannot be decoded.
    """
    if source.is_file():
        from warmup_job.market.recording import read_recording

        rows = read_recording(f"um:SERIES:1m:{source}" if _is_bare(source) else str(source)).rows
        columns = zip(*((row.high, row.low, row.close) for row in rows), strict=True)
        return source.name, _window(source, *columns)
    current = source / "current" / "catalog"
    catalog = current if current.is_dir() else source
    found = sorted(path.name for path in (catalog / "data" / "bar").glob("*"))
    chosen = [name for name in found if bar_type in {None, name}]
    if found and not chosen:
        near = meant_bar_type(str(bar_type))
        hint = f"; did you mean {near}?" if near in found else ""
        raise ConfigError(
            f"{source} has no bar type {bar_type}{hint} (it has {', '.join(found)}): correct "
            "--bar-type"
        )
    if len(chosen) != 1:
        raise ConfigError(
            f"{source} has several bar types; select one with --bar-type: {', '.join(found)}"
            if found
            else f"{source} is neither a recording (csv.gz) nor a catalog with bars"
        )
    try:
        stored = StoredBars(catalog, chosen[0])
        columns_of = float_columns(stored.bar_tables(), ("high", "low", "close"))
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror or error}") from None
    return chosen[0], _window(source, *columns_of)


def _window(source: Path, *columns: Sequence[float] | Sequence[str]) -> Window:
    from warmup_job.proof.window import Window

    high, low, close = columns
    try:
        return Window.of(high, low, close)  # converts text to the nearest float
    except ValueError as error:
        raise ConfigError(f"{source} cannot be studied: {error}") from None


def _is_bare(path: Path) -> bool:
    """Return whether the path does not say what it records, as `um/…` and `spot/…` do."""
    return path.parent.name not in {"um", "spot"}
