"""A strategy that does not say which book of the hedge an order is for learns so, live."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from loguru import logger
from nautilus_trader.model.enums import OrderSide, OrderStatus
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.orders import Order

from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from tests.support.seam import HERE, MINUTES, Seam, imported_config, start_over
from tests.support.waiting import until_async
from warmup_job.plan.warmup_plan import WarmupPlan

pytestmark = pytest.mark.e2e


UNNAMED = (None, f"{MINUTES.instrument_id}-NET")


def plan_at(running: Exchange, folder: Path) -> WarmupPlan:
    fields = {
        "instrument_id": str(MINUTES.instrument_id),
        "bar_types": [str(MINUTES)],
        "oms_type": "HEDGING",
    }
    plan = imported_config(
        folder, running, [("Flooding", f"{HERE}:WitnessConfig", fields)], streams={"1m": 30},
        trade={"on_gap": "keep", "on_stop": "keep", "first_bar": "on_bar"},
    )  # fmt: skip
    venue = dataclasses.replace(
        plan.venue, api_key=LIVE_KEYS["KEY"], api_secret=LIVE_KEYS["SECRET"], hedge_mode=True
    )
    return msgspec.structs.replace(plan, venue=venue)


def submit(strategy: Any, named: str | None) -> Order:
    instrument = strategy.cache.instrument(MINUTES.instrument_id)
    order = strategy.order_factory.limit(
        instrument.id, OrderSide.BUY, instrument.make_qty("0.010"),
        instrument.make_price("20000.00"),
    )  # fmt: skip
    strategy.submit_order(order, position_id=None if named is None else PositionId(named))
    return order


@pytest.mark.parametrize("named", UNNAMED)
def test_live_order_that_names_no_book_is_denied_with_the_reason(
    start_exchange: Callable[..., Exchange], tmp_path: Path, named: str | None
) -> None:
    running = start_exchange()

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live")
        order = submit(strategy, named)
        fits = strategy.rest("LONG", OrderSide.BUY, "20000.00")
        await until_async(lambda: fits.status == OrderStatus.ACCEPTED)
        assert order.status == OrderStatus.DENIED
        assert "names no book" in order.last_event.reason
        assert f"{MINUTES.instrument_id}-LONG" in order.last_event.reason

    asyncio.run(start_over(running, plan_at(running, tmp_path), during, mode="live"))


def test_paper_order_that_names_no_book_is_accepted_with_a_warning(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running, warnings = start_exchange(), []

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        await until_async(lambda: seam.runner.state == "live")
        orders = [submit(strategy, named) for named in UNNAMED]
        await until_async(lambda: all(each.status == OrderStatus.ACCEPTED for each in orders))

    sink = logger.add(lambda message: warnings.append(str(message)), level="WARNING")
    try:
        asyncio.run(start_over(running, plan_at(running, tmp_path), during))
    finally:
        logger.remove(sink)
    (warning,) = [each for each in warnings if "names no book" in each]
    assert "would be denied live" in warning
