"""ccxt and NautilusTrader trade on the local exchange, unmodified.

Run as a script, this file is the process that starts NautilusTrader's own execution client.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.support.account_client import KEY, SECRET, with_account
from tests.support.commands import run_as_script
from tests.support.keys import WRITTEN, public_pem
from tests.support.suite import HANG_S
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.account_client import AccountClient

NOW_MS = 1_780_000_021_000
LOW = 60_000
"""A price at which a buy rests: the market of this seed and time is at 64,500."""


@pytest.mark.usefixtures("whole_ccxt")
def test_local_binance_clients_ccxt_trades() -> None:
    async def use(client: AccountClient) -> None:
        import ccxt.async_support as ccxt

        url = client.exchange.url
        options = {"hedgeMode": True, "fetchMarkets": {"types": ["linear"]}}
        trader = ccxt.binanceusdm({"apiKey": KEY, "secret": SECRET, "options": options})
        trader.urls["api"].update(
            fapiPublic=f"{url}/fapi/v1",
            fapiPublicV2=f"{url}/fapi/v2",
            fapiPrivate=f"{url}/fapi/v1",
            fapiPrivateV2=f"{url}/fapi/v2",
            fapiPrivateV3=f"{url}/fapi/v3",
        )
        trader.has["fetchCurrencies"] = False
        bitcoin, long = "BTC/USDT:USDT", {"positionSide": "LONG"}
        try:
            await trader.load_time_difference()
            await trader.load_markets()
            bought = await trader.create_order(bitcoin, "market", "buy", 0.02, None, long)
            assert (bought["status"], bought["filled"]) == ("closed", 0.02)
            named = long | {"clientOrderId": "E-1"}
            limit = await trader.create_order(bitcoin, "limit", "buy", 0.01, LOW, named)
            changed = await trader.edit_order(limit["id"], bitcoin, "limit", "buy", 0.02, LOW + 1)
            assert (changed["clientOrderId"], changed["amount"]) == ("E-1", 0.02)
            stopping = long | {"stopLossPrice": LOW}
            stop = await trader.create_order(bitcoin, "market", "sell", 0.01, None, stopping)

            (listed,) = await trader.fetch_open_orders(bitcoin)
            assert (listed["id"], listed["price"]) == (limit["id"], LOW + 1)
            (waiting,) = await trader.fetch_open_orders(bitcoin, params={"trigger": True})
            assert (waiting["id"], waiting["triggerPrice"]) == (stop["id"], LOW)
            (position,) = await trader.fetch_positions([bitcoin])
            assert (position["side"], position["contracts"]) == ("long", 0.02)
            await trader.cancel_order(stop["id"], bitcoin, {"trigger": True})
            cancelled = await trader.cancel_order(limit["id"], bitcoin)
            assert cancelled["status"] == "canceled"

            order = {"symbol": bitcoin, "type": "limit", "side": "buy", "amount": 0.01}
            batch = [order | {"price": LOW, "params": long}] * 2
            ids = [each["id"] for each in await trader.create_orders(batch)]
            gone = await trader.cancel_orders(ids, bitcoin)
            assert [each["status"] for each in gone] == ["canceled", "canceled"]
            await trader.cancel_all_orders(bitcoin)
            trades = await trader.fetch_my_trades(bitcoin)
            assert sum(trade["amount"] for trade in trades) == pytest.approx(0.02)
            assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
            balance = (await trader.fetch_balance())["USDT"]
            assert 0 < balance["used"] < 100
            assert (await trader.fetch_funding_rate(bitcoin))["fundingRate"] == 0.0001
            with pytest.raises(ccxt.OrderNotFound):
                await trader.cancel_order(limit["id"], bitcoin)
            taking = long | {"postOnly": True}
            with pytest.raises(ccxt.InvalidOrder, match="Post Only"):
                await trader.create_order(bitcoin, "limit", "buy", 0.01, LOW * 1.1, taking)
            with pytest.raises(ccxt.ExchangeError, match="Margin is insufficient"):
                await trader.create_order(bitcoin, "market", "buy", 4, None, long)
        finally:
            await trader.close()

    with_account(use, now_ms=NOW_MS)


@pytest.mark.parametrize("key", ["hmac", "ed25519"])
def test_local_binance_clients_nautilus_reconciles_and_trades(key: str, tmp_path: Path) -> None:
    # An Ed25519 key gets its listen key by the websocket API.
    written = tmp_path / "report.json"
    log = run_as_script(__file__, key, str(written))
    complaints = [entry for entry in log if "[WARN]" in entry or "[ERROR]" in entry]
    # Nautilus names the position and the orders that it leaves open.
    assert [entry for entry in complaints if "Residual" not in entry] == []
    report = json.loads(written.read_text())
    assert report["found"] == {
        "positions": ["BTCUSDT-PERP.BINANCE-LONG 0.020"],
        "orders": ["foreign-limit", "foreign-stop"],
    }
    assert report["events"] == {
        "buy": ["OrderSubmitted", "OrderAccepted", "OrderFilled"],
        "limit": [
            "OrderSubmitted", "OrderAccepted", "OrderPendingUpdate", "OrderUpdated",
            "OrderPendingCancel", "OrderCanceled",
        ],
        "stop": ["OrderSubmitted", "OrderAccepted", "OrderPendingCancel", "OrderCanceled"],
        "close": ["OrderSubmitted", "OrderAccepted", "OrderFilled"],
    }  # fmt: skip
    # The account's own books: the foreign position is as it was, and the orders of others too.
    account = report["account"]
    assert [(each["position_side"], each["quantity"]) for each in account["positions"]] == [
        ("LONG", "0.02")
    ]
    assert {order["client_id"] for order in account["orders"]} == {"foreign-limit", "foreign-stop"}
    assert float(account["wallet"]) == pytest.approx(report["balance"], abs=1e-6)


async def meet_nautilus(secret: str, known_secret: str) -> dict[str, Any]:
    """Start a node on an account that has orders, let it trade, and stop it.

    Args:
        secret: The node's secret.
        known_secret: What the exchange knows of it.

    Returns:
        What it found at its start, the events of its orders, and the account at the end.
    """
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
        LiveExecEngineConfig,
        LoggingConfig,
        TradingNodeConfig,
    )
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, PositionId, TraderId, Venue
    from nautilus_trader.trading.strategy import Strategy

    bitcoin = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
    long = PositionId(f"{bitcoin}-LONG")
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    found: dict[str, list[str]] = {}

    exchange = await start(ExchangeOptions(api_secret=known_secret))
    low = await _before_the_node(exchange.url)

    class Trader(Strategy):
        """Buys, places a limit order and a stop, changes and cancels them, and sells."""

        def on_start(self) -> None:
            found["positions"] = [
                f"{each.id} {each.quantity}" for each in self.cache.positions_open()
            ]
            found["orders"] = sorted(
                each.client_order_id.value for each in self.cache.orders_open()
            )
            make, instrument = self.order_factory, self.cache.instrument(bitcoin)
            size, price = instrument.make_qty("0.01"), instrument.make_price(low)
            buy = make.market(bitcoin, OrderSide.BUY, size)
            limit = make.limit(bitcoin, OrderSide.BUY, size, price, post_only=True)
            stop = make.stop_market(bitcoin, OrderSide.SELL, size, price)
            sell = make.market(bitcoin, OrderSide.SELL, size)
            self.sent = {"buy": buy, "limit": limit, "stop": stop, "close": sell}
            higher = instrument.make_price(low + 1)
            self.next_steps: dict[tuple[object, str], Callable[[], None]] = {
                (buy.client_order_id, "OrderFilled"): lambda: self.submit_order(limit, long),
                (limit.client_order_id, "OrderAccepted"): lambda: self.modify_order(
                    limit, price=higher
                ),
                (limit.client_order_id, "OrderUpdated"): lambda: self.cancel_order(limit),
                (limit.client_order_id, "OrderCanceled"): lambda: self.submit_order(stop, long),
                (stop.client_order_id, "OrderAccepted"): lambda: self.cancel_order(stop),
                (stop.client_order_id, "OrderCanceled"): lambda: self.submit_order(sell, long),
                (sell.client_order_id, "OrderFilled"): lambda: finished.set_result(None),
            }
            self.submit_order(buy, long)

        def on_order_event(self, event: Any) -> None:
            kind = type(event).__name__
            if kind == "OrderFilled" and not self.cache.order(event.client_order_id).is_closed:
                return  # a part of it
            self.next_steps.get((event.client_order_id, kind), lambda: None)()

        def on_stop(self) -> None:
            """Leave everything as it is."""

    place: dict[str, Any] = {
        "account_type": BinanceAccountType.USDT_FUTURES,
        "api_key": KEY,
        "api_secret": secret,
        "base_url_http": exchange.url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    config = TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level="INFO", log_colors=False),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={
            "BINANCE": BinanceDataClientConfig(
                **place, base_url_ws=exchange.ws_url, update_instruments_interval_mins=None
            )
        },
        exec_clients={
            "BINANCE": BinanceExecClientConfig(
                **place,
                base_url_ws=f"{exchange.ws_url}/ws-fapi/v1",
                base_url_ws_stream=f"{exchange.ws_url}/private",
                use_reduce_only=False,
            )
        },
        timeout_connection=120.0,
        timeout_reconciliation=120.0,
        timeout_portfolio=120.0,
        timeout_disconnection=120.0,
        timeout_post_stop=0.2,
    )
    node = TradingNode(config, loop=asyncio.get_running_loop())
    trader = Trader()
    node.trader.add_strategy(trader)
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    node.build()
    running = asyncio.create_task(node.run_async())
    await asyncio.wait_for(finished, HANG_S)
    async with (
        aiohttp.ClientSession() as session,
        session.get(exchange.url + "/_sim/account") as response,
    ):
        account = await response.json()
    balance = node.cache.account_for_venue(Venue("BINANCE")).balance_total(USDT)
    report = {
        "found": found,
        "events": {
            name: [type(event).__name__ for event in order.events if "Init" not in repr(event)]
            for name, order in trader.sent.items()
        },
        "account": {name: account[name] for name in ("positions", "orders", "wallet")},
        "balance": float(balance.as_decimal()),
    }
    await node.stop_async()
    await running
    await exchange.stop()
    return report


async def _before_the_node(url: str) -> float:
    """Give the account a position, a limit order and a stop of another client."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/fapi/v2/ticker/price?symbol=BTCUSDT") as response:
            low = round(float((await response.json())["price"]) * 0.96, 1)
        opening = {"symbol": "BTCUSDT", "positionSide": "LONG", "side": "BUY", "quantity": "0.02"}
        limit = {"type": "LIMIT", "timeInForce": "GTC", "price": low}
        stop = {"type": "STOP_MARKET", "algoType": "CONDITIONAL", "triggerPrice": low}
        for order in (
            opening | {"type": "MARKET"},
            opening | limit | {"newClientOrderId": "foreign-limit"},
            opening | stop | {"side": "SELL", "clientAlgoId": "foreign-stop"},
        ):
            body = urlencode(order)
            async with session.post(f"{url}/_sim/orders", data=body) as response:
                assert response.status == 200, await response.text()
    return low


if __name__ == "__main__":
    secrets = (WRITTEN, public_pem()) if sys.argv[1] == "ed25519" else (SECRET, SECRET)
    # Not to stdout: NautilusTrader's logger is still writing there.
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(meet_nautilus(*secrets))))
