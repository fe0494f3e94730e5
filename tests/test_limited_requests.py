"""Nautilus' HTTP client and ours stop together when the exchange limits or bans the IP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from loguru import logger
from nautilus_trader.adapters.binance.common.enums import (
    BinanceAccountType,
    BinanceFuturesPositionSide,
    BinanceOrderSide,
    BinanceOrderType,
)
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.http.error import BinanceError
from nautilus_trader.common.component import LiveClock

from tests.support.exchange import Exchange
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.order_rejections import limited_until_ms
from warmup_job.errors import BlockedError, RateLimitedError
from warmup_job.handoff.live_account.certain_orders import CertainOrders
from warmup_job.handoff.live_account.limited_requests import share_limits

type Start = Callable[..., Exchange]
SOON_MS = 600_000


async def place(orders: CertainOrders) -> None:
    await orders.new_algo_order(
        symbol="BTCUSDT",
        side=BinanceOrderSide.BUY,
        order_type=BinanceOrderType.STOP_MARKET,
        position_side=BinanceFuturesPositionSide.LONG,
        quantity="0.010",
        trigger_price="900000.0",
        client_algo_id="S1-1",
    )


def with_both[T](
    running: Exchange,
    use: Callable[[CertainOrders, BinanceClient], Awaitable[T]],
    on_limit: Callable[[int], object] = lambda _: None,
) -> T:
    async def run() -> T:
        async with BinanceClient("um", running.url, on_limit=on_limit, deadline_ms=500) as client:
            await client.sync_clock()
            http = BinanceHttpClient(LiveClock(), "local-key", "local-secret", running.url)
            orders = CertainOrders(http, LiveClock(), BinanceAccountType.USDT_FUTURES)
            share_limits(http, client, None)
            return await use(orders, client)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "fault", ["banned=5m@*algoOrder", "418=300@*algoOrder", "429=300@*algoOrder"]
)
def test_limited_requests_refused_order_stops_every_request(
    start_exchange: Start, fault: str
) -> None:
    running, noted = start_exchange(), list[int]()

    async def use(orders: CertainOrders, client: BinanceClient) -> list[str]:
        running.fault(f"{fault}:times=1")
        reasons = []
        for _ in range(2):
            with pytest.raises(BinanceError) as refused:
                await place(orders)
            reasons.append(str(refused.value.message))
        with pytest.raises(RateLimitedError):
            await client.sync_clock()
        return reasons

    before_ms = running.now_ms()
    reasons = with_both(running, use, noted.append)
    ends = [limited_until_ms(reason, before_ms) for reason in reasons]
    assert ends[0] == ends[1]
    assert ends[0] in noted, "a restarted process waits too"
    assert all("IP limited or banned until" in each for each in reasons), "429 is no ban"
    assert 295_000 <= noted[0] - before_ms <= 310_000, "as the exchange has told"
    assert [each["path"] for each in running.requests()] == ["/fapi/v1/time", "/fapi/v1/algoOrder"]


def test_limited_requests_refused_kline_stops_orders(start_exchange: Start) -> None:
    running = start_exchange()

    async def use(orders: CertainOrders, client: BinanceClient) -> None:
        running.fault("418=300@time:times=1")
        with pytest.raises(RateLimitedError):
            await client.sync_clock()
        with pytest.raises(BinanceError) as refused:
            await place(orders)
        assert limited_until_ms(str(refused.value.message), client.now_ms()) is not None

    with_both(running, use)
    assert [each["path"] for each in running.requests()] == ["/fapi/v1/time"] * 2


def test_limited_requests_limit_within_the_block_of_a_firewall_stops_orders(
    start_exchange: Start,
) -> None:
    """The end of a block is a guess and stops no order; a shorter ban must not get lost in it."""
    running = start_exchange()

    async def use(orders: CertainOrders, client: BinanceClient) -> list[str]:
        running.fault("403@time:times=1")
        with pytest.raises(BlockedError):
            await client.sync_clock()
        running.fault("418=300@*algoOrder:times=1")
        reasons = []
        for _ in range(2):
            with pytest.raises(BinanceError) as refused:
                await place(orders)
            reasons.append(str(refused.value.message))
        with pytest.raises(BlockedError):  # it ends later
            await client.sync_clock()
        return reasons

    before_ms = running.now_ms()
    ends = [limited_until_ms(reason, before_ms) for reason in with_both(running, use)]
    assert ends[0] is not None
    assert ends[0] == ends[1]
    assert [each["path"] for each in running.requests()] == [
        "/fapi/v1/time", "/fapi/v1/time", "/fapi/v1/algoOrder",
    ]  # fmt: skip


@pytest.mark.parametrize("fault", ["403@*algoOrder", "overload@POST/algoOrder"])
def test_limited_requests_other_refusals_stop_nothing(start_exchange: Start, fault: str) -> None:
    """A firewall may have refused the order alone, and a position waits for its stop loss."""
    running = start_exchange()

    async def use(orders: CertainOrders, client: BinanceClient) -> None:
        running.fault(f"{fault}:times=1")
        with pytest.raises(BinanceError):
            await place(orders)
        await client.sync_clock()
        await place(orders)

    with_both(running, use)


def test_limited_requests_count_in_the_weight_budget(start_exchange: Start) -> None:
    """The exchange counts them for this IP; before, the budget did not see them."""
    running = start_exchange()

    async def use(orders: CertainOrders, client: BinanceClient) -> int:
        await orders.query_open_orders()  # 40, of all symbols
        return client.budget._used

    assert with_both(running, use) >= 40


def test_limited_requests_that_are_held_back_are_not_logged_as_sent(start_exchange: Start) -> None:
    running, sent = start_exchange(), list[str]()

    async def use(_: CertainOrders, client: BinanceClient) -> None:
        running.fault("429=300@*time:times=1")
        sink = logger.add(lambda line: sent.append(line.record["extra"]["event"]), level="DEBUG")
        try:
            for _attempt in range(3):
                with pytest.raises(RateLimitedError):
                    await client.sync_clock()
        finally:
            logger.remove(sink)

    with_both(running, use)
    assert sent.count("request.sent") == 1
