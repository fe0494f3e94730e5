"""Every row of the exchange is validated: shape, decimals, order, alignment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.suite import SCALE
from warmup_job.errors import DataInvalidError
from warmup_job.market.interval import INTERVAL_NAMES, Interval
from warmup_job.market.rows import Gap, find_gaps, missing_bars, parse_rows

MINUTE = Interval.parse("1m")
START = 1_700_000_040_000


def row(minute: int = 0, **changes: Any) -> list[Any]:
    names = ("open_ms", "open", "high", "low", "close", "volume", "close_ms", "quote", "trades")
    open_ms = START + minute * 60_000
    values: dict[str, Any] = dict(
        zip(
            names,
            (open_ms, "10.0", "11.0", "9.0", "10.5", "3", open_ms + 59_999, "31", 7),
            strict=True,
        )
    )
    values |= changes
    return [*values.values(), "1", "10", "0"]


def parse(*rows: Any) -> list[Any]:
    return list(parse_rows(list(rows), MINUTE, START, START + 10 * 60_000))


def test_rows_keep_their_text() -> None:
    first, second = parse(row(0, volume="0"), row(1))
    assert (first.open, first.volume, first.open_ms) == ("10.0", "0", START)
    assert second.close_ms == START + 119_999


def test_rows_that_close_early_are_accepted() -> None:
    (early,) = parse(row(0, close_ms=START + 21_646))
    assert early.close_ms == START + 21_646


@pytest.mark.parametrize(
    "rows",
    [
        ["not", "rows"],
        [[START, "1"]],
        [row(0, open="NaN")],
        [row(0, open="1e5")],
        [row(0, open="-1")],
        [row(0, open=10.0)],
        [row(0, open_ms=str(START))],
        [row(0, open_ms=True)],
        [row(0, low="10.1")],
        [row(0, high="10.4")],
        [row(0, low="0")],
        [row(0, close_ms=START + 60_000)],
        [row(0, close_ms=START - 1)],
        [row(1), row(0)],
        [row(0), row(0)],
        [row(11)],
        [row(-1)],
        [None],
    ],
)
def test_rows_with_impossible_values_are_refused(rows: list[Any]) -> None:
    with pytest.raises(DataInvalidError):
        parse(*rows)


def test_rows_off_the_grid_end_the_rows_before_them() -> None:
    rows = [row(0), row(1, open_ms=START + 77_000), row(2), row(3)]
    klines = parse_rows(rows, MINUTE, START, START + 10 * 60_000)
    assert klines.off_grid_ms == START + 77_000
    assert [kline.open_ms for kline in klines] == [START + 120_000, START + 180_000]
    none = parse_rows(rows[:2], MINUTE, START, START + 10 * 60_000)
    assert (len(none), none.off_grid_ms) == (0, START + 77_000)
    assert parse_rows([row(0)], MINUTE, START, START).off_grid_ms is None


NUMBERS = st.one_of(
    st.decimals(0, 10**9, places=4).map(str),
    st.text("0123456789.-+eEnaNif_ \u0662", max_size=12),
    st.sampled_from(["", "1e400", "-0", "0", "9" * 21, "1." + "0" * 21, "Infinity"]),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.integers(START - 10**6, START + 10**6),
    NUMBERS,
    st.lists(st.integers(), max_size=2),
)
CELLS = st.tuples(st.integers(0, 5), st.integers(0, 11), VALUES)
EDITS = st.lists(st.one_of(CELLS, st.tuples(st.integers(0, 5), st.just(-1), VALUES)), max_size=4)


@settings(max_examples=500 * SCALE)
@given(EDITS, st.permutations(range(6)), st.booleans(), st.integers(0, 12))
def test_rows_of_any_page_are_refused_or_valid(
    edits: list[tuple[int, int, Any]], order: list[int], shuffled: bool, width: int
) -> None:
    rows: list[Any] = [row(minute) for minute in (order if shuffled else range(6))]
    for at, column, value in edits:
        if column < 0:
            rows[at] = value
        elif isinstance(rows[at], list) and len(rows[at]) > column:
            rows[at][column] = value
    if width < 12 and isinstance(rows[0], list):
        rows[0] = rows[0][:width] if width % 2 else rows[0]
    refused_or_sound(rows)


@settings(max_examples=300 * SCALE)
@given(
    st.recursive(
        VALUES,
        lambda inner: (
            st.lists(inner, max_size=13) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=30,
    )
)
def test_rows_of_any_answer_are_refused_or_valid(answer: Any) -> None:
    refused_or_sound(answer)


def refused_or_sound(answer: Any) -> None:
    """Expect `DataInvalidError`, or rows that satisfy every promise of the parser."""
    end_ms = START + 10 * 60_000
    try:
        klines = parse_rows(answer, MINUTE, START, end_ms)
    except DataInvalidError:
        return
    assert list(klines.open_ms) == sorted(set(klines.open_ms))
    for kline in klines:
        assert START <= kline.open_ms <= end_ms
        assert kline.open_ms % 60_000 == START % 60_000
        assert kline.open_ms <= kline.close_ms < kline.open_ms + 60_000
        opened, high, low, close, volume = map(Decimal, kline[1:6])
        assert 0 < low <= min(opened, close) <= max(opened, close) <= high
        assert volume >= 0
        assert all(value.is_finite() for value in (opened, high, low, close, volume))
        assert isinstance(kline.trades, int)


@given(
    st.sampled_from(INTERVAL_NAMES),
    st.integers(1_500_000_000_000, 2_000_000_000_000),
    st.sets(st.integers(1, 60), max_size=20),
)
def test_rows_gaps_are_exactly_the_missing_ones(name: str, at_ms: int, missing: set[int]) -> None:
    interval = Interval.parse(name)
    first = interval.floor(at_ms)
    opens = [interval.shift(first, i) for i in range(62) if i not in missing]
    gaps = find_gaps(opens, interval)
    named = {interval.shift(gap.first_ms, i) for gap in gaps for i in range(gap.bars)}
    assert named == {interval.shift(first, i) for i in missing}
    assert missing_bars(gaps) == len(missing)
    for gap in gaps:
        assert interval.count(gap.first_ms, gap.last_ms) == gap.bars
        assert interval.shift(gap.first_ms, -1) in opens
        assert interval.next(gap.last_ms) in opens


@pytest.mark.parametrize("answer", [None, {}, "[]", 7, {"code": -1}])
def test_rows_answer_that_is_no_list_is_refused(answer: object) -> None:
    with pytest.raises(DataInvalidError):
        parse_rows(answer, MINUTE, START, START)


def test_rows_gaps_are_named() -> None:
    klines = parse(row(0), row(1), row(4), row(5), row(7))
    minute = 60_000
    gaps = find_gaps([kline.open_ms for kline in klines], MINUTE)
    assert gaps == [
        Gap(START + 2 * minute, START + 3 * minute, 2),
        Gap(START + 6 * minute, START + 6 * minute, 1),
    ]
    assert missing_bars(gaps) == 3
    assert find_gaps([kline.open_ms for kline in klines[:2]], MINUTE) == []
