"""Orders that tests send through `CertainOrders`, as Nautilus does."""

from __future__ import annotations

from nautilus_trader.adapters.binance.common.enums import (
    BinanceAccountType,
    BinanceFuturesPositionSide,
    BinanceOrderSide,
    BinanceOrderType,
    BinanceTimeInForce,
)
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.common.component import LiveClock

from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from warmup_job.handoff.live_account.certain_orders import CertainOrders

ENTRY, STOP = "E-1", "S1-1"


def orders_at(running: Exchange) -> CertainOrders:
    clock = LiveClock()
    http = BinanceHttpClient(clock, *LIVE_KEYS.values(), running.url)
    return CertainOrders(http, clock, BinanceAccountType.USDT_FUTURES)


async def place(orders: CertainOrders, kind: str) -> None:
    if kind == ENTRY:
        await orders.new_order(
            symbol="BTCUSDT",
            side=BinanceOrderSide.BUY,
            order_type=BinanceOrderType.LIMIT,
            time_in_force=BinanceTimeInForce.GTC,
            position_side=BinanceFuturesPositionSide.LONG,
            quantity="0.010",
            price="20000.0",
            new_client_order_id=ENTRY,
        )
    else:
        await orders.new_algo_order(
            symbol="BTCUSDT",
            side=BinanceOrderSide.SELL,
            order_type=BinanceOrderType.STOP_MARKET,
            position_side=BinanceFuturesPositionSide.LONG,
            quantity="0.010",
            trigger_price="10000.0",
            client_algo_id=STOP,
        )


async def take(orders: CertainOrders, quantity: str, order_id: str = "taken") -> int:
    """Open a position at the market's price; return the exchange's id of the order."""
    taken = await orders.new_order(
        symbol="BTCUSDT",
        side=BinanceOrderSide.BUY,
        order_type=BinanceOrderType.MARKET,
        position_side=BinanceFuturesPositionSide.LONG,
        quantity=quantity,
        new_client_order_id=order_id,
    )
    return int(taken.orderId)
