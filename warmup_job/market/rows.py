"""What is wrong with the klines that came, and which are missing: pure checks on plain values."""

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
    """Klines that the venue itself does not have: opens from first_ms to last_ms, both included."""

    first_ms: int
    last_ms: int
    bars: int


def parse_rows(answer: object, interval: Interval, start_ms: int, end_ms: int) -> Klines:
    """Turn one page of a kline answer into klines, believing nothing.

    Where some do not open when a kline of the interval does, those after the last of them are
    returned, and `Klines.odd_ms` says when that one opened: before it no grid can be told.

    Raises:
        DataInvalidError: the answer is no list of kline rows of this interval in ascending order
            within [start_ms, end_ms]. Ask again: it is the transport's fault or the venue's.
    """
    if not isinstance(answer, list):
        raise DataInvalidError(f"the kline answer is {type(answer).__name__}, not a list of rows")
    if not answer:
        return Klines()
    columns = _columns(answer)
    opens_ms = columns[0]
    if opens_ms[0] < start_ms or opens_ms[-1] > end_ms:
        raise DataInvalidError("klines came that were not asked for")
    if not all(map(lt, opens_ms, opens_ms[1:])):
        raise DataInvalidError("klines came out of order or doubled")
    odd = [at for at, open_ms in enumerate(opens_ms) if interval.floor(open_ms) != open_ms]
    odd_ms = opens_ms[odd[-1]] if odd else None
    if odd:
        columns = [column[odd[-1] + 1 :] for column in columns]
        if not columns[0]:
            return Klines(odd_ms=odd_ms)
    for open_ms, close_ms in zip(columns[0], columns[6], strict=True):
        if not open_ms <= close_ms <= interval.close_ms(open_ms):
            raise DataInvalidError(f"the kline of {open_ms} closes at {close_ms}: impossible")
    # As floats: rounding keeps the order, so no right row is refused.
    first, high, low, last = (tuple(map(float, columns[index])) for index in (1, 2, 3, 4))
    bounded = all(map(le, low, first)) and all(map(le, low, last))
    bounded = bounded and all(map(le, first, high)) and all(map(le, last, high))
    if not bounded or min(low) <= 0:
        raise DataInvalidError("klines came with prices that cannot be: low, high, or not positive")
    values: dict[str, Any] = dict(zip(Kline._fields, columns, strict=False))
    return Klines(**values, odd_ms=odd_ms)


def odd_kline(open_ms: int, interval: Interval) -> str:
    """What is to be said of a kline that does not open on the grid."""
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
    """The holes between klines, by their opens (ascending): missing while a later one exists."""
    gaps: list[Gap] = []
    for before_ms, open_ms in pairwise(opens_ms):
        expected_ms = interval.next(before_ms)
        if open_ms != expected_ms:
            last_ms = interval.shift(open_ms, -1)
            gaps.append(Gap(expected_ms, last_ms, interval.count(expected_ms, last_ms)))
    return gaps


def missing_bars(gaps: Iterable[Gap]) -> int:
    """How many bars the gaps lack together."""
    return sum(gap.bars for gap in gaps)
