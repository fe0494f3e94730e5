"""Everything that the page draws of one stream."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from warmup_job.chart.bar_slots import AbsentBars, BarSlots, lay_out, read_bars
from warmup_job.chart.detector_values import DetectorValues, detector_values
from warmup_job.chart.packed_column import PackedColumn, pack_column
from warmup_job.chart.revised_bars import revised_bars
from warmup_job.chart.trader_trace import ShownFill, ShownOrder, TraderTrace
from warmup_job.proof.certificate import Certificate
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.manifest import StreamEntry
from warmup_job.snapshot.verify import Snapshot


class RegimeStretch(msgspec.Struct, frozen=True):
    """From this slot on the regime is this one."""

    at: int
    regime: str


class RevisedSlot(msgspec.Struct, frozen=True):
    """A bar that Binance has changed, and its values in an earlier snapshot."""

    at: int
    before: tuple[float, ...]
    snapshot: str


class Proof(msgspec.Struct, frozen=True):
    """What the manifest's certificate says."""

    window_at: int
    """First slot of the bars that it covers."""
    proven_at: int | None
    """The slot since which all possible histories have the same regime; None: not proven."""
    certificate: dict[str, Any]


class StreamChart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One stream. A slot is an index on the time axis; missing bars have slots too."""

    symbol: str
    instrument_id: str
    bar_type: str
    interval: str
    price: str
    price_decimals: int
    size_decimals: int
    bars: int
    from_listing: bool
    slots: int
    columns: dict[str, PackedColumn]
    """`time` (s), the values of the bars, and those of the detector."""
    absent: tuple[AbsentBars, ...]
    revised: list[RevisedSlot]
    detector: DetectorSettings | None
    regimes: list[RegimeStretch]
    proof: Proof | None
    orders: list[ShownOrder] = []
    fills: list[ShownFill] = []


def stream_chart(
    snapshot: Snapshot, entry: StreamEntry, trace: TraderTrace | None = None
) -> StreamChart:
    """Read a stream's bars, and compute what its detector says after each of them.

    Args:
        snapshot: a verified snapshot.
        entry: one of its streams.
        trace: what a trader did; the time axis goes on until its newest fill or order.

    Raises:
        SnapshotError: a file cannot be decoded.
        OSError: a file cannot be read.
    """
    opens_ms, columns = read_bars(snapshot, entry)
    until_ms = None if trace is None else trace.last_ms(entry.instrument_id)
    slots = lay_out(opens_ms, columns, entry, until_ms)
    shown = None if entry.detector is None else detector_values(slots, entry.detector)
    revised = revised_bars(snapshot, entry, opens_ms, columns)
    return StreamChart(
        symbol=entry.symbol,
        instrument_id=entry.instrument_id,
        bar_type=entry.bar_type,
        interval=entry.interval,
        price=entry.price,
        price_decimals=entry.price_precision,
        size_decimals=entry.size_precision,
        bars=len(opens_ms),
        from_listing=entry.from_listing,
        slots=len(slots.opens_ms),
        columns=_packed(slots, shown, entry),
        absent=slots.absent,
        revised=[RevisedSlot(slots.slot_of(r.bar), r.before, r.snapshot) for r in revised],
        detector=entry.detector,
        regimes=[] if shown is None else [RegimeStretch(*each) for each in shown.regimes],
        proof=_proof(entry.certificate, slots),
        orders=[] if trace is None else trace.orders.get(entry.instrument_id, []),
        fills=[] if trace is None else trace.fills.get(entry.instrument_id, []),
    )


def _packed(
    slots: BarSlots, shown: DetectorValues | None, entry: StreamEntry
) -> dict[str, PackedColumn]:
    prices, sizes = entry.price_precision, entry.size_precision
    columns = {"time": pack_column(slots.opens_ms.astype(np.float64) / 1000, 0)}
    for name, values in slots.columns.items():
        columns[name] = pack_column(values, sizes if name == "volume" else prices)
    if shown is not None:
        for name, values in shown.indicators.items():
            columns[name] = pack_column(values, 2 if name == "adx" else prices + 2)
    return columns


def _proof(certificate: Certificate | None, slots: BarSlots) -> Proof | None:
    if certificate is None:
        return None
    first = len(slots.place) - certificate.bars
    met = certificate.met_bar
    return Proof(
        window_at=slots.slot_of(first),
        proven_at=None if met is None else slots.slot_of(first + met),
        certificate=msgspec.to_builtins(certificate),
    )
