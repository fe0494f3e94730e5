"""Read a catalog, and serialize instruments, through Nautilus itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import nautilus_trader
import pyarrow as pa
from nautilus_trader.model.data import Bar
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import FIXED_PRECISION_BYTES
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.funcs import class_to_filename, urisafe_identifier
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from warmup_job.catalog.audit import snapshot_errors
from warmup_job.catalog.packed_bars import PackedInstrument


def pack_instrument(instrument: Instrument) -> PackedInstrument:
    """Serialize an instrument with Nautilus' own serializer."""
    batch = ArrowSerializer.serialize_batch([instrument], data_cls=type(instrument))
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    folder = class_to_filename(type(instrument))
    return PackedInstrument(f"{folder}/{urisafe_identifier(instrument.id.value)}", table)


def read_bars(catalog: Path, bar_type: str) -> list[Bar]:
    """Read all bars of one type, ascending; return an empty list if the catalog has none.

    Raises:
        SnapshotError: Nautilus cannot decode them.
    """
    with snapshot_errors(f"{bar_type} in {catalog}"):
        bars: list[Bar] = ParquetDataCatalog(str(catalog)).bars(bar_types=[bar_type])
    return bars


def read_instrument(catalog: Path, instrument_id: str) -> Instrument | None:
    """Read an instrument; return None if the catalog does not have it.

    Raises:
        SnapshotError: Nautilus cannot decode it.
    """
    with snapshot_errors(f"{instrument_id} in {catalog}"):
        found = ParquetDataCatalog(str(catalog)).instruments(instrument_ids=[instrument_id])
    return found[0] if found else None


def reader_schema() -> str:
    """Return the schema that this Nautilus reads, in the form of `packed_bars.CATALOG_SCHEMA`."""
    mode = "high" if FIXED_PRECISION_BYTES == 16 else "standard"
    return f"nautilus-{nautilus_trader.__version__.partition('.')[0]}.x-{mode}-precision"


def values_digest(instrument: Instrument) -> str:
    """Return the sha256, in hex, of the instrument's values as sorted JSON without timestamps."""
    values = type(instrument).to_dict(instrument)
    kept = {name: value for name, value in values.items() if name not in {"ts_event", "ts_init"}}
    return hashlib.sha256(msgspec.json.encode(kept, order="sorted")).hexdigest()
