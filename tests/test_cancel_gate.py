"""What the log says of cancels that the exchange refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from loguru import logger
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.events import OrderCancelRejected
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, StrategyId, TraderId

from warmup_job.binance.answers import limit_text
from warmup_job.handoff.outgoing_orders.cancel_gate import CancelGate
from warmup_job.market.times import NS_PER_S, utc_text


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logger.add(lines.append, format="{message}", level="WARNING")
    yield lines
    logger.remove(handler)


@pytest.mark.parametrize("is_banned", [False, True])
def test_first_refused_cancel_says_when_the_next_one_leaves(
    warnings: list[str], is_banned: bool
) -> None:
    """Before, during a ban of minutes it said that cancels are repeated within 6 s."""
    kernel = BacktestEngine().kernel
    code, text = -1008, "Request throttled"
    what_follows = "it is repeated after waits of up to 6 s"
    if is_banned:
        until_ms = time.time_ns() // NS_PER_S * 1000 + 300_000
        code, text = -1003, limit_text(until_ms)
        what_follows = f"so no cancel leaves until {utc_text(until_ms)}"

    async def refuse() -> None:
        CancelGate(kernel, asyncio.get_running_loop(), lambda _: None).install()
        event = OrderCancelRejected(
            TraderId("TESTER-001"), StrategyId("S-1"),
            InstrumentId.from_str("BTCUSDT-PERP.BINANCE"), ClientOrderId("E-1"), None, None,
            str({"code": code, "msg": text}), UUID4(), 0, 0,
        )  # fmt: skip
        kernel.msgbus.publish("events.order.S-1", event)

    asyncio.run(refuse())
    (line,) = warnings
    assert line.startswith(f"the cancel of E-1 was refused: {code} ")
    assert what_follows in line
