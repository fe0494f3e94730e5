"""What is wrong with the klines that came, and which are missing: pure checks on plain rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from warmup_job.errors import DataInvalidError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)


class Gap(NamedTuple):
    """Klines that the venue itself does not have: opens from first_ms to last_ms, both included."""

    first_ms: int
    last_ms: int
    bars: int


def parse_rows(answer: object, interval: Interval, start_ms: int, end_ms: int) -> list[Kline]:
    """Turn one page of a kline answer into klines, oldest first, believing nothing.

    Raises:
        DataInvalidError: the answer is no list of kline rows of this interval in ascending order
            within [start_ms, end_ms]. Ask again: it is the transport's fault or the venue's.
    """
    if not isinstance(answer, list):
        raise DataInvalidError(f"the kline answer is {type(answer).__name__}, not a list of rows")
    klines: list[Kline] = []
    previous_ms = -1
    for row in answer:
        kline = _parse_row(row, interval)
        if not start_ms <= kline.open_ms <= end_ms:
            raise DataInvalidError(f"a kline opens at {kline.open_ms}, outside what was asked for")
        if kline.open_ms <= previous_ms:
            raise DataInvalidError(f"klines are out of order or doubled at {kline.open_ms}")
        previous_ms = kline.open_ms
        klines.append(kline)
    return klines


def _parse_row(row: object, interval: Interval) -> Kline:
    if not isinstance(row, list) or len(row) < 11:
        raise DataInvalidError(f"a kline row of an unknown shape: {str(row)[:120]}")
    open_ms, close_ms, trades = row[0], row[6], row[8]
    times_are_ints = all(type(value) is int for value in (open_ms, close_ms, trades))
    texts = (*row[1:6], row[7], row[9], row[10])
    if not times_are_ints or not all(
        isinstance(text, str) and _DECIMAL.fullmatch(text) for text in texts
    ):
        raise DataInvalidError(f"a kline row of an unknown shape: {str(row)[:120]}")
    if interval.floor(open_ms) != open_ms:
        raise DataInvalidError(f"a kline opens at {open_ms}, which no {interval.name} kline does")
    if not open_ms <= close_ms <= interval.close_ms(open_ms):
        raise DataInvalidError(f"the kline of {open_ms} closes at {close_ms}, outside its interval")
    # As floats: rounding keeps the order, so no right row is refused.
    first, high, low, last = (float(text) for text in row[1:5])
    if not (0 < low <= first <= high and low <= last <= high):
        raise DataInvalidError(f"the kline of {open_ms} has prices that cannot be: {row[1:5]}")
    return Kline(*row[:11])


def find_gaps(klines: Sequence[Kline], interval: Interval) -> list[Gap]:
    """The holes between the klines (ascending): what is missing while a later row exists."""
    gaps: list[Gap] = []
    for before, after in pairwise(klines):
        expected_ms = interval.next(before.open_ms)
        if after.open_ms != expected_ms:
            last_ms = interval.shift(after.open_ms, -1)
            gaps.append(Gap(expected_ms, last_ms, interval.count(expected_ms, last_ms)))
    return gaps


def missing_bars(gaps: Iterable[Gap]) -> int:
    """How many bars the gaps lack together."""
    return sum(gap.bars for gap in gaps)
