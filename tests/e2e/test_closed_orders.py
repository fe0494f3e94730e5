"""A trader forgets orders that closed long ago, and still counts them in its summary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide

from tests.support.exchange import Exchange
from tests.support.seam import HERE, MINUTES, Seam, imported_config, start_over
from tests.support.waiting import until_async
from warmup_job.handoff.outgoing_orders import closed_orders
from warmup_job.trader.session import summarise

pytestmark = pytest.mark.e2e


def test_closed_orders_leave_the_cache_and_stay_in_the_summary(
    start_exchange: Callable[..., Exchange], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_orders, "KEPT_S", 0)
    monkeypatch.setattr(closed_orders, "INTERVAL_S", 0.05)
    running = start_exchange()
    fields: dict[str, Any] = {
        "instrument_id": str(MINUTES.instrument_id), "bar_types": [str(MINUTES)],
        "oms_type": "HEDGING",
    }  # fmt: skip
    plan = imported_config(
        tmp_path, running, [("Hedged", f"{HERE}:WitnessConfig", fields)], streams={"1m": 30},
        trade={"on_gap": "keep", "on_stop": "keep", "silence": "2s", "first_bar": "on_bar"},
    )  # fmt: skip

    async def during(seam: Seam) -> None:
        (strategy,) = seam.strategies
        cache = strategy.cache
        await until_async(lambda: seam.runner.state == "live")
        kept, cancelled = (
            strategy.rest("LONG", OrderSide.BUY, price) for price in ("10000.00", "9000.00")
        )
        await until_async(lambda: kept.is_open and cancelled.is_open)
        strategy.cancel_order(cancelled)
        await until_async(lambda: cache.orders() == [kept])
        assert summarise(seam.runner).orders == 2

    asyncio.run(start_over(running, plan, during))
