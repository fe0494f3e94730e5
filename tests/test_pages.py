"""Pages: exactly the requested bars, at Binance's request weights."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warmup_job.market.interval import INTERVAL_NAMES, Interval
from warmup_job.market.pages import Market, largest_page, page_weight, plan_pages

MINUTE = Interval.parse("1m")
LAST_MS = 1_700_000_040_000


def test_pages_weights_are_binances() -> None:
    limits = (1, 99, 100, 499, 500, 1000, 1001, 1500)
    assert [page_weight("um", limit) for limit in limits] == [1, 1, 2, 2, 5, 5, 10, 10]
    assert [page_weight("spot", limit) for limit in (1, 500, 1000)] == [2, 2, 2]


def test_pages_bars_that_fit_in_one_page_take_one() -> None:
    for market in ("um", "spot"):
        bars = largest_page(market)
        (page,) = plan_pages(market, MINUTE, bars, LAST_MS)
        assert (page.limit, page.end_ms) == (bars, LAST_MS)


def test_pages_long_histories_take_the_lowest_weight() -> None:
    pages = plan_pages("um", MINUTE, 10_080, LAST_MS)
    assert sum(page.weight for page in pages) == 20 * 2 + 1 * 2  # 20 × 499 and one of 100
    assert {page.limit for page in pages} == {499, 100}


def test_pages_more_bars_than_exist_are_all_bars() -> None:
    month = Interval.parse("1M")
    last_ms = month.floor(1_600_000_000_000)
    pages = plan_pages("um", month, 30_000, last_ms)
    assert pages[0].start_ms == 0
    assert sum(page.limit for page in pages) == month.count(0, last_ms) == 609


@given(
    st.sampled_from(("um", "spot")),
    st.sampled_from(INTERVAL_NAMES),
    st.integers(0, 20_000),
    st.integers(1_600_000_000_000, 2_000_000_000_000),
)
def test_pages_join_without_a_hole_or_an_overlap(
    market: Market, name: str, bars: int, at_ms: int
) -> None:
    interval = Interval.parse(name)
    last_ms = interval.last_closed(at_ms)
    epoch_ms = interval.floor(0) if interval.floor(0) >= 0 else interval.next(interval.floor(0))
    bars = min(bars, interval.count(epoch_ms, last_ms))  # there is nothing before 1970
    pages = plan_pages(market, interval, bars, last_ms)
    assert sum(page.limit for page in pages) == bars
    expected_ms = interval.shift(last_ms, 1 - bars)
    for page in pages:
        assert page.start_ms == expected_ms
        assert interval.count(page.start_ms, page.end_ms) == page.limit <= largest_page(market)
        expected_ms = interval.next(page.end_ms)
    assert expected_ms == interval.next(last_ms)
