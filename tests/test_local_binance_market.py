"""The deterministic market: exact aggregates, random access, and a plausible price path."""

from __future__ import annotations

import itertools
import time
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup_job.local_binance.prices.generated_market import GeneratedFeed
from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.local_binance.prices.symbols import ListedSymbol, default_symbols
from warmup_job.market.interval import DAY_MS, HOUR_MS, INTERVAL_NAMES, MINUTE_MS, Interval
from warmup_job.market.kline import Kline

NOW = 1_780_000_017_300  # 2026-05-28T20:26:57.300Z
MINUTE = Interval.parse("1m")
# Seed 7, futures BTCUSDT, 2023-11-14T22:13Z.
GOLDEN = Kline(
    open_ms=1_699_999_980_000,
    open="50909.50",
    high="50916.80",
    low="50842.20",
    close="50875.10",
    volume="82.908",
    close_ms=1_700_000_039_999,
    quote_volume="4218481.85690",
    trades=1422,
    taker_base="47.108",
    taker_quote="2396924.79790",
)


def symbol_of(market: str, name: str) -> ListedSymbol:
    return next(s for s in default_symbols() if (s.market, s.name) == (market, name))


def feed_of(
    market: str = "um", name: str = "BTCUSDT", seed: int = 7, bps: float = 10
) -> GeneratedFeed:
    return GeneratedFeed(seed, symbol_of(market, name), bps)


def between(
    feed: GeneratedFeed, interval: Interval, first: int, last: int, now: int = NOW
) -> list[Kline]:
    return feed.klines.earliest(interval, first, last, 10**9, now)


def joined(rows: list[Kline]) -> tuple[Decimal, ...]:
    """Compute the kline over ``rows`` in the straightforward way."""
    return (
        Decimal(rows[0].open),
        max(Decimal(row.high) for row in rows),
        min(Decimal(row.low) for row in rows),
        Decimal(rows[-1].close),
        sum((Decimal(row.volume) for row in rows), Decimal(0)),
        sum((Decimal(row.quote_volume) for row in rows), Decimal(0)),
        Decimal(sum(row.trades for row in rows)),
        sum((Decimal(row.taker_base) for row in rows), Decimal(0)),
        sum((Decimal(row.taker_quote) for row in rows), Decimal(0)),
    )


def values(row: Kline) -> tuple[Decimal, ...]:
    texts = (row.open, row.high, row.low, row.close, row.volume, row.quote_volume)
    return (
        *map(Decimal, texts),
        Decimal(row.trades),
        Decimal(row.taker_base),
        Decimal(row.taker_quote),
    )


def assert_plausible(row: Kline) -> None:
    o, h, low, c, volume, quote, trades, taker, taker_quote = values(row)
    assert low <= min(o, c) <= max(o, c) <= h
    assert low > 0
    assert low * volume <= quote <= h * volume
    assert 0 <= taker <= volume
    assert low * taker <= taker_quote <= h * taker
    assert (trades == 0) == (volume == 0)


def test_local_binance_market_of_a_seed_is_pinned_digit_for_digit() -> None:
    # If this changes, every test that names a seed tests another market.
    row = feed_of(seed=7).klines.latest(MINUTE, 1_700_000_000_000, 1, NOW)[0]
    assert row == GOLDEN


def test_local_binance_market_seeds_and_symbols_differ_and_spot_is_close_to_futures() -> None:
    def closes(feed: GeneratedFeed) -> list[float]:
        return [float(row.close) for row in feed.klines.latest(MINUTE, NOW, 200, NOW)]

    base = closes(feed_of())
    assert base == closes(feed_of())
    assert base != closes(feed_of(seed=8))
    other = closes(feed_of("um", "ETHUSDT"))
    assert abs(np.corrcoef(np.diff(base), np.diff(other))[0, 1]) < 0.4
    spot = closes(feed_of("spot"))
    assert spot != base
    assert max(abs(a / b - 1) for a, b in zip(base, spot, strict=True)) < 0.005


@pytest.mark.parametrize("name", INTERVAL_NAMES)
@pytest.mark.parametrize("market", ["um", "spot"])
def test_local_binance_market_intervals_are_the_exact_sum_of_their_minutes(
    market: str, name: str
) -> None:
    feed = feed_of(market, "ETHUSDT")
    interval = Interval.parse(name)
    if not feed.klines.offers(interval):
        assert (market, name) == ("um", "1s")
        return
    if name == "1s":
        rows = feed.klines.latest(interval, NOW - 60_000, 180, NOW)
        whole_minutes = {row.open_ms // MINUTE_MS for row in rows[60:120]}
        for minute in whole_minutes:
            seconds = list(between(feed, interval, minute * MINUTE_MS, minute * MINUTE_MS + 59_999))
            assert len(seconds) == 60
            whole = feed.klines.latest(MINUTE, minute * MINUTE_MS, 1, NOW)[0]
            assert joined(seconds) == values(whole)
            for row in seconds:
                assert_plausible(row)
        return
    count = 1 if interval.length_ms == 0 or interval.length_ms > DAY_MS else 3
    last = interval.last_closed(NOW)
    rows = feed.klines.latest(interval, last, count, NOW)
    assert len(rows) == count
    for row in rows:
        minutes = between(feed, MINUTE, row.open_ms, row.close_ms)
        assert len(minutes) == (row.close_ms + 1 - row.open_ms) // MINUTE_MS
        assert minutes[0].open_ms == row.open_ms
        assert values(row) == joined(minutes)
        assert row.close_ms == interval.close_ms(row.open_ms)


@pytest.mark.parametrize("name", ["5m", "2h", "1d", "1w", "1M"])
def test_local_binance_market_forming_kline_is_the_sum_so_far(name: str) -> None:
    feed = feed_of("um", "LINKUSDT")
    interval = Interval.parse(name)
    forming = feed.klines.latest(interval, NOW, 1, NOW)[0]
    minutes = between(feed, MINUTE, forming.open_ms, NOW)
    assert minutes[-1].open_ms == NOW // MINUTE_MS * MINUTE_MS
    assert values(forming) == joined(minutes)
    assert forming.close_ms == interval.close_ms(forming.open_ms) > NOW


def test_local_binance_market_weeks_open_on_monday_and_months_on_the_first() -> None:
    feed = feed_of()
    for row in feed.klines.latest(Interval.parse("1w"), NOW, 10, NOW):
        assert time.gmtime(row.open_ms / 1000)[3:7] == (0, 0, 0, 0)
    for row in feed.klines.latest(Interval.parse("1M"), NOW, 10, NOW):
        assert time.gmtime(row.open_ms / 1000)[2:6] == (1, 0, 0, 0)


def test_local_binance_market_history_begins_with_the_listing() -> None:
    feed = feed_of("spot", "AVAXUSDT")  # listed on a Tuesday at half past six
    listed = feed.symbol.onboard_ms
    first_minute = feed.klines.earliest(MINUTE, 0, NOW, 1, NOW)[0]
    assert first_minute.open_ms == listed
    hour = Interval.parse("1h")
    first_hour = feed.klines.earliest(hour, 0, NOW, 1, NOW)[0]
    assert first_hour.open_ms == listed - 30 * MINUTE_MS
    assert values(first_hour) == joined(between(feed, MINUTE, listed, listed + 29 * MINUTE_MS))
    week = Interval.parse("1w")
    first_week = feed.klines.earliest(week, 0, NOW, 1, NOW)[0]
    assert first_week.open_ms == week.floor(listed) < listed
    assert values(first_week) == joined(between(feed, MINUTE, listed, first_week.close_ms))
    assert feed.klines.latest(MINUTE, listed - 1, 10, NOW) == []
    assert feed.klines.latest(MINUTE, NOW, 10, listed - 1) == []


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 500_000),
    count=st.integers(1, 40),
    name=st.sampled_from(["1m", "3m", "1h"]),
)
def test_local_binance_market_random_access_equals_sequential_access(
    start: int, count: int, name: str
) -> None:
    feed, interval = feed_of("um", "XRPUSDT"), Interval.parse(name)
    first = interval.floor(feed.symbol.onboard_ms + start * MINUTE_MS)
    block = feed.klines.earliest(interval, first, NOW, count, NOW)
    single = [
        feed_of("um", "XRPUSDT").klines.latest(interval, row.open_ms, 1, NOW)[0]
        for row in block[-3:]
    ]
    assert single == block[-3:]
    assert [row.open_ms for row in block] == [interval.shift(first, i) for i in range(count)]


@pytest.mark.parametrize("symbol", default_symbols(), ids=lambda s: f"{s.market}-{s.name}")
def test_local_binance_market_rows_are_plausible_and_on_the_tick_grid(symbol: ListedSymbol) -> None:
    feed = GeneratedFeed(3, symbol, 10)
    rows = feed.klines.latest(MINUTE, NOW, 300, NOW)
    for before, row in itertools.pairwise(rows):
        assert_plausible(row)
        assert row.open_ms == before.open_ms + MINUTE_MS
        assert abs(Decimal(row.open) - Decimal(before.close)) <= Decimal(symbol.tick)
        for price in (row.open, row.high, row.low, row.close):
            assert Decimal(price) % Decimal(symbol.tick) == 0
            assert len(price.partition(".")[2]) == symbol.price_decimals
        assert Decimal(row.volume) % Decimal(symbol.step) == 0
        assert len(row.quote_volume.partition(".")[2]) == symbol.quote_decimals


def test_local_binance_market_forming_minute_ends_as_the_final_row() -> None:
    feed = feed_of("spot", "BTCUSDT")
    open_ms = 1_779_000_000_000
    final = feed.klines.latest(MINUTE, open_ms, 1, NOW)[0]
    before: tuple[Decimal, ...] | None = None
    differing = 0
    for offset in range(0, MINUTE_MS, SLOT_MS):
        now = open_ms + offset + 100
        forming = feed.klines.latest(MINUTE, now, 1, now)[0]
        assert_plausible(forming)
        assert forming.open == final.open
        assert forming.close == feed.last_price(now)
        _o, h, low, _, volume, *_ = values(forming)
        if before is not None:
            assert h >= before[1]
            assert low <= before[2]
            assert volume >= before[4]
        before = values(forming)
        differing += forming != final
        book = feed.book(now)
        assert Decimal(book.ask) - Decimal(book.bid) == Decimal(feed.symbol.tick)
        assert Decimal(final.low) - 1 < Decimal(book.bid) < Decimal(final.high) + 1
    assert differing > 200
    assert feed.klines.latest(MINUTE, open_ms, 1, open_ms + MINUTE_MS - 1)[0] == final


@pytest.mark.parametrize("name", ["BTCUSDT", "FILUSDT", "SOLUSDT"])
@pytest.mark.parametrize("market", ["um", "spot"])
def test_local_binance_market_trades_of_a_minute_make_its_kline(market: str, name: str) -> None:
    feed = feed_of(market, name)
    for minute in range(20):
        row = feed.klines.latest(MINUTE, NOW - minute * MINUTE_MS * 997 - MINUTE_MS, 1, NOW)[0]
        assert_trades_make(feed, row)


def assert_trades_make(feed: GeneratedFeed, final: Kline) -> None:
    open_ms = final.open_ms
    trades = feed.trades(open_ms - 1, open_ms + MINUTE_MS - 1)
    assert sum(Decimal(t.quantity) for t in trades) == Decimal(final.volume)
    assert sum(Decimal(t.quantity) * Decimal(t.price) for t in trades) == Decimal(
        final.quote_volume
    )
    assert (trades[0].price, trades[-1].price) == (final.open, final.close)
    prices = [Decimal(t.price) for t in trades]
    assert (max(prices), min(prices)) == (Decimal(final.high), Decimal(final.low))
    ids = [(t.first_id, t.last_id) for t in trades]
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(ids))
    assert ids[-1][1] - ids[0][0] + 1 == final.trades


def test_local_binance_market_volatility_is_as_requested() -> None:
    def moves(bps: float) -> float:
        rows = []
        for days_ago in range(0, 700, 7):
            rows += between(
                feed_of(bps=bps),
                MINUTE,
                NOW - days_ago * DAY_MS - 2 * HOUR_MS,
                NOW - days_ago * DAY_MS,
            )
        return float(np.std([float(r.close) / float(r.open) - 1 for r in rows])) * 10_000

    assert 8 < moves(10) < 12.5
    assert 24 < moves(30) < 37.5
    flat = feed_of(bps=0).klines.latest(MINUTE, NOW, 50, NOW)
    assert {(r.open, r.high, r.low, r.close) for r in flat} == {("65000.00",) * 4}


def test_local_binance_market_prices_stay_plausible_over_the_whole_history() -> None:
    months = Interval.parse("1M")
    for bps in (10, 500):
        rows = feed_of(bps=bps).klines.earliest(months, 0, NOW, 1500, NOW)
        assert len(rows) > 75
        assert min(float(r.low) for r in rows) > 65
        assert max(float(r.high) for r in rows) < 65_000 * 50


def test_local_binance_market_mark_prices_have_eight_decimals_and_no_volume() -> None:
    feed = feed_of()
    rows = feed.marks.latest(MINUTE, NOW, 61, NOW)
    for row in rows:
        assert (row.volume, row.quote_volume, row.taker_base, row.taker_quote) == ("0",) * 4
        assert len(row.close.partition(".")[2]) == 8
        assert Decimal(row.low) <= Decimal(row.open) <= Decimal(row.high)
    assert [a.close for a in rows[:-2]] == [b.open for b in rows[1:-1]]
    hour = Interval.parse("1h")
    whole = feed.marks.latest(hour, hour.last_closed(NOW), 1, NOW)[0]
    parts = feed.marks.earliest(MINUTE, whole.open_ms, whole.close_ms, 60, NOW)
    assert values(whole) == joined(parts)
    assert whole.trades == 3600
    assert rows[-1].close == feed.mark_price(NOW)
    traded = feed.klines.latest(MINUTE, NOW, 1, NOW)[0]
    assert abs(float(rows[-1].close) / float(traded.close) - 1) < 0.01
