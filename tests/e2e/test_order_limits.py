"""The venue file's limits for orders, in front of a paper account."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from loguru import logger
from nautilus_trader.model.enums import OrderSide, OrderStatus

from tests.support.exchange import Exchange
from tests.support.seam import HERE, MINUTES, Seam, has_opened, imported_config, start_over
from tests.support.waiting import until_async
from warmup_job.plan.warmup_plan import WarmupPlan

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]


def flooding(tmp_path: Path, running: Exchange, per_second: int, **changes: Any) -> WarmupPlan:
    fields: dict[str, Any] = {
        "instrument_id": str(MINUTES.instrument_id), "bar_types": [str(MINUTES)],
        "oms_type": "HEDGING",
    }  # fmt: skip
    plan = imported_config(
        tmp_path, running, [("Flooding", f"{HERE}:WitnessConfig", fields)], streams={"1m": 30},
        trade={"on_gap": "keep", "on_stop": "keep", "silence": "2s", "first_bar": "on_bar"},
    )  # fmt: skip
    limits = {"orders_per_second": per_second, "orders_per_minute": 1_000} | changes
    return msgspec.structs.replace(plan, venue=dataclasses.replace(plan.venue, **limits))


def test_130_orders_at_once_wait_and_none_is_denied(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()

    async def during(seam: Seam) -> None:
        strategy = await has_opened(seam)
        entries, stops = strategy.flood()
        await until_async(lambda: all(each.status == OrderStatus.ACCEPTED for each in stops))
        waiting = [each for each in entries if each.status == OrderStatus.INITIALIZED]
        assert waiting, "the stops leave before entries that were made earlier"
        first, *rest = waiting[::-1]
        strategy.cancel_order(first)  # before it has left
        strategy.cancel_orders(rest[:2])
        await until_async(lambda: all(each.is_closed or each.is_open for each in entries))
        cancelled = [each for each in entries if each.status == OrderStatus.CANCELED]
        assert cancelled == [*rest[:2][::-1], first]
        assert all(each.venue_order_id is None for each in cancelled)
        accepted = [each for each in entries if each.status == OrderStatus.ACCEPTED]
        assert len(accepted) == 127
        times_ns = [each.ts_accepted for each in accepted]
        assert times_ns == sorted(times_ns), "in the order in which they were made"

    lines: list[str] = []
    handler = logger.add(lines.append, level="INFO", format="{message}")
    try:
        asyncio.run(start_over(running, flooding(tmp_path, running, 40), during))
    finally:
        logger.remove(handler)
    told = [each for each in lines if "wait for rate_limits" in each]
    assert told  # without a number: most of them come after the first that waits
    assert all(each.startswith("orders wait for rate_limits (40 a second") for each in told)


def test_entries_that_wait_are_denied_when_trading_halts(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()

    async def during(seam: Seam) -> None:
        strategy = await has_opened(seam)
        entries, stops = strategy.flood()
        await until_async(lambda: all(each.status == OrderStatus.ACCEPTED for each in stops))
        running.fault("ws-mute@btcusdt@kline_1m")
        await until_async(lambda: seam.runner.state == "degraded")
        ended = {OrderStatus.DENIED, OrderStatus.ACCEPTED}
        await until_async(lambda: all(each.status in ended for each in entries))
        assert entries[-1].status == OrderStatus.DENIED

    # So slow that entries still wait when the silence is noticed, also on a busy machine.
    asyncio.run(start_over(running, flooding(tmp_path, running, 1), during))


def test_entries_above_and_below_the_order_size_are_denied_and_exits_are_not(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    plan = flooding(tmp_path, running, 40, min_order_size_usdt=D(250), max_order_size_usdt=D(1_000))

    async def during(seam: Seam) -> None:
        strategy = await has_opened(seam)
        small = strategy.rest("LONG", OrderSide.BUY, "20000.00")  # 200 USDT
        large = strategy.trade("LONG", OrderSide.BUY, "0.040")  # by the market's price
        fits = strategy.rest("LONG", OrderSide.BUY, "25000.00")
        exits = strategy.rest("SHORT", OrderSide.BUY, "10000.00")
        await until_async(lambda: fits.status == exits.status == OrderStatus.ACCEPTED)
        await until_async(lambda: small.status == large.status == OrderStatus.DENIED)
        assert small.last_event.reason == "200.00 USDT is below risk.min_order_size_usdt (250)"
        assert "is above risk.max_order_size_usdt (1000)" in large.last_event.reason

    asyncio.run(start_over(running, plan, during))
