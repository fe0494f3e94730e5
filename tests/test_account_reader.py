"""Reading a traded account, over HTTP from the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.support.exchange import Exchange
from tests.support.sent_orders import ENTRY, STOP, orders_at, place, take
from tests.support.suite import HANG_S
from warmup_job.binance.account_reader import (
    ORDERS_WEIGHT,
    POSITIONS_WEIGHT,
    AccountReader,
    AccountSnapshot,
)
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.weight_budget import WeightBudget
from warmup_job.errors import ExchangeUnreachableError, RateLimitedError, WarmupError

Start = Callable[..., Exchange]


async def read(running: Exchange, client: BinanceClient, *symbols: str) -> AccountSnapshot:
    async with AccountReader(client, running.url, "local-key", "local-secret", symbols) as reader:
        return await reader.read()


def test_an_account_is_read_with_positions_orders_and_conditional_orders(
    start_exchange: Start,
) -> None:
    running = start_exchange()

    async def run() -> tuple[AccountSnapshot, AccountSnapshot]:
        async with BinanceClient("um", running.url) as client:
            orders = orders_at(running)
            empty = await read(running, client, "BTCUSDT", "ETHUSDT")
            for kind in (ENTRY, STOP):
                await place(orders, kind)
            await take(orders, "0.010")
            return empty, await read(running, client, "BTCUSDT", "ETHUSDT")

    empty, full = asyncio.run(run())
    assert (empty.positions, empty.orders) == ({}, {})
    assert set(full.orders) == {ENTRY, STOP}
    for order in full.orders.values():
        assert order.symbol == "BTCUSDT"
        assert order.filled == 0
        assert order.position_side == "LONG"
        assert order.quantity == Decimal("0.010")
    assert full.positions == {("BTCUSDT", "LONG"): Decimal("0.010")}


def test_the_newest_orders_are_read_with_conditional_and_closed_ones(
    start_exchange: Start,
) -> None:
    running = start_exchange()

    async def run() -> list[str]:
        async with BinanceClient("um", running.url) as client:
            orders = orders_at(running)
            for kind in (ENTRY, STOP):
                await place(orders, kind)
            await orders.cancel_algo_order(client_algo_id=STOP)
            async with AccountReader(
                client, running.url, "local-key", "local-secret", ["BTCUSDT"]
            ) as reader:
                newest = await reader.newest_orders()
            assert all(order.created_ms for _, order in newest)
            return [order_id for order_id, _ in newest]

    assert asyncio.run(run()) == [ENTRY, STOP]


def test_a_reading_costs_the_weight_that_the_exchange_counts(start_exchange: Start) -> None:
    running = start_exchange()

    async def run() -> int:
        async with BinanceClient("um", running.url) as client:
            await read(running, client, "BTCUSDT", "ETHUSDT")
            return client.budget.spent

    spent = asyncio.run(run())
    assert spent == sum(each["weight"] for each in running.requests())


def test_an_account_is_read_at_once_although_the_share_of_the_minute_is_used(
    start_exchange: Start,
) -> None:
    running = start_exchange()

    async def run() -> int:
        async with BinanceClient("um", running.url) as client:
            client.budget = WeightBudget(10, lambda: 0)  # its minute does not end
            await client.budget.spend(10)
            async with asyncio.timeout(HANG_S):
                await read(running, client, "BTCUSDT")
            return client.budget.spent

    assert asyncio.run(run()) == 10 + POSITIONS_WEIGHT + ORDERS_WEIGHT


def test_a_reading_signs_with_the_exchanges_time(start_exchange: Start) -> None:
    running = start_exchange(clock_skew_ms=60_000)

    async def run() -> AccountSnapshot:
        async with BinanceClient("um", running.url) as client:
            await client.sync_clock()
            return await read(running, client, "BTCUSDT")

    assert asyncio.run(run()).positions == {}


def test_a_ban_of_a_reading_holds_back_every_request(start_exchange: Start) -> None:
    running = start_exchange()
    running.fault("418=60@*/openOrders:times=1")
    limits: list[int] = []

    async def run() -> None:
        async with BinanceClient("um", running.url, on_limit=limits.append) as client:
            for _ in range(2):
                with pytest.raises(RateLimitedError):
                    await read(running, client, "BTCUSDT")

    asyncio.run(run())
    assert len(running.requests()) == 3
    assert len(limits) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [("503@*/positionRisk", ExchangeUnreachableError), ("html@*/openAlgoOrders", WarmupError)],
)
def test_half_a_reading_is_none(
    start_exchange: Start, fault: str, error: type[WarmupError]
) -> None:
    running = start_exchange()
    running.fault(fault)

    async def run() -> None:
        async with BinanceClient("um", running.url) as client:
            with pytest.raises(error):
                await read(running, client, "BTCUSDT")

    asyncio.run(run())
