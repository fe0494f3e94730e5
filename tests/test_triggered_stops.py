"""What Nautilus' live engine makes of a stop that is triggered, in whatever order it learns of it.

The conditional order has one id at the exchange, and the order that its trigger makes another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.adapters.binance.common.schemas.account import BinanceOrder, BinanceUserTrade
from nautilus_trader.adapters.binance.futures.schemas.account import BinanceFuturesAlgoOrder
from nautilus_trader.adapters.binance.http.error import BinanceClientError
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import AccountType, OrderStatus
from nautilus_trader.model.events import AccountState, OrderAccepted, OrderEvent, OrderFilled
from nautilus_trader.model.identifiers import ClientOrderId, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Money
from nautilus_trader.model.orders import Order
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from tests.support.account_desk import BTC, LONG, NOW_MS, Desk, tell_algo, tell_order
from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from warmup_job.binance.unknown_outcome import NO_SUCH_ORDER
from warmup_job.handoff.live_account import account_client
from warmup_job.handoff.live_account.certain_orders import CertainOrders

Start = Callable[..., Exchange]
ACCEPTED, TRIGGERED, PARTLY, FILLED = range(4)
"""The states of the stop at the exchange, in their order."""
DONE = ("0", "0", "0.004", "0.010")
MESSAGES = {
    "answer": ACCEPTED, "accepted": ACCEPTED, "triggering": ACCEPTED, "triggered": TRIGGERED,
    "order": TRIGGERED, "part": PARTLY, "rest": FILLED, "finished": FILLED,
}  # fmt: skip
"""Each message, and the state in which the exchange sends it."""
STEPS = (*MESSAGES, "cancel-fails", "read", "read-late", "read-amid-the-answer", "catch-up")


@dataclass
class Stop:
    """A stop as the exchange has it.

    Attributes:
        number: makes its ids.
        state: how far it has come.
    """

    number: int
    state: int = ACCEPTED

    @property
    def order_id(self) -> str:
        return f"S1-{self.number}"

    @property
    def algo(self) -> int:
        return self.number * 10

    @property
    def actual(self) -> int:
        return self.number * 10 + 1

    def part(self, number: int) -> int:
        return self.number * 10 + 1 + number


class Answers(CertainOrders):
    """What the exchange answers about one stop."""

    stop: Stop

    def algo(self) -> BinanceFuturesAlgoOrder:
        stop = self.stop
        return BinanceFuturesAlgoOrder(
            algoId=stop.algo,
            clientAlgoId=stop.order_id,
            algoType="CONDITIONAL",
            orderType="STOP_MARKET",
            symbol="BTCUSDT",
            side="SELL",
            positionSide="LONG",
            timeInForce="GTC",
            quantity="0.010",
            algoStatus=("NEW", "TRIGGERED", "TRIGGERED", "FINISHED")[stop.state],
            triggerPrice="20000.0",
            workingType="CONTRACT_PRICE",
            actualOrderId=str(stop.actual) if stop.state > ACCEPTED else "",
        )

    def actual(self) -> BinanceOrder:
        stop = self.stop
        fields = {
            "symbol": "BTCUSDT", "orderId": stop.actual, "clientOrderId": stop.order_id,
            "price": "0", "origQty": "0.010", "executedQty": DONE[stop.state],
            "status": ("", "NEW", "PARTIALLY_FILLED", "FILLED")[stop.state], "timeInForce": "GTC",
            "type": "MARKET", "origType": "STOP_MARKET", "side": "SELL", "stopPrice": "20000.0",
            "time": NOW_MS, "updateTime": NOW_MS, "avgPrice": "20000", "reduceOnly": False,
            "positionSide": "LONG", "workingType": "CONTRACT_PRICE",
        }  # fmt: skip
        return msgspec.convert(fields, BinanceOrder)

    async def query_open_orders(self, *_: Any, **__: Any) -> list[BinanceOrder]:
        return [self.actual()] if self.stop.state in {TRIGGERED, PARTLY} else []

    async def query_open_algo_orders(self, *_: Any, **__: Any) -> list[BinanceFuturesAlgoOrder]:
        return [self.algo()] if self.stop.state == ACCEPTED else []

    async def query_algo_order(self, *_: Any, **__: Any) -> BinanceFuturesAlgoOrder:
        await asyncio.sleep(0)
        return self.algo()

    async def query_order(self, *_: Any, **__: Any) -> BinanceOrder:
        if self.stop.state == ACCEPTED:
            raise BinanceClientError(400, {"code": NO_SUCH_ORDER, "msg": ""}, {})
        return self.actual()

    async def query_user_trades(self, *_: Any, **__: Any) -> list[BinanceUserTrade]:
        fields = {
            "commission": "0.1", "commissionAsset": "USDT", "price": "20000", "symbol": "BTCUSDT",
            "orderId": self.stop.actual, "time": NOW_MS, "buyer": False, "maker": False,
            "side": "SELL", "positionSide": "LONG",
        }  # fmt: skip
        parts = [("0.004", 1), ("0.006", 2)][: max(self.stop.state - TRIGGERED, 0)]
        return [
            msgspec.convert(fields | {"qty": qty, "id": self.stop.part(number)}, BinanceUserTrade)
            for qty, number in parts
        ]


class NotingEngine(LiveExecutionEngine):
    """Nautilus' engine, which notes the events that it could not apply to their order."""

    refused: list[OrderEvent]

    def _apply_event_to_order(self, order: Order, event: OrderEvent) -> bool:
        is_applied: bool = super()._apply_event_to_order(order, event)
        if not is_applied:
            self.refused.append(event)
        return is_applied


class Trader:
    """An execution client with Nautilus' live engine behind it."""

    def __init__(self, running: Exchange) -> None:
        self.desk = desk = Desk(running, LIVE_KEYS["SECRET"])
        bus, client = desk.bus, desk.client
        for name in ("reconcile_execution_report", "reconcile_execution_mass_status"):
            bus.deregister(f"ExecEngine.{name}", desk.reports.append)
        bus.deregister("ExecEngine.process", desk._note)
        client.orders = self.answers = Answers(
            client._http_client, client._clock, client._binance_account_type
        )
        client.symbols = ("BTCUSDT",)
        Portfolio(bus, desk.cache, client._clock)
        self.engine = NotingEngine(asyncio.get_running_loop(), bus, desk.cache, client._clock)
        self.engine.refused = []
        self.engine.register_client(client)
        bus.subscribe("events.order.*", desk.events.append)
        self.number = 0

    async def begin(self) -> None:
        """Start the engine, with the instrument and an account."""
        desk = self.desk
        await desk.client._instrument_provider.initialize()
        desk.cache.add_instrument(desk.client._instrument_provider.find(BTC))
        balance = AccountBalance(Money(10_000, USDT), Money(0, USDT), Money(10_000, USDT))
        state = AccountState(
            desk.client.account_id, AccountType.MARGIN, None, True, [balance], [], {}, UUID4(), 1, 1
        )
        desk.cache.add_account(AccountFactory.create(state))
        self.engine.start()

    async def end(self) -> None:
        """Stop the engine."""
        self.engine.kill()
        await self._catch_up()

    def submit(self) -> Stop:
        """Let the trader have sent a stop, which the exchange has accepted."""
        self.number += 1
        desk, stop = self.desk, Stop(self.number)
        order = desk.new_stop(stop.order_id)
        submitted = TestEventStubs.order_submitted(order, account_id=desk.client.account_id)
        order.apply(submitted)
        desk.cache.update_order(order)
        self.answers.stop = stop
        return stop

    async def take(self, step: str, stop: Stop) -> None:
        """Let a message arrive, or the trader do something."""
        if step in MESSAGES:
            stop.state = max(stop.state, MESSAGES[step])
            self._arrive(step, stop)
        elif step == "cancel-fails":
            known = self.desk.cache.order(ClientOrderId(stop.order_id))
            self.desk.client.generate_order_cancel_rejected(
                known.strategy_id, BTC, known.client_order_id, VenueOrderId(str(stop.algo)),
                "it is still open", 1,
            )  # fmt: skip
        elif step == "catch-up":
            await self._catch_up()
        else:
            stop.state = FILLED if step == "read-late" else stop.state
            reading = asyncio.ensure_future(self.desk.client._reconcile_after_resubscribe())
            if step == "read-amid-the-answer":
                await asyncio.sleep(0)
                self._arrive("answer", stop)
            await reading

    def _arrive(self, message: str, stop: Stop) -> None:
        desk, actual = self.desk, str(stop.actual)
        algo = {"caid": stop.order_id, "aid": stop.algo}
        order: dict[str, Any] = {"c": stop.order_id, "i": stop.actual}
        match message:
            case "answer":
                placed = msgspec.structs.replace(self.answers.algo(), algoStatus="NEW")
                desk.client._accept(placed)
            case "accepted":
                tell_algo(desk, "NEW", **algo)
            case "triggering":
                tell_algo(desk, "TRIGGERING", **algo)
            case "triggered":
                tell_algo(desk, "TRIGGERED", **algo, ai=actual)
            case "order":
                tell_order(desk, "NEW", "NEW", **order)
            case "part":
                tell_order(
                    desk, "TRADE", "PARTIALLY_FILLED", stop.part(1), **order, l="0.004", z="0.004"
                )
            case "rest":
                tell_order(desk, "TRADE", "FILLED", stop.part(2), **order, l="0.006")
            case "finished":
                tell_algo(desk, "FINISHED", **algo, ai=actual, aq="0.010", ap="20000")

    async def _catch_up(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def live_through(self, steps: list[str]) -> None:
        """Submit a stop, take these steps, and read the account at the end."""
        desk, held = self.desk, self.held()
        self.engine.refused, desk.events[:] = [], []
        stop = self.submit()
        for step in steps:
            await self.take(step, stop)
        await self._catch_up()
        await self.take("read-late", stop)
        await self._catch_up()
        for task in tuple(desk.client._tasks):
            task.cancel()
        order = desk.cache.order(ClientOrderId(stop.order_id))
        assert self.engine.refused == []
        assert order.status == OrderStatus.FILLED
        assert order.venue_order_id == VenueOrderId(str(stop.actual))
        assert {str(each) for each in order.trade_ids} == {str(stop.part(1)), str(stop.part(2))}
        assert self.held() - held == Decimal("-0.010")
        told = [type(each) for each in desk.events]
        assert told.count(OrderFilled) == 2
        assert told.count(OrderAccepted) <= 1

    def held(self) -> Decimal:
        position = self.desk.cache.position(LONG)
        return Decimal(0) if position is None else position.signed_decimal_qty()


@pytest.fixture(autouse=True)
def _no_order_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each reading decide on the stop, also on one whose last event has just come."""
    monkeypatch.setattr(account_client, "YOUNG_S", 0.0)


@contextmanager
def trader(running: Exchange) -> Iterator[Callable[[list[str]], None]]:
    """Give a function that lets a new stop live through some steps."""

    async def begin() -> Trader:
        made = Trader(running)
        await made.begin()
        return made

    with asyncio.Runner() as runner:
        made = runner.run(begin())
        yield lambda steps: runner.run(made.live_through(steps))
        runner.run(made.end())


@pytest.mark.parametrize(
    "steps",
    [
        list(MESSAGES),
        ["answer", "catch-up", "read-late", "accepted", "triggered", "order", "part", "rest"],
        ["answer", "catch-up", "part", "rest"],
        ["answer", "order", "part", "read", "rest"],
        ["part", "answer", "accepted", "rest", "finished"],
        ["answer", "catch-up", "triggered", "cancel-fails", "part"],
        ["order", "answer", "accepted"],
    ],
)
def test_fills_of_a_triggered_stop_are_booked(start_exchange: Start, steps: list[str]) -> None:
    with trader(start_exchange()) as live_through:
        live_through(steps)


def test_a_stop_whose_trigger_is_the_first_that_is_told_counts_as_accepted(
    start_exchange: Start,
) -> None:
    async def work() -> None:
        made = Trader(start_exchange())
        await made.begin()
        stop = made.submit()
        for step in ("triggered", "catch-up", "answer", "accepted", "catch-up"):
            await made.take(step, stop)
        order = made.desk.cache.order(ClientOrderId(stop.order_id))
        assert order.status == OrderStatus.ACCEPTED
        assert order.venue_order_id == VenueOrderId(str(stop.actual))
        assert made.engine.refused == []
        await made.end()

    asyncio.run(work())


def test_fills_are_booked_once_in_whatever_order_messages_and_readings_come(
    start_exchange: Start,
) -> None:
    """Messages may be lost, come twice, and come before or after what a reading has told."""
    with trader(start_exchange()) as live_through:

        @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.nested_given])
        @given(
            st.one_of(
                st.permutations(STEPS).map(list),
                st.lists(st.sampled_from(STEPS), max_size=16),
            )
        )
        @example(["answer", "read-late"])
        def any_order(steps: list[str]) -> None:
            live_through(steps)

        any_order()
