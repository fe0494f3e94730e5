"""An operator pauses and flattens a strategy that knows nothing of operators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.enums import OrderSide, OrderStatus, OrderType
from nautilus_trader.trading.strategy import Strategy

from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.paper_node import BAR_TYPE, MINUTE, run_until
from warmup_job.config import load
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.paper_runner import PaperRunner
from warmup_job.handoff.trading_policy import TradingPolicy
from warmup_job.plan.resolve import resolve
from warmup_job.plan.venue_client import open_client
from warmup_job.trader.build_runner import node_settings

pytestmark = pytest.mark.e2e


class PlainConfig(StrategyConfig, frozen=True):  # type: ignore[call-arg]
    """Nothing to set."""


class Plain(Strategy):
    """Buys once, with a stop loss and a take profit, and keeps a limit order below the market."""

    def __init__(self) -> None:
        super().__init__(PlainConfig(oms_type="HEDGING"))
        self.orders: dict[str, Any] = {}

    def on_start(self) -> None:
        self.subscribe_bars(BAR_TYPE)
        self.subscribe_quote_ticks(BAR_TYPE.instrument_id)

    def on_historical_data(self, data: Any) -> None:
        """It needs none, but takes it."""

    def on_quote_tick(self, tick: Any) -> None:
        if self.states("market") <= {OrderStatus.DENIED}:  # it is not live yet
            self.orders["market"] = self.order_factory.market(
                BAR_TYPE.instrument_id, OrderSide.BUY, self.size()
            )
            self.submit_order(self.orders["market"])

    def on_position_opened(self, event: Any) -> None:
        instrument, price = self.cache.instrument(BAR_TYPE.instrument_id), float(event.avg_px_open)
        entry = self.entry(instrument.make_price(price * 0.9))
        stop = self.order_factory.stop_market(
            BAR_TYPE.instrument_id, OrderSide.SELL, self.size(),
            instrument.make_price(price * 0.8), reduce_only=True,
        )  # fmt: skip
        target = self.order_factory.limit(
            BAR_TYPE.instrument_id, OrderSide.SELL, self.size(),
            instrument.make_price(price * 1.2), reduce_only=True,
        )  # fmt: skip
        self.orders |= {"entry": entry, "stop": stop, "target": target}
        self.submit_order(entry)
        self.submit_order(stop, position_id=event.position_id)
        self.submit_order(target, position_id=event.position_id)

    def entry(self, price: Any) -> Any:
        return self.order_factory.limit(BAR_TYPE.instrument_id, OrderSide.BUY, self.size(), price)

    def size(self) -> Any:
        return self.cache.instrument(BAR_TYPE.instrument_id).make_qty("0.01")

    def states(self, *names: str) -> set[OrderStatus]:
        return {self.orders[name].status for name in names if name in self.orders}


def test_pause_and_flatten_need_nothing_of_the_strategy(
    start_exchange: Callable[..., Exchange],
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=1)
    plan = resolve(load("configs/demo.yaml", environ=running.env()))
    operator, strategy = OperatorControl(), Plain()
    steps: list[str] = []

    def script() -> bool:
        """Go through the steps; each begins when the one before has shown its effect."""
        state = {name: each.status for name, each in strategy.orders.items()}
        if not steps and strategy.states("entry", "stop", "target") == {OrderStatus.ACCEPTED}:
            steps.append("paused")
            operator.set("paused")
        elif len(steps) == 1 and state["entry"] == OrderStatus.CANCELED:
            assert strategy.states("stop", "target") == {OrderStatus.ACCEPTED}
            assert strategy.cache.positions_open()
            late = strategy.orders["late"] = strategy.entry(strategy.orders["entry"].price)
            strategy.submit_order(late)
            steps.append("a late entry")
        elif len(steps) == 2 and strategy.states("late") == {OrderStatus.DENIED}:
            steps.append("flattening")
            operator.set("flattening")
        return len(steps) == 3 and operator.state == "paused"

    async def scenario() -> None:
        async with open_client(plan.venue, plan.deadline_ms) as client:
            await client.sync_clock()
            history = History(BAR_TYPE, MINUTE, [], wanted=20)
            policy = TradingPolicy(operator=operator)
            runner = PaperRunner(node_settings(plan), [strategy], [history], client, policy)
            await run_until(runner, script)

    asyncio.run(scenario())
    assert not strategy.cache.positions_open()
    assert strategy.states("stop", "target") == {OrderStatus.CANCELED}
    markets = [
        (each.side, each.status)
        for each in strategy.cache.orders()
        if each.order_type == OrderType.MARKET and each.status != OrderStatus.DENIED
    ]
    assert sorted(markets) == [
        (OrderSide.BUY, OrderStatus.FILLED), (OrderSide.SELL, OrderStatus.FILLED),
    ]  # fmt: skip
