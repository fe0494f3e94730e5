"""Somebody else closes the grid's positions: no false alarm, no open circuit breaker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.model.enums import OrderSide, TradingState
from nautilus_trader.model.events import OrderAccepted, OrderDenied
from nautilus_trader.model.identifiers import AccountId, ClientOrderId, PositionId, VenueOrderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy, StrategyConfig

from tests.support.made_up_market import (
    BAR_TYPE,
    SECOND_NS,
    START_NS,
    Market,
    answer_instead,
    config,
    feed,
    key,
    make_engine,
    of_kind,
    orders_of,
    refuse,
    warm,
)
from warmup_job.hedge_grid.exit_rules import BookPosition
from warmup_job.hedge_grid.grid_figures import GridFigures
from warmup_job.hedge_grid.strategy import HedgeGridV1

LONG = PositionId("BTCUSDT-PERP.BINANCE-LONG")
GONE = f"Reduce only order would increase position {LONG!r}"
REDUCE_ONLY = "-2022: ReduceOnly Order is rejected."


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


def long_grid(engine: BacktestEngine, **changes: Any) -> HedgeGridV1:
    """Return a grid that buys 0.004 at the second 10; one error opens its circuit breaker."""
    settings = {"grid_levels_short": 0, "grid_levels_long": 1, "max_errors_per_minute": 1}
    strategy = HedgeGridV1(config(**settings | changes))
    warm(strategy)
    engine.add_strategy(strategy)
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(10, "49945")
    feed(engine, market.quote(30, "49960").quote(50, "49960"))
    return strategy


def at(strategy: Strategy, second: float, act: Callable[[], object]) -> None:
    at_ns = START_NS + round(second * SECOND_NS)
    strategy.clock.set_time_alert_ns(f"at {second} {act}", at_ns, lambda _: act())


def sell(strategy: Strategy, quantity: str) -> None:
    order = strategy.order_factory.market(
        BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str(quantity)
    )
    strategy.submit_order(order, position_id=LONG)


def shown(strategy: HedgeGridV1) -> GridFigures:
    figures = strategy.figures()
    assert figures is not None
    return figures


def deny(engine: BacktestEngine, which: Callable[[Any], bool], reason: str) -> list[str]:
    """Nautilus denies these orders; return their ids."""
    denied: list[str] = []

    def answer(command: Any) -> bool:
        order = getattr(command, "order", None)
        if order is None or not which(order):
            return False
        denied.append(order.client_order_id.value)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        engine.kernel.exec_engine.process(OrderDenied(*ids, reason, UUID4(), START_NS))
        return True

    answer_instead(engine, answer)
    return denied


def is_target(order: Any) -> bool:
    return bool(order.client_order_id.value.startswith("T"))


@pytest.mark.parametrize(("reason", "is_open"), [(GONE, False), ("made up", True)])
def test_outside_exits_denied_because_the_position_is_gone_do_not_open_the_breaker(
    engine: BacktestEngine, reason: str, is_open: bool
) -> None:
    strategy = long_grid(engine)
    denied = deny(engine, is_target, reason)
    engine.run()
    assert denied
    assert strategy.breaker.is_open(strategy.clock.timestamp_ns()) is is_open


@pytest.mark.parametrize(("reason", "is_open"), [(REDUCE_ONLY, False), ("-2010: no", True)])
def test_outside_exits_rejected_as_reduce_only_do_not_open_the_breaker(
    engine: BacktestEngine, reason: str, is_open: bool
) -> None:
    strategy = long_grid(engine)
    refuse(engine, strategy, is_target, reason)
    engine.run()
    assert strategy.breaker.is_open(strategy.clock.timestamp_ns()) is is_open


def test_outside_closing_orders_of_a_flatten_do_not_open_the_breaker(
    engine: BacktestEngine,
) -> None:
    """They leave through the strategy, so it receives their rejections."""
    strategy = long_grid(engine)
    refused = ClientOrderId(f"S1-{key('f')}")
    refuse(engine, strategy, lambda order: order.client_order_id == refused, "-4118: no")

    def close() -> None:
        order = strategy.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str("0.004"), reduce_only=True,
            client_order_id=refused,
        )  # fmt: skip
        strategy.submit_order(order, position_id=LONG)

    at(strategy, 20, lambda: strategy.on_operator_state("flattening"))
    at(strategy, 21, close)
    at(strategy, 22, lambda: strategy.on_operator_state("trading"))
    engine.run()
    assert not strategy.breaker.is_open(strategy.clock.timestamp_ns())
    assert shown(strategy).block_reason == ""


@pytest.mark.parametrize(("quantity", "left"), [("0.004", []), ("0.001", ["0.003", "0.003"])])
def test_outside_order_of_another_strategy_changes_the_exits_at_once(
    engine: BacktestEngine, quantity: str, left: list[str]
) -> None:
    """The grid hears nothing of that order, but of the position."""
    strategy = long_grid(engine)
    other = Strategy(StrategyConfig(order_id_tag="002"))
    engine.add_strategy(other)
    open_exits: list[str] = []
    at(strategy, 20, lambda: sell(other, quantity))
    at(strategy, 21, lambda: open_exits.extend(
        str(each.leaves_qty) for each in orders_of(engine) if each.is_open and each.is_reduce_only
    ))  # fmt: skip
    engine.run()
    assert open_exits == left
    assert not strategy.breaker.is_open(strategy.clock.timestamp_ns())


def test_outside_denied_exit_takes_over_a_position_that_is_gone(engine: BacktestEngine) -> None:
    """No event told of the change, so the denial is the first sign."""
    strategy = long_grid(engine)
    lots: list[int] = []

    def lose_the_position() -> None:
        nothing = BookPosition(D(0), D(0))
        strategy._orders.account.position = lambda book: nothing  # type: ignore[method-assign]
        (target,) = [each for each in of_kind(orders_of(engine), "T") if each.is_open]
        ids = (target.trader_id, strategy.id, target.instrument_id, target.client_order_id)
        strategy.on_order_event(OrderDenied(*ids, GONE, UUID4(), START_NS))
        lots.append(len(strategy._orders.exits.lots))

    at(strategy, 20, lose_the_position)
    engine.run()
    assert lots == [0]
    assert not [each for each in orders_of(engine) if each.is_open and each.is_reduce_only]


# -- exits that this run has not sent --------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "kind", "of_a_lot", "stops", "cancelled"),
    [
        (5, "S9", False, 0, True),  # on its way when the run before was killed; its lot is gone
        (12, "S9", True, 1, False),
        (12, "T9", True, 1, False),
        (12, "S9", False, 1, False),
    ],
)
def test_outside_exits_of_a_copy_of_this_trader_are_not_fought_over(
    engine: BacktestEngine, second: int, kind: str, of_a_lot: bool, stops: int, cancelled: bool
) -> None:
    """Before, each trader undid at once what the other one did, three orders a second."""
    strategy = long_grid(engine)
    cancels: list[str] = []

    def keep_cancels(command: Any) -> bool:
        if isinstance(command, CancelOrder):
            cancels.append(command.client_order_id.value)
        return isinstance(command, CancelOrder)

    answer_instead(engine, keep_cancels)
    shown: list[tuple[int, bool]] = []
    foreign = f"{kind}-20231114-221300-copy-x-7"

    def accept() -> None:
        lots = strategy._orders.exits.lots
        order_id = f"{kind}-{lots[0].key}" if of_a_lot else foreign
        order = strategy.order_factory.limit(
            BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str("0.004"),
            strategy.cache.instrument(BAR_TYPE.instrument_id).make_price(50_100),
            reduce_only=True, client_order_id=ClientOrderId(order_id),
        )  # fmt: skip
        strategy.cache.add_order(order, LONG)
        ids = (order.trader_id, strategy.id, order.instrument_id, order.client_order_id)
        now_ns = strategy.clock.timestamp_ns()
        event = OrderAccepted(
            *ids, VenueOrderId(order_id), AccountId("BINANCE-001"), UUID4(), now_ns, now_ns
        )
        engine.kernel.exec_engine.process(event)
        shown.append((sum(len(each.stops) for each in lots), order_id in cancels))

    at(strategy, second, accept)
    engine.run()
    assert shown == [(stops, cancelled)]


# -- the circuit breaker is shown ------------------------------------------------------------------


def test_outside_open_breaker_shows_until_when(engine: BacktestEngine) -> None:
    strategy = long_grid(engine, circuit_breaker_cooldown_seconds=90)

    def fail() -> None:
        strategy._events.count_error()

    at(strategy, 20, fail)
    engine.run()
    figures = shown(strategy)
    assert figures.block_kind == "circuit_breaker"
    # 2023-11-14T22:14:00Z, and 20 + 90 s
    assert figures.block_reason == "too many order errors: circuit breaker until 22:15:50 UTC"


def test_outside_entries_that_may_be_sent_have_no_block(engine: BacktestEngine) -> None:
    strategy = long_grid(engine)
    engine.run()
    assert (shown(strategy).block_kind, shown(strategy).block_reason) == ("", "")


# -- live again ------------------------------------------------------------------------------------


def test_outside_recovery_sends_the_ladder_with_the_first_quote(engine: BacktestEngine) -> None:
    """The next bar can be most of a minute away."""
    strategy = HedgeGridV1(config())
    warm(strategy)
    engine.add_strategy(strategy)
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    feed(engine, market.quote(30, "50010").quote(31, "50010"))

    def state(value: TradingState) -> None:
        strategy._on_risk_event(type("Event", (), {"state": value})())
        if value == TradingState.HALTED:
            strategy._orders.entries.cancel_all()  # the policy on_gap

    at(strategy, 10, lambda: state(TradingState.HALTED))
    at(strategy, 20, lambda: state(TradingState.ACTIVE))
    engine.run()
    sent = sorted(order.init_event.ts_init for order in orders_of(engine))
    assert [(each - START_NS) / SECOND_NS for each in sent[6:]] == [30] * 6
    assert len([order for order in orders_of(engine) if order.is_open]) == 6
