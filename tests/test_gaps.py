"""Nothing that the exchange sends is believed: shapes, decimals, order, alignment."""

from __future__ import annotations

from typing import Any

import pytest

from warmup_job.errors import DataInvalidError
from warmup_job.market.gaps import Gap, find_gaps, missing_bars, parse_rows
from warmup_job.market.interval import Interval

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
