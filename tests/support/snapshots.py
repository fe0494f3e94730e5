"""Snapshots of synthetic bars on a real volume."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

from warmup_job.catalog import packed_bars as arrow
from warmup_job.job.make_instruments import make_instrument
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.market.kline import Klines
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.lease import Lease, acquire_lease
from warmup_job.snapshot.manifest import (
    InstrumentEntry,
    Manifest,
    StreamEntry,
    Versions,
)
from warmup_job.snapshot.publish import (
    PublishedSnapshot,
    prepare_volume,
    publish,
)

START = 1_700_000_040_000
MINUTE_MS = 60_000
BAR_TYPE = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
ENDPOINT = "https://fapi.example"


def bars(count: int, missing: frozenset[int] = frozenset()) -> arrow.BarSeries:
    opens = [START + i * MINUTE_MS for i in range(count) if i not in missing]
    text = ["5.00"] * len(opens)
    closes = [open_ms + MINUTE_MS - 1 for open_ms in opens]
    rows = Klines(opens, text, text, text, text, text, closes, text, opens, text, text)
    return arrow.BarSeries([arrow.pack(rows)])


@cache
def instrument() -> arrow.PackedInstrument:
    """Return Nautilus' futures BTCUSDT; its precisions are 2 and 3."""
    symbols = default_symbols()
    entry = next(each for each in symbols if (each.market, each.name) == ("um", "BTCUSDT"))
    return make_instrument("um", entry.name, entry.info(), None).packed


def hold(root: Path) -> Lease:
    """Hold the lease of a volume that is prepared for a job."""
    prepare_volume(root)
    lease = asyncio.run(acquire_lease(root, lambda _: None, timeout_s=5, on_wait=lambda _: None))
    assert isinstance(lease, Lease)
    return lease


def make(
    root: Path, count: int = 10, *, at_s: int = 0, keep: int = 3, **changes: Any
) -> PublishedSnapshot:
    """Publish a snapshot of ``count`` minutes; ``changes`` go into the manifest."""
    packed = changes.pop("packed", None) or bars(count)
    settings = changes.pop("settings", "")
    entry: dict[str, Any] = {
        "symbol": "BTCUSDT", "instrument_id": "BTCUSDT-PERP.BINANCE", "bar_type": BAR_TYPE,
        "interval": "1m", "price_precision": 2, "size_precision": 3, "first_open": START,
        "last_close": START + count * MINUTE_MS - 1, "bar_count": count, "gaps": [],
        "from_listing": False, "detector": DetectorSettings(20, 50, 14, 14, 10.0),
    }  # fmt: skip
    manifest = Manifest(
        created_at=START + at_s * 1000, venue="BINANCE", market="um", endpoint=ENDPOINT,
        streams=[StreamEntry(**entry | changes)],
        instruments=[
            InstrumentEntry(
                symbol="BTCUSDT", instrument_id="BTCUSDT-PERP.BINANCE", price_precision=2,
                size_precision=3, source_digest="5" * 64, values_digest="6" * 64,
            )
        ],
        degraded=[],
        content_digest=arrow.content_digest(packed), settings_digest=settings,
        weight_spent=1, seconds=1.0,
        files=[], versions=Versions("1", "2", "3", "4", arrow.CATALOG_SCHEMA),
    )  # fmt: skip

    def write(create: arrow.Create) -> None:
        arrow.write_instrument(create, instrument(), START * 1_000_000)
        arrow.write_bars(
            create, packed, bar_type=BAR_TYPE, instrument_id="BTCUSDT-PERP.BINANCE",
            price_precision=2, size_precision=3,
        )  # fmt: skip

    lease = hold(root)
    try:
        return publish(lease, manifest, write, keep)
    finally:
        lease.release()
