"""Nothing that the exchange sends is believed: shapes, decimals, order, alignment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_job.errors import DataInvalidError
from warmup_job.market.gaps import Gap, find_gaps, missing_bars, parse_rows
from warmup_job.market.interval import INTERVAL_NAMES, Interval

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


def test_good_rows_keep_their_text() -> None:
    first, second = parse(row(0, volume="0"), row(1))
    assert (first.open, first.volume, first.open_ms) == ("10.0", "0", START)
    assert second.close_ms == START + 119_999


def test_a_kline_that_closes_early_is_data() -> None:
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
        [row(0, open_ms=START + 1)],
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
def test_what_cannot_be_is_refused(rows: list[Any]) -> None:
    with pytest.raises(DataInvalidError):
        parse(*rows)


@given(
    st.sampled_from(INTERVAL_NAMES),
    st.integers(1_500_000_000_000, 2_000_000_000_000),
    st.sets(st.integers(1, 60), max_size=20),
)
def test_gaps_are_exactly_what_is_missing(name: str, at_ms: int, missing: set[int]) -> None:
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
def test_an_answer_that_is_no_list_is_refused(answer: object) -> None:
    with pytest.raises(DataInvalidError):
        parse_rows(answer, MINUTE, START, START)


def test_holes_are_named() -> None:
    klines = parse(row(0), row(1), row(4), row(5), row(7))
    minute = 60_000
    gaps = find_gaps([kline.open_ms for kline in klines], MINUTE)
    assert gaps == [
        Gap(START + 2 * minute, START + 3 * minute, 2),
        Gap(START + 6 * minute, START + 6 * minute, 1),
    ]
    assert missing_bars(gaps) == 3
    assert find_gaps([kline.open_ms for kline in klines[:2]], MINUTE) == []
