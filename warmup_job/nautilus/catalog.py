"""A plain Nautilus ParquetDataCatalog through Nautilus itself: what `arrow` cannot do alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from nautilus_trader.model.data import Bar
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog


def write_instruments(catalog: Path, instruments: Sequence[Instrument]) -> None:
    """Write instruments into the catalog."""
    ParquetDataCatalog(str(catalog)).write_data(list(instruments))


def read_bars(catalog: Path, bar_type: str) -> list[Bar]:
    """All bars of one type, ascending; a missing type reads as an empty list."""
    bars: list[Bar] = ParquetDataCatalog(str(catalog)).bars(bar_types=[bar_type])
    return bars


def read_instrument(catalog: Path, instrument_id: str) -> Instrument | None:
    """The instrument of that id, or None."""
    found = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=[instrument_id])
    return found[0] if found else None


def canonical_values(instrument: Instrument) -> bytes:
    """The instrument's values as JSON with sorted keys, but for its two stamps, for digests."""
    values = type(instrument).to_dict(instrument)
    kept = {name: value for name, value in values.items() if name not in {"ts_event", "ts_init"}}
    return msgspec.json.encode(kept, order="sorted")
