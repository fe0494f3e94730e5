"""NautilusTrader's own execution client on stops that the local exchange triggers.

Run as a script, this file is the process that starts the node.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp

from tests.support.commands import run_as_script
from tests.support.suite import HANG_S
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import RunningExchange, start


def test_local_binance_stops_are_filled_once_and_rejected_cleanly_in_nautilus() -> None:
    *log, result = run_as_script(__file__)
    complaints = [entry for entry in log if "[WARN]" in entry or "[ERROR]" in entry]
    assert [entry for entry in complaints if "OrderRejected" not in entry] == []
    report = json.loads(result)
    placed = ["OrderSubmitted", "OrderAccepted"]
    assert report["buy"] == [*placed, *["OrderFilled"] * 3]
    # OrderUpdated: the stop's order has an id of its own, and the algo service reports it later.
    updated = report["stop"].count("OrderUpdated")
    assert 1 <= updated <= 2
    events = [event for event in report["stop"] if event != "OrderUpdated"]
    assert events == [*placed, *["OrderFilled"] * 3]
    assert report["useless"] == [*placed, "OrderRejected"]
    assert report["positions"] == []
    assert report["fees_and_results"] == report["wallet_change"]


async def meet_nautilus() -> None:
    """Open a position, let a stop close it, and let another stop be triggered without one."""
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, PositionId
    from nautilus_trader.trading.strategy import Strategy

    bitcoin = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
    long = PositionId(f"{bitcoin}-LONG")
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Stopped(Strategy):
        def on_start(self) -> None:
            self.quantity = self.cache.instrument(bitcoin).make_qty("0.03")
            self.buy = self.order_factory.market(bitcoin, OrderSide.BUY, self.quantity)
            self.submit_order(self.buy, long)

        def stop_below(self, price: float) -> Any:
            trigger = self.cache.instrument(bitcoin).make_price(price * 0.9998)
            stop = self.order_factory.stop_market(bitcoin, OrderSide.SELL, self.quantity, trigger)
            self.submit_order(stop, long)
            return stop

        def on_order_filled(self, event: Any) -> None:
            if not self.cache.order(event.client_order_id).is_closed:
                return
            if event.client_order_id == self.buy.client_order_id:
                self.loss = self.stop_below(float(event.last_px))
            else:
                self.useless = self.stop_below(float(event.last_px))

        def on_order_rejected(self, _: Any) -> None:
            ended.set_result(None)

        def on_stop(self) -> None:
            """There is nothing to end."""

    # The price moves 0.5 % a minute, so that a stop 0.02 % away is reached within seconds.
    exchange = await start(ExchangeOptions(volatility_bps=50, fill_pieces=3, balance="100000"))
    node = node_of(exchange)
    strategy = Stopped()
    node.trader.add_strategy(strategy)
    node.build()
    running = asyncio.create_task(node.run_async())
    await asyncio.wait_for(ended, HANG_S)
    (position,) = node.cache.positions_closed()
    report: dict[str, Any] = {
        name: [type(event).__name__ for event in order.events if "Init" not in repr(event)]
        for name, order in (
            ("buy", strategy.buy),
            ("stop", strategy.loss),
            ("useless", strategy.useless),
        )
    }
    report |= {
        "positions": [str(each.id) for each in node.cache.positions_open()],
        "fees_and_results": f"{position.realized_pnl.as_decimal():.4f}",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{exchange.url}/_sim/account") as response,
    ):
        wallet = Decimal((await response.json())["wallet"])
    report["wallet_change"] = f"{wallet - 100_000:.4f}"
    await node.stop_async()
    await running
    await exchange.stop()
    print("\n" + json.dumps(report), flush=True)


def node_of(exchange: RunningExchange) -> Any:
    """Return a node whose clients are connected to the exchange."""
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
    from nautilus_trader.adapters.binance.config import (
        BinanceDataClientConfig,
        BinanceExecClientConfig,
    )
    from nautilus_trader.adapters.binance.factories import (
        BinanceLiveDataClientFactory,
        BinanceLiveExecClientFactory,
    )
    from nautilus_trader.config import (
        InstrumentProviderConfig,
        LoggingConfig,
        TradingNodeConfig,
    )
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.identifiers import TraderId

    place: dict[str, Any] = {
        "account_type": BinanceAccountType.USDT_FUTURES,
        "api_key": "local-key",
        "api_secret": "local-secret",
        "base_url_http": exchange.url,
        "base_url_ws": exchange.ws_url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    data = BinanceDataClientConfig(**place, update_instruments_interval_mins=None)
    execution = BinanceExecClientConfig(
        **place, base_url_ws_stream=f"{exchange.ws_url}/private", use_reduce_only=False
    )
    config = TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level="INFO", log_colors=False),
        data_clients={"BINANCE": data},
        exec_clients={"BINANCE": execution},
        timeout_connection=120.0,
        timeout_reconciliation=120.0,
        timeout_portfolio=120.0,
        timeout_disconnection=120.0,
        timeout_post_stop=0.2,
    )
    node = TradingNode(config, loop=asyncio.get_running_loop())
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    return node


if __name__ == "__main__":
    asyncio.run(meet_nautilus())
