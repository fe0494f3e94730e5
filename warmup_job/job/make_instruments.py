"""Instruments for the catalog: encoded, copied from the previous snapshot, or made by Nautilus."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from warmup_job.catalog.encode_instrument import EncodedInstrument, encode_instrument
from warmup_job.catalog.installed_nautilus import NAUTILUS_VERSION, nautilus_version
from warmup_job.catalog.names import instrument_id_of
from warmup_job.catalog.packed_bars import PackedInstrument
from warmup_job.errors import RefusedError
from warmup_job.market.pages import Market
from warmup_job.snapshot.manifest import InstrumentEntry
from warmup_job.snapshot.verify import Snapshot


class CheckedInstrument(msgspec.Struct, frozen=True):
    """An instrument, ready to be written."""

    entry: InstrumentEntry
    packed: PackedInstrument


def make_instrument(
    market: Market, symbol: str, raw: dict[str, Any], previous: Snapshot | None
) -> CheckedInstrument:
    """Make an instrument as Nautilus does, if possible without importing it.

    If Binance's entry has not changed since the previous snapshot, its instrument is used. A new
    entry is encoded here. Only an entry that the encoder is not certain of goes to Nautilus'
    parser, and so does every entry if another nautilus_trader than the pinned one is installed.

    Args:
        market: the venue's market.
        symbol: Binance's symbol.
        raw: the symbol's entry of exchangeInfo.
        previous: the snapshot that was there before; None: there was none.

    Raises:
        WarmupError: the entry does not make an instrument, or only Nautilus can make it, and it is
            not installed.
    """
    source_digest = hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()
    if previous is not None:
        for entry in previous.manifest.instruments:
            if (entry.symbol, entry.source_digest) == (symbol, source_digest):
                packed = previous.instrument(entry)
                if packed is not None:
                    return CheckedInstrument(entry, packed)
    encoded = encode_instrument(market, raw) if nautilus_version() == NAUTILUS_VERSION else None
    made = encoded or _made_by_nautilus(market, symbol, raw)
    entry = InstrumentEntry(
        symbol=symbol,
        instrument_id=instrument_id_of(market, symbol),
        price_precision=made.price_precision,
        size_precision=made.size_precision,
        source_digest=source_digest,
        values_digest=made.values_digest,
    )
    return CheckedInstrument(entry, made.packed)


def _made_by_nautilus(market: Market, symbol: str, raw: dict[str, Any]) -> EncodedInstrument:
    try:
        from warmup_job.catalog.nautilus_catalog import make_encoded
    except ModuleNotFoundError as error:
        if error.name != "nautilus_trader":
            raise
        raise RefusedError(
            f"{symbol}: only Nautilus' parser can read its exchangeInfo entry, and nautilus_trader "
            "is not installed here: run the job in the image that has it, or remove the symbol"
        ) from None
    return make_encoded(market, raw)
