"""Validate kline rows and find the missing ones: pure checks on plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import le, lt
from typing import Any, NamedTuple

from warmup_job.errors import DataInvalidError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline, Klines
from warmup_job.market.times import utc_text

_DECIMALS = re.compile(r"(?:[0-9]{1,20}(?:\.[0-9]{1,20})?,)+", re.ASCII)
_NUMBERS, _TEXTS = (0, 6, 8), (1, 2, 3, 4, 5, 7, 9, 10)  # columns of Binance's kline row


class Gap(NamedTuple):
    """Klines that Binance itself lacks: those that open from first_ms to last_ms, both included."""

    first_ms: int
    last_ms: int
    bars: int


def parse_rows(answer: object, interval: Interval, start_ms: int, end_ms: int) -> Klines:
    """Validate every row of one kline answer and turn the rows into klines.

    If some rows open off the interval's grid, only the klines after the last of them are returned,
    and `Klines.off_grid_ms` names that row.

    Args:
        answer: the decoded JSON.
        interval: the interval that was asked for.
        start_ms: earliest open time that was asked for, UTC ms.
        end_ms: latest open time that was asked for, UTC ms.

    Returns:
        The klines, ascending.

    Raises:
        DataInvalidError: the answer is not a list of kline rows of this interval in ascending order
            within [start_ms, end_ms]. Ask again: the transport or the venue made an error.
    """
    if not isinstance(answer, list):
        raise DataInvalidError(f"the kline answer is {type(answer).__name__}, not a list of rows")
    if not answer:
        return Klines()
    columns = _columns(answer)
    opens_ms = columns[0]
    if opens_ms[0] < start_ms or opens_ms[-1] > end_ms:
        raise DataInvalidError("the answer has klines that were not asked for")
    if not all(map(lt, opens_ms, opens_ms[1:])):
        raise DataInvalidError("the klines are out of order, or one is there twice")
    off_grid = [at for at, open_ms in enumerate(opens_ms) if interval.floor(open_ms) != open_ms]
    off_grid_ms = opens_ms[off_grid[-1]] if off_grid else None
    if off_grid:
        columns = [column[off_grid[-1] + 1 :] for column in columns]
        if not columns[0]:
            return Klines(off_grid_ms=off_grid_ms)
    for open_ms, close_ms in zip(columns[0], columns[6], strict=True):
        if not open_ms <= close_ms <= interval.close_ms(open_ms):
            raise DataInvalidError(
                f"the kline of {open_ms} closes at {close_ms}, which is impossible"
            )
    # Floats are enough here: rounding keeps the order, so no valid row is refused.
    first, high, low, last = (tuple(map(float, columns[index])) for index in (1, 2, 3, 4))
    bounded = all(map(le, low, first)) and all(map(le, low, last))
    bounded = bounded and all(map(le, first, high)) and all(map(le, last, high))
    if not bounded or min(low) <= 0:
        raise DataInvalidError(
            "a kline has impossible prices: not low <= open, close <= high, or not above 0"
        )
    values: dict[str, Any] = dict(zip(Kline._fields, columns, strict=False))
    return Klines(**values, off_grid_ms=off_grid_ms)


def off_grid_text(open_ms: int, interval: Interval) -> str:
    """Return the message about a kline that does not open on the interval's grid."""
    at = f"{utc_text(open_ms)} ({open_ms})"
    return f"the venue's kline of {at} does not open when a {interval.name} kline does"


def _columns(rows: list[Any]) -> list[tuple[Any, ...]]:
    try:
        columns = list(zip(*rows, strict=True))
    except (TypeError, ValueError):
        columns = []
    shaped = len(columns) >= 11 and all(set(map(type, columns[i])) == {int} for i in _NUMBERS)
    shaped = shaped and all(set(map(type, columns[i])) == {str} for i in _TEXTS)
    if not shaped or not all(_DECIMALS.fullmatch(",".join(columns[i]) + ",") for i in _TEXTS):
        raise DataInvalidError(f"kline rows of an unknown shape: {rows[0]!r:.120}")
    return columns


def find_gaps(opens_ms: Sequence[int], interval: Interval) -> list[Gap]:
    """Return the gaps between klines, given by their open times in UTC ms, ascending."""
    gaps: list[Gap] = []
    for before_ms, open_ms in pairwise(opens_ms):
        expected_ms = interval.next(before_ms)
        if open_ms != expected_ms:
            last_ms = interval.shift(open_ms, -1)
            gaps.append(Gap(expected_ms, last_ms, interval.count(expected_ms, last_ms)))
    return gaps


def missing_bars(gaps: Iterable[Gap]) -> int:
    """Return the number of missing bars of all gaps together."""
    return sum(gap.bars for gap in gaps)
