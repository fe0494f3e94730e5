"""The ladder: geometric, within the instrument's limits, rounded away from the mid."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warmup_job.trading.ladder import Limits, Rung, build_ladder, take_profit_price

BTC = Limits(tick=D("0.10"), step=D("0.001"), min_quantity=D("0.001"), min_notional=D(100))


def ladder(mid: D, limits: Limits = BTC, **changes: Any) -> list[Rung]:
    settings: dict[str, Any] = {
        "step_bps": D(10),
        "levels": {"LONG": 3, "SHORT": 2},
        "base_qty": D("0.002"),
        "qty_scale": D(2),
    } | changes
    return build_ladder(mid, limits=limits, **settings)


def test_a_ladder_digit_for_digit() -> None:
    assert ladder(D(60000)) == [
        Rung("LONG", 1, D("59940.00"), D("0.002")),
        Rung("LONG", 2, D("59880.00"), D("0.004")),
        Rung("LONG", 3, D("59820.10"), D("0.008")),
        Rung("SHORT", 1, D("60060.00"), D("0.002")),
        Rung("SHORT", 2, D("60120.10"), D("0.004")),
    ]


def test_too_small_an_order_is_raised_to_the_least_notional() -> None:
    rungs = ladder(D(20000), base_qty=D("0.0001"), qty_scale=D(1))
    assert {rung.quantity for rung in rungs} == {D("0.006"), D("0.005")}
    assert all(rung.quantity * rung.price >= 100 for rung in rungs)


def test_take_profits_lie_beyond_the_fees_side_of_the_entry() -> None:
    step = {"step_bps": D(10), "tp_steps": 2, "tick": D("0.10")}
    assert take_profit_price("LONG", D(60000), **step) == D("60120.10")  # type: ignore[arg-type]
    assert take_profit_price("SHORT", D(60000), **step) == D("59880.00")  # type: ignore[arg-type]


@given(
    mid=st.decimals("0.5", "150000", places=4, allow_nan=False),
    step_bps=st.integers(5, 1000),
    levels=st.integers(1, 20),
    qty=st.decimals("0.001", "5", places=3),
    tick=st.sampled_from((D("0.10"), D("0.01"), D("0.0001"))),
)
def test_no_rung_is_beyond_the_instruments_limits(
    mid: D, step_bps: int, levels: int, qty: D, tick: D
) -> None:
    limits = Limits(tick, D("0.001"), D("0.001"), D(5))
    rungs = ladder(
        mid, limits, step_bps=D(step_bps), levels={"LONG": levels, "SHORT": levels}, base_qty=qty
    )
    for rung in rungs:
        assert rung.price > 0
        assert rung.price % tick == 0
        assert rung.quantity % limits.step == 0
        assert rung.quantity >= limits.min_quantity
        assert rung.quantity * rung.price >= limits.min_notional
        assert rung.price < mid if rung.book == "LONG" else rung.price > mid
    for book in ("LONG", "SHORT"):
        prices = [rung.price for rung in rungs if rung.book == book]
        assert prices == sorted(prices, reverse=book == "LONG")
