"""One stream's bars on a time axis without holes: a missing bar keeps its place."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from warmup_job.catalog.packed_bars import VALUES, float_columns
from warmup_job.chart.packed_column import Floats
from warmup_job.market.interval import Interval
from warmup_job.snapshot.manifest import StreamEntry
from warmup_job.snapshot.verify import Snapshot

MOST_SLOTS_OF_A_GAP = 2_000
"""A longer gap takes no more room than this."""
Times = npt.NDArray[np.int64]


class AbsentBars(msgspec.Struct, frozen=True):
    """Slots without a bar."""

    at: int
    """Index of the first slot."""
    slots: int
    bars: int
    """How many bars are missing; more than slots if the gap is long."""
    why: Literal["gap", "after"]
    """A gap of Binance's, or time after the snapshot's last bar."""


class BarSlots(msgspec.Struct, frozen=True):
    """Columns of equal length; an absent bar has the close before it, and no volume."""

    opens_ms: Times
    """Open time of each slot, UTC ms, ascending."""
    columns: dict[str, Floats]
    """By the names of `VALUES`."""
    absent: tuple[AbsentBars, ...]
    place: npt.NDArray[np.int64]
    """The slot of each bar."""

    def slot_of(self, bar: int) -> int:
        """Return the slot of the bar with this index in the snapshot."""
        return int(self.place[bar])


def read_bars(snapshot: Snapshot, entry: StreamEntry) -> tuple[Times, dict[str, Floats]]:
    """Read a stream's bars: open times (UTC ms), and the columns of `VALUES`."""
    opens_ms = np.array(snapshot.bars(entry).opens_ms, dtype=np.int64)
    columns = float_columns(snapshot.stored(entry).bar_tables(), VALUES)
    arrays = (np.array(column, dtype=np.float64) for column in columns)
    return opens_ms, dict(zip(VALUES, arrays, strict=True))


def lay_out(
    opens_ms: Times,
    columns: dict[str, Floats],
    entry: StreamEntry,
    until_ms: int | None = None,
) -> BarSlots:
    """Give every bar its slot, and every missing one too.

    Args:
        opens_ms: open times of the bars, UTC ms.
        columns: their values.
        entry: the stream.
        until_ms: the axis goes on until then, for events after the last bar.
    """
    interval = Interval.parse(entry.interval)
    absent: list[AbsentBars] = []
    pieces: list[Times] = []
    done = 0
    for gap in sorted(entry.gaps):
        at = int(np.searchsorted(opens_ms, gap.first_ms))
        pieces.append(opens_ms[done:at])
        done = at
        slots = min(gap.bars, MOST_SLOTS_OF_A_GAP)
        absent.append(AbsentBars(sum(map(len, pieces)), slots, gap.bars, "gap"))
        pieces.append(_slots(interval, gap.first_ms, slots))
    pieces.append(opens_ms[done:])
    next_ms = interval.next(int(opens_ms[-1]))
    if until_ms is not None and until_ms >= next_ms:
        bars = interval.count(next_ms, until_ms)
        slots = min(bars, MOST_SLOTS_OF_A_GAP)
        absent.append(AbsentBars(sum(map(len, pieces)), slots, bars, "after"))
        pieces.append(_slots(interval, next_ms, slots))
    axis = np.concatenate(pieces)
    place = np.searchsorted(axis, opens_ms)
    before = np.zeros(len(axis), dtype=np.int64)
    before[place] = np.arange(len(place))
    before = np.maximum.accumulate(before)
    is_there = np.zeros(len(axis), dtype=np.bool_)
    is_there[place] = True
    close = columns["close"][before]
    laid = {
        name: np.where(is_there, column[before], 0.0 if name == "volume" else close)
        for name, column in columns.items()
    }
    return BarSlots(axis, laid, tuple(absent), place)


def _slots(interval: Interval, first_ms: int, slots: int) -> Times:
    return np.array([interval.shift(first_ms, step) for step in range(slots)], dtype=np.int64)
