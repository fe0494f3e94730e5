"""A plain Nautilus ParquetDataCatalog: written whole into a fresh folder, read by bar type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from nautilus_trader.model.data import Bar
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

CATALOG_SCHEMA = "nautilus-1.x"
"""The family of Arrow schemas that this Nautilus writes; the 2.0 line has another one."""


def write_catalog(
    path: Path, instruments: Sequence[Instrument], bars: Sequence[Sequence[Bar]]
) -> None:
    """Write instruments, and each non-empty list of bars (one bar type a list, ascending)."""
    path.mkdir(parents=True)
    catalog = ParquetDataCatalog(str(path))
    catalog.write_data(list(instruments))
    for series in bars:
        if series:
            catalog.write_data(list(series))


def read_bars(path: Path, bar_type: str) -> list[Bar]:
    """All bars of one type, ascending; a missing type reads as an empty list."""
    bars: list[Bar] = ParquetDataCatalog(str(path)).bars(bar_types=[bar_type])
    return bars


def read_instrument(path: Path, instrument_id: str) -> Instrument | None:
    """The instrument of that id, or None."""
    found = ParquetDataCatalog(str(path)).instruments(instrument_ids=[instrument_id])
    return found[0] if found else None


def canonical_instrument(instrument: Instrument) -> bytes:
    """The instrument's values as JSON with sorted keys, for digests."""
    return msgspec.json.encode(type(instrument).to_dict(instrument), order="sorted")
