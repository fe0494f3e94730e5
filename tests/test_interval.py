"""Binance's intervals: weeks from Monday, calendar months, and no silent replacement of one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_job.errors import ConfigError
from warmup_job.market.interval import INTERVAL_NAMES, Interval

MOMENTS_MS = st.integers(min_value=1_500_000_000_000, max_value=2_500_000_000_000)
INTERVALS = st.sampled_from(INTERVAL_NAMES).map(Interval.parse)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("name", "at", "opened", "closes"),
    [
        ("1m", "2024-02-29T23:59:59.999", "2024-02-29T23:59", "2024-02-29T23:59:59.999"),
        ("4h", "2024-01-01T07:00", "2024-01-01T04:00", "2024-01-01T07:59:59.999"),
        ("1w", "2024-03-03T23:00", "2024-02-26", "2024-03-03T23:59:59.999"),  # Sunday → Monday
        ("1w", "2024-03-04T00:00", "2024-03-04", "2024-03-10T23:59:59.999"),
        ("1M", "2024-02-29T12:00", "2024-02-01", "2024-02-29T23:59:59.999"),
        ("1M", "2023-12-31T23:59", "2023-12-01", "2023-12-31T23:59:59.999"),
    ],
)
def test_interval_floor_is_the_open_of_binances_kline(
    name: str, at: str, opened: str, closes: str
) -> None:
    interval = Interval.parse(name)
    assert interval.floor(ms(at)) == ms(opened)
    assert interval.close_ms(ms(opened)) == ms(closes)


@given(INTERVALS, MOMENTS_MS, st.integers(-500, 500))
def test_interval_count_and_next_agree(interval: Interval, at_ms: int, steps: int) -> None:
    first = interval.floor(at_ms)
    there = interval.shift(first, steps)
    assert interval.floor(there) == there
    assert interval.shift(there, -steps) == first
    low, high = sorted((first, there))
    assert interval.count(low, high) == abs(steps) + 1


@given(INTERVALS, MOMENTS_MS)
def test_interval_last_closed_is_closed_and_the_next_is_not(
    interval: Interval, now_ms: int
) -> None:
    last = interval.last_closed(now_ms)
    assert interval.close_ms(last) < now_ms
    assert interval.close_ms(interval.next(last)) >= now_ms


def test_interval_that_binance_lacks_is_an_error_that_names_the_next_ones() -> None:
    wanted = r"no kline interval '10m'; the next ones are 5m and 15m .*1m, 3m"
    with pytest.raises(ConfigError, match=wanted) as failed:
        Interval.parse("10m")
    assert failed.value.exit_code == 2


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1H", "1h"), ("60", "1h"), ("60m", "1h"), ("60min", "1h"), ("1hour", "1h"), ("H1", "1h"),
        ("1-HOUR", "1h"), ("1-HOUR-LAST", "1h"), ("1 hour", "1h"), ("hourly", "1h"),
        ("PT1H", "1h"), ("3600", "1h"), ("3600s", "1h"), ("240", "4h"), ("H4", "4h"),
        ("5min", "5m"), ("5Min", "5m"), ("5M", "5m"), ("M5", "5m"), ("5T", "5m"), ("5", "5m"),
        ("1Min", "1m"), ("M1", "1m"), ("1-MINUTE", "1m"), ("60s", "1m"), ("60000", "1m"),
        ("1440", "1d"), ("24h", "1d"), ("D", "1d"), ("1D", "1d"), ("daily", "1d"), ("72h", "3d"),
        ("7d", "1w"), ("1W", "1w"), ("week", "1w"), ("1month", "1M"), ("1mo", "1M"), ("MN1", "1M"),
        (" 1M", "1M"), ("1sec", "1s"),
    ],
)  # fmt: skip
def test_an_interval_in_another_spelling_is_an_error_that_says_what_is_meant(
    written: str, meant: str
) -> None:
    with pytest.raises(ConfigError) as failed:
        Interval.parse(written)
    assert f"interval {written!r}; did you mean {meant}? (it has" in str(failed.value)


@pytest.mark.parametrize("written", ["", "x", "1x", "0", "h1m", "1.5h", "999999999m", "２m"])
def test_an_interval_without_a_meaning_is_an_error_without_a_suggestion(written: str) -> None:
    with pytest.raises(ConfigError) as failed:
        Interval.parse(written)
    assert str(failed.value).startswith(f"Binance has no kline interval {written!r} (it has")
