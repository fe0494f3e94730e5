"""Instruments for the catalog: made by Nautilus, or copied from the previous snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from warmup_job.catalog.names import instrument_id_of
from warmup_job.catalog.packed_bars import PackedInstrument
from warmup_job.market.pages import Market
from warmup_job.snapshot.manifest import InstrumentEntry
from warmup_job.snapshot.verify import Snapshot


@dataclass(frozen=True, slots=True)
class CheckedInstrument:
    """An instrument, ready to be written."""

    entry: InstrumentEntry
    packed: PackedInstrument


def make_instrument(
    market: Market, symbol: str, raw: dict[str, Any], previous: Snapshot | None
) -> CheckedInstrument:
    """Make an instrument as Nautilus does.

    If Binance's entry has not changed since the previous snapshot, its instrument is used. That
    saves importing Nautilus, which takes a second.

    Args:
        market: the venue's market.
        symbol: Binance's symbol.
        raw: the symbol's entry of exchangeInfo.
        previous: the snapshot that was there before; None: there was none.

    Raises:
        WarmupError: the entry does not make an instrument.
    """
    source_digest = hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()
    if previous is not None:
        for entry in previous.manifest.instruments:
            if (entry.symbol, entry.source_digest) == (symbol, source_digest):
                packed = previous.instrument(entry)
                if packed is not None:
                    return CheckedInstrument(entry, packed)
    from warmup_job.catalog.instruments import parse_instrument
    from warmup_job.catalog.nautilus_catalog import pack_instrument, values_digest

    made = parse_instrument(market, raw, 0)
    entry = InstrumentEntry(
        symbol=symbol,
        instrument_id=instrument_id_of(market, symbol),
        price_precision=made.price_precision,
        size_precision=made.size_precision,
        source_digest=source_digest,
        values_digest=values_digest(made),
    )
    return CheckedInstrument(entry, pack_instrument(made))
