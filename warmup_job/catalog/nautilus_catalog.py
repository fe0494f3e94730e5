"""Instruments of a catalog, encoded and decoded by Nautilus itself."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import nautilus_trader
import pyarrow as pa
from nautilus_trader.model import instruments
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import FIXED_PRECISION_BYTES
from nautilus_trader.persistence.funcs import class_to_filename, urisafe_identifier
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from warmup_job.catalog.audit import INSTRUMENT_CLASSES, snapshot_errors
from warmup_job.catalog.encode_instrument import EncodedInstrument
from warmup_job.catalog.instruments import parse_instrument
from warmup_job.catalog.packed_bars import PackedInstrument
from warmup_job.market.pages import Market


def pack_instrument(instrument: Instrument) -> PackedInstrument:
    """Serialize an instrument with Nautilus' own serializer."""
    batch = ArrowSerializer.serialize_batch([instrument], data_cls=type(instrument))
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    folder = class_to_filename(type(instrument))
    return PackedInstrument(f"{folder}/{urisafe_identifier(instrument.id.value)}", table)


def make_encoded(market: Market, entry: dict[str, Any]) -> EncodedInstrument:
    """Make with Nautilus what `encode_instrument` makes without it.

    Raises:
        RefusedError: The symbol cannot be traded now, or this Nautilus cannot parse the entry.
    """
    made = parse_instrument(market, entry, 0)
    return EncodedInstrument(
        pack_instrument(made), made.price_precision, made.size_precision, values_digest(made)
    )


def unpack_instrument(packed: PackedInstrument) -> Instrument:
    """Return an instrument as Nautilus' own serializer reads it.

    Raises:
        SnapshotError: Nautilus cannot decode it.
    """
    with snapshot_errors(packed.folder):
        kind = getattr(instruments, INSTRUMENT_CLASSES[packed.folder.partition("/")[0]])
        (instrument,) = ArrowSerializer.deserialize(kind, packed.table)
    return instrument


def reader_schema() -> str:
    """Return the schema that this Nautilus reads, in the form of `packed_bars.CATALOG_SCHEMA`."""
    mode = "high" if FIXED_PRECISION_BYTES == 16 else "standard"
    return f"nautilus-{nautilus_trader.__version__.partition('.')[0]}.x-{mode}-precision"


def values_digest(instrument: Instrument) -> str:
    """Return the sha256, in hex, of the instrument's values as sorted JSON without timestamps."""
    values = type(instrument).to_dict(instrument)
    kept = {name: value for name, value in values.items() if name not in {"ts_event", "ts_init"}}
    return hashlib.sha256(msgspec.json.encode(kept, order="sorted")).hexdigest()
