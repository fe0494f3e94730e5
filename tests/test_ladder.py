"""The ladder: geometric, by regime, within the instrument's limits, rounded away from the mid."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ladders import DOWN, SIDEWAYS, UP, ladder, listed, settings
from warmup_job.hedge_grid.exit_rules import stop_price, target_price
from warmup_job.hedge_grid.ladder import Rung, build_ladder
from warmup_job.regime.detector import Regime


def summarised(rungs: list[Rung]) -> list[tuple[str, int, str, str]]:
    return [(rung.book, rung.level, str(rung.price), str(rung.quantity)) for rung in rungs]


def test_ladder_is_pinned_digit_for_digit() -> None:
    assert summarised(ladder(D(60000))) == [
        ("LONG", 1, "59940.00", "0.002"),
        ("LONG", 2, "59880.00", "0.004"),
        ("LONG", 3, "59820.10", "0.008"),
        ("SHORT", 1, "60060.00", "0.002"),
        ("SHORT", 2, "60120.10", "0.004"),
    ]


@pytest.mark.parametrize(
    ("policy", "regime", "long", "short"),
    [
        ("throttled-counter", SIDEWAYS, ["0.004", "0.008", "0.016"], ["0.004", "0.008"]),
        ("throttled-counter", UP, ["0.004", "0.008", "0.016"], ["0.002"]),
        ("throttled-counter", DOWN, ["0.002"], ["0.004", "0.008"]),
        ("core-and-scalp", SIDEWAYS, ["0.004", "0.008", "0.016"], ["0.004", "0.008"]),
        ("core-and-scalp", UP, ["0.002"], ["0.002"]),
        ("core-and-scalp", DOWN, ["0.002"], ["0.002"]),
    ],
)
def test_ladder_is_thinned_by_regime_and_policy(
    policy: str, regime: Regime, long: list[str], short: list[str]
) -> None:
    rungs = ladder(D(60000), regime, base_qty=D("0.004"), policy=policy)
    for book, quantities in (("LONG", long), ("SHORT", short)):
        assert [str(rung.quantity) for rung in rungs if rung.book == book] == quantities


@pytest.mark.parametrize("nothing", [{"counter_levels": 0}, {"counter_qty_scale": D(0)}])
def test_ladder_counter_side_of_size_zero_has_no_orders(nothing: dict[str, Any]) -> None:
    assert {rung.book for rung in ladder(D(60000), UP, **nothing)} == {"LONG"}


def test_ladder_paying_side_is_scaled_by_its_share() -> None:
    given = settings(base_qty=D("0.010"), qty_scale=D(1), levels_long=1, levels_short=1)
    for share, quantities in ((D("0.5"), ["0.005", "0.010"]), (D(0), ["0.010"])):
        rungs = build_ladder(D(60000), SIDEWAYS, given, listed(), {"LONG": share})
        assert [str(rung.quantity) for rung in rungs] == quantities


def test_ladder_small_order_is_raised_so_that_its_exits_meet_the_minimum() -> None:
    """0.005 at 20,020 has the minimum notional, but not at its stop or target below."""
    rungs = ladder(D(20000), base_qty=D("0.0035"), qty_scale=D(1))
    assert {str(rung.quantity) for rung in rungs} == {"0.006"}


def test_ladder_order_that_the_minimum_would_more_than_double_is_left_out() -> None:
    """The minimum is 0.006; the second level of a shrinking ladder is configured as 0.0028."""
    rungs = ladder(D(20000), base_qty=D("0.0035"), qty_scale=D("0.8"))
    assert [(rung.book, str(rung.quantity)) for rung in rungs] == [
        ("LONG", "0.006"), ("SHORT", "0.006"),
    ]  # fmt: skip
    assert ladder(D(20000), base_qty=D("0.0029"), qty_scale=D(1)) == []


def test_ladder_thinned_order_may_be_raised_to_its_configured_size() -> None:
    up = [rung for rung in ladder(D(60000), UP, qty_scale=D(1)) if rung.book == "SHORT"]
    assert [str(rung.quantity) for rung in up] == ["0.002"]


def test_ladder_rung_above_the_maximum_quantity_is_left_out() -> None:
    small = listed(most="0.004", highest="60100.00")
    assert summarised(ladder(D(60000), instrument=small)) == [
        ("LONG", 1, "59940.00", "0.002"),
        ("LONG", 2, "59880.00", "0.004"),
        ("SHORT", 1, "60060.00", "0.002"),
    ]


def test_ladder_exits_are_on_the_right_side_of_the_entry() -> None:
    grid, tick = settings(tp_steps=2, sl_steps=2).exits, D("0.10")
    assert target_price("LONG", D(60000), grid, tick) == D("60120.10")
    assert target_price("SHORT", D(60000), grid, tick) == D("59880.00")
    assert stop_price("LONG", D(60000), grid, tick) == D("59880.00")
    assert stop_price("SHORT", D(60000), grid, tick) == D("60120.10")


@given(
    mid=st.decimals("0.5", "150000", places=4, allow_nan=False),
    step_bps=st.integers(5, 1000),
    levels=st.integers(1, 20),
    qty=st.decimals("0.001", "5", places=3),
    tick=st.sampled_from(("0.10", "0.01", "0.0001")),
    regime=st.sampled_from(Regime),
    counter=st.decimals("0", "1", places=2),
)
def test_ladder_rungs_are_within_the_limits_of_the_instrument(
    mid: D, step_bps: int, levels: int, qty: D, tick: str, regime: Regime, counter: D
) -> None:
    instrument = listed(tick, notional=5, highest="900000")
    rungs = ladder(
        mid, regime, instrument=instrument, step_bps=D(step_bps), levels_long=levels,
        levels_short=levels, base_qty=qty, counter_qty_scale=counter, counter_levels=levels,
    )  # fmt: skip
    for rung in rungs:
        price, quantity = rung.price.as_decimal(), rung.quantity.as_decimal()
        assert 0 < price <= 900_000
        assert price % D(tick) == 0
        assert quantity % D("0.001") == 0
        assert D("0.001") <= quantity <= 1000
        assert rung.notional >= 5
        assert price < mid if rung.book == "LONG" else price > mid
    for book in ("LONG", "SHORT"):
        prices = [rung.price for rung in rungs if rung.book == book]
        assert prices == sorted(prices, reverse=book == "LONG")
