"""Orders that close a position leave in every state of the trader; others only while it is live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide, OrderStatus
from nautilus_trader.model.orders import Order

from tests.support.exchange import Exchange
from tests.support.seam import HERE, LEFT, MINUTES, Seam, has_opened, imported_config, start_over
from tests.support.waiting import until_async
from warmup_job.plan.warmup_plan import WarmupPlan

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]


def hedged(tmp_path: Path, running: Exchange) -> WarmupPlan:
    fields: dict[str, Any] = {
        "instrument_id": str(MINUTES.instrument_id), "bar_types": [str(MINUTES)],
        "oms_type": "HEDGING",
    }  # fmt: skip
    return imported_config(
        tmp_path, running, [("Hedged", f"{HERE}:WitnessConfig", fields)], streams={"1m": 30},
        trade={"on_gap": "keep", "on_stop": "keep", "silence": "10s", "first_bar": "on_bar"},
    )  # fmt: skip


async def settled(order: Order) -> OrderStatus:
    under_way = {OrderStatus.INITIALIZED, OrderStatus.SUBMITTED}
    await until_async(lambda: order.status not in under_way)
    return order.status


def test_both_books_of_a_hedge_may_close_while_bars_are_missing(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()

    async def during(seam: Seam) -> None:
        strategy = await has_opened(seam)
        entry = strategy.rest("LONG", OrderSide.BUY, "10000.00")
        target = strategy.rest("LONG", OrderSide.SELL, "900000.00")
        assert await settled(entry) == await settled(target) == OrderStatus.ACCEPTED
        running.fault("ws-mute@btcusdt@kline_1m")
        await until_async(lambda: seam.runner.state == "degraded")

        opening = strategy.trade("LONG", OrderSide.BUY, "0.010")
        turning = strategy.trade("SHORT", OrderSide.BUY, "0.011")
        assert await settled(opening) == await settled(turning) == OrderStatus.DENIED
        instrument = strategy.cache.instrument(MINUTES.instrument_id)
        strategy.modify_order(entry, price=instrument.make_price("10001.00"))
        strategy.modify_order(target, price=instrument.make_price("800000.00"))
        await until_async(lambda: str(target.price) == "800000.00")
        assert str(entry.price) == "10000.00"

        closing = [
            strategy.trade("SHORT", OrderSide.BUY, "0.010"),
            strategy.trade("LONG", OrderSide.SELL, "0.020"),
        ]
        assert {await settled(each) for each in closing} <= LEFT
        assert strategy.trading[0] == strategy.trading[-1] == "HALTED"
        assert "ACTIVE" in strategy.trading
        running.clear_faults()
        await until_async(lambda: seam.runner.state == "live")
        assert strategy.trading[-1] == "ACTIVE"

    asyncio.run(start_over(running, hedged(tmp_path, running), during))


def test_both_books_of_a_hedge_may_close_as_the_trader_stops(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    seam = asyncio.run(start_over(running, hedged(tmp_path, running), has_opened))
    (strategy,) = seam.strategies
    assert len(strategy.leaving) == 2
    assert {each.status for each in strategy.leaving} <= LEFT
    assert strategy.trading[-1] == "HALTED"
