"""A long series of recorded bars, for `warmup-job study`: from a recording or from a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.catalog import packed_bars as arrow
from warmup_job.catalog.stored_bars import StoredBars
from warmup_job.errors import ConfigError

if TYPE_CHECKING:
    from warmup_job.proof.window import Window


def read_series(source: Path, bar_type: str | None) -> tuple[str, Window]:
    """The name and the bars of a series.

    ``source`` is a gzip CSV in the column order of Binance's kline array, or a catalog's folder, or
    that of a snapshot volume; ``bar_type`` says which of a catalog's, if it has several.

    Raises:
        ConfigError: it is none of these, or holds what cannot be prices.
        SnapshotError: a catalog's file cannot be decoded.
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
    if len(chosen) != 1:
        raise ConfigError(
            f"{source}: name one of its bar types by --bar-type: {', '.join(found)}"
            if found
            else f"{source} is neither a recording (csv.gz) nor a catalog with bars"
        )
    try:
        stored = StoredBars(catalog, chosen[0])
        series = arrow.BarSeries(stored.parts() if stored.rows else ())
        columns_of = [arrow.floats(series, name) for name in ("high", "low", "close")]
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror or error}") from None
    return chosen[0], _window(source, *columns_of)


def _window(source: Path, *columns: Sequence[float] | Sequence[str]) -> Window:
    from warmup_job.proof.window import Window

    high, low, close = columns
    try:
        return Window.of(high, low, close)  # text as well, each the nearest float
    except ValueError as error:
        raise ConfigError(f"{source} cannot be studied: {error}") from None


def _is_bare(path: Path) -> bool:
    """Whether neither the file's name nor its folder says what it is a recording of."""
    return path.parent.name not in {"um", "spot"}
