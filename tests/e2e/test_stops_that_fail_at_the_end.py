"""A stop that is rejected at its trigger after the trader was asked to end.

The trader runs in this process, so that its end can be held until the exchange has rejected a stop.
"""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loguru import logger
from nautilus_trader.model.events import OrderRejected

from tests.support.config_files import LIVE_KEYS
from tests.support.live_trader import DEEP, Life, LiveTrader, live_trader
from tests.support.oracle import Bounds
from tests.support.oracle_replay import kind_and_key, number
from tests.support.waiting import until_async
from warmup_job.config import load
from warmup_job.handoff.live_runner import LiveRunner
from warmup_job.plan.resolve import resolve
from warmup_job.trader.run_trader import trade

if TYPE_CHECKING:
    from loguru import Message

pytestmark = pytest.mark.e2e
BARE = Bounds(unprotected_ms=30_000)
"""No order that closes a position is accepted until the end."""
NEAR_STOPS = {"exit": {"tp_steps": 6, "sl_steps": 2}}
_MARGIN = Decimal(5)


def reachable_stops(trader: LiveTrader) -> list[str]:
    """Return the ids of the open stops that the market's present swing triggers."""
    return [
        each["client_id"]
        for each in trader.open_orders("S")
        if min(DEEP) + _MARGIN < number(each["stop_price"]) < max(DEEP) - _MARGIN
    ]


def rejected_stops(trader: LiveTrader) -> dict[str, Decimal]:
    """Return the quantity of each stop that the exchange has rejected, by its lot's key."""
    trader.account()
    return {
        kind_and_key(each["client_id"])[1]: number(each["quantity"])
        for each in trader.journal
        if each["event"] == "order" and each["status"] == "REJECTED"
    }


def filled_keys(trader: LiveTrader) -> set[str]:
    """Return the keys of the lots that a stop or a market order has closed."""
    trader.account()
    return {
        key
        for each in trader.journal
        if each["event"] == "fill"
        for kind, key in [kind_and_key(each["client_id"])]
        if kind == "S"
    }


def end_while_a_stop_is_rejected(
    trader: LiveTrader, monkeypatch: pytest.MonkeyPatch, *faults: str
) -> list[str]:
    """Run the trader, and let it end only once it has learnt of a rejected stop.

    Args:
        trader: Its exchange and configuration.
        monkeypatch: Holds the end after the open orders, where the trader reads its last funds.
        *faults: They are added together with the rejection.

    Returns:
        The errors that it logged.
    """
    errors: list[str] = []
    stop = asyncio.Event()

    async def until_rejected(runner: LiveRunner) -> None:
        assert runner.state == "stopping"
        assert runner.node is not None
        cache = runner.node.cache
        await until_async(
            lambda: any(
                isinstance(order.last_event, OrderRejected)
                and order.last_event.reason == "REJECTED"
                for order in cache.orders()
            )
        )

    async def run() -> None:
        trading = asyncio.create_task(trade(resolve(load(trader.config)), "live", stop=stop))
        await until_async(lambda: trading.done() or reachable_stops(trader))
        for fault in ("reject-trigger:times=1", *faults):
            trader.exchange.fault(fault)
        stop.set()
        await trading

    monkeypatch.setattr(LiveRunner, "_read_last_funds", until_rejected)
    for name, value in LIVE_KEYS.items():
        monkeypatch.setenv(name, value)
    log = trader.folder / "log-here"

    def note(line: Message) -> None:
        record = line.record
        if record["level"].name == "ERROR":
            errors.append(record["message"])
        told = {"time": record["time"].isoformat(), "message": record["message"]}
        with log.open("a") as lines:
            lines.write(json.dumps(told | {"level": record["level"].name}) + "\n")

    handler = logger.add(note, level="INFO")
    try:
        asyncio.run(run())
    finally:
        logger.remove(handler)
    trader.lives.append(Life(None, log, time.time_ns() // 1_000_000))
    return errors


@pytest.mark.parametrize("faults", [(), ("overload@POST/order:times=1",)])
def test_a_stop_that_is_rejected_while_the_trader_ends_is_closed_at_market(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...]
) -> None:
    """Also if the market order that closes the lot has to be sent again."""
    with live_trader(tmp_path, grid=NEAR_STOPS, market=DEEP, latency_ms=50) as trader:
        errors = end_while_a_stop_is_rejected(trader, monkeypatch, *faults)
        rejected = rejected_stops(trader)
        assert len(rejected) == 1
        assert rejected.keys() <= filled_keys(trader)
        assert trader.is_protected()
        assert not [each for each in errors if "WITHOUT A STOP LOSS" in each]


def test_what_cannot_be_closed_at_the_end_is_named_and_closed_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live_trader(tmp_path, grid=NEAR_STOPS, market=DEEP, bounds=BARE, latency_ms=50) as trader:
        errors = end_while_a_stop_is_rejected(trader, monkeypatch, "overload@POST/order")
        ((key, quantity),) = rejected_stops(trader).items()
        assert key not in filled_keys(trader)
        (told,) = [each for each in errors if "WITHOUT A STOP LOSS" in each]
        assert told.startswith(f"{quantity.normalize():f} BTC of BTCUSDT-PERP.BINANCE-")
        trader.exchange.clear_faults()
        trader.start()
        trader.until_protected()
        trader.terminate()
