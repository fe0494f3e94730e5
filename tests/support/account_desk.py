"""The trader's execution client without a node: what it hears, believes and reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from nautilus_trader.adapters.binance.common.enums import (
    BinanceAccountType,
)
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.execution.reports import ExecutionMassStatus
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderEvent,
    OrderSubmitted,
)
from nautilus_trader.model.identifiers import (
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    TraderId,
)
from nautilus_trader.model.orders import Order
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from tests.support.sent_orders import STOP
from warmup_job.binance.endpoints import account_ws_url
from warmup_job.handoff.live_account.account_client import AccountClient
from warmup_job.handoff.live_account.exchange_info import ExecClientFactory
from warmup_job.handoff.node import provider

BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")


LONG = PositionId(f"{BTC}-LONG")

NOW_MS = 1_700_000_000_000


class Desk:
    """An execution client without a node: its cache, and what it has reported."""

    def __init__(self, running: Exchange, secret: str) -> None:
        clock = LiveClock()
        self.bus = bus = MessageBus(TraderId("TESTER-001"), clock)
        self.cache = Cache()
        self.reports: list[Any] = []
        for name in ("reconcile_execution_report", "reconcile_execution_mass_status"):
            bus.register(f"ExecEngine.{name}", self.reports.append)
        self.events: list[OrderEvent] = []
        bus.register("ExecEngine.process", self._note)
        config = BinanceExecClientConfig(
            api_key=LIVE_KEYS["KEY"],
            api_secret=secret,
            account_type=BinanceAccountType.USDT_FUTURES,
            base_url_http=running.url,
            base_url_ws=account_ws_url(running.ws_url),
            base_url_ws_stream=running.ws_url,
            instrument_provider=provider([BTC]),
            use_reduce_only=False,
        )
        made = ExecClientFactory.create(
            asyncio.get_running_loop(), "BINANCE", config, bus, self.cache, clock
        )
        assert isinstance(made, AccountClient)
        self.client = made
        self._now_ns = clock.timestamp_ns()
        self._orders = OrderFactory(TraderId("TESTER-001"), StrategyId("S-1"), clock)

    def _note(self, event: OrderEvent) -> None:
        """Collect an event, and let the cache learn that an order was accepted."""
        self.events.append(event)
        if isinstance(event, OrderAccepted):
            order = self.cache.order(event.client_order_id)
            order.apply(event)
            self.cache.update_order(order)

    def new_stop(self, order_id: str) -> Order:
        """Put a stop of a LONG position into the cache, not submitted yet."""
        instrument = self.client._instrument_provider.find(BTC)
        stop = self._orders.stop_market(
            BTC, OrderSide.SELL, instrument.make_qty(0.010), instrument.make_price(20_000),
            client_order_id=ClientOrderId(order_id),
        )  # fmt: skip
        self.cache.add_order(stop)
        return stop

    def submit_stop(self, order_id: str) -> None:
        """Put the stop that `place` sends into the cache, as submitted."""
        stop = self.new_stop(order_id)
        stop.apply(TestEventStubs.order_submitted(stop))
        self.cache.update_order(stop)

    async def status(self, *, positions: bool = True) -> ExecutionMassStatus:
        status = await self.client._mass_status(positions=positions)
        assert status is not None
        return status

    def believe(self, order_id: str, *, venue_order_id: int | None, age_ns: int) -> Order:
        """Put an order into the cache, as submitted, or as accepted with this id."""
        instrument = self.client._instrument_provider.find(BTC)
        order = self._orders.limit(
            BTC,
            OrderSide.BUY,
            instrument.make_qty(0.010),
            instrument.make_price(20_000),
            client_order_id=ClientOrderId(order_id),
        )
        self.cache.add_order(order)
        at_ns = self._now_ns - age_ns
        submitted = OrderSubmitted.to_dict(TestEventStubs.order_submitted(order))
        order.apply(OrderSubmitted.from_dict(submitted | {"ts_init": at_ns}))
        if venue_order_id is not None:
            accepted = OrderAccepted.to_dict(TestEventStubs.order_accepted(order))
            fields = {"ts_init": at_ns, "venue_order_id": str(venue_order_id)}
            order.apply(OrderAccepted.from_dict(accepted | fields))
        self.cache.update_order(order)
        return order


def at_the_desk[T](
    running: Exchange, work: Callable[[Desk], Awaitable[T]], secret: str = LIVE_KEYS["SECRET"]
) -> T:
    async def run() -> T:
        desk = Desk(running, secret)
        await desk.client._instrument_provider.initialize()
        return await work(desk)

    return asyncio.run(run())


def tell(desk: Desk, event: str, **fields: object) -> None:
    """Let an event of the user data stream arrive."""
    told = {"e": event, "E": NOW_MS, "T": NOW_MS, "o": fields}
    desk.client._handle_user_ws_message(json.dumps(told).encode())


def tell_algo(desk: Desk, status: str, **changes: object) -> None:
    fields = {
        "caid": STOP, "aid": 5, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT",
        "S": "SELL", "ps": "LONG", "f": "GTC", "q": "0.010", "X": status, "tp": "20000.0",
        "p": "0", "wt": "CONTRACT_PRICE", "pm": "NONE", "cp": False, "pP": False, "R": False,
        "tt": NOW_MS, "gtd": 0,
    } | changes  # fmt: skip
    tell(desk, "ALGO_UPDATE", **fields)


def tell_order(
    desk: Desk, execution: str, status: str, trade_id: int = 0, **changes: object
) -> None:
    filled = "0.010" if trade_id else "0"
    fields = {
        "s": "BTCUSDT", "c": STOP, "S": "SELL", "o": "MARKET", "f": "GTC", "q": "0.010", "p": "0",
        "ap": "20000", "sp": "20000", "x": execution, "X": status, "i": 7, "l": filled,
        "z": filled, "L": "20000", "N": "USDT", "n": "0.1", "T": NOW_MS, "t": trade_id, "b": "0",
        "a": "0", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "STOP_MARKET",
        "ps": "LONG", "cp": False, "rp": "-1", "pP": False, "si": 0, "ss": 0, "V": "NONE",
        "pm": "NONE", "gtd": 0,
    } | changes  # fmt: skip
    tell(desk, "ORDER_TRADE_UPDATE", **fields)
