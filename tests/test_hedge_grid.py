"""HedgeGridV1 on made-up prices: exact orders, exits and cancels, in Nautilus' own engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.model.enums import OrderSide, OrderStatus, OrderType, TradingState
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderDenied,
    OrderExpired,
    OrderPendingCancel,
)
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.objects import Quantity

from tests.support.made_up_market import (
    BAR_TYPE,
    SECOND_NS,
    START_NS,
    Market,
    answer_instead,
    config,
    deny_exits,
    feed,
    make_engine,
    of_kind,
    orders_of,
    price_of,
    refuse,
    refuse_cancels,
    refuse_small_exits,
    run,
    summarised,
    warm,
)
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.regime.detector import DetectorBar, Regime

OPEN, DONE, GONE = OrderStatus.ACCEPTED, OrderStatus.FILLED, OrderStatus.CANCELED
REFUSED = OrderStatus.REJECTED
LOOK_NS = START_NS + 61 * SECOND_NS
"""First check of the account: balance_check_interval_seconds after the first market data."""
LADDER = [
    ("BUY", "49950.00", "0.004"), ("SELL", "50050.00", "0.004"),
    ("BUY", "49900.00", "0.004"), ("SELL", "50100.10", "0.004"),
    ("BUY", "49850.10", "0.004"), ("SELL", "50150.20", "0.004"),
]  # fmt: skip


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


def warmed(**changes: Any) -> HedgeGridV1:
    strategy = HedgeGridV1(config(**changes))
    warm(strategy)
    return strategy


def long_only(**changes: Any) -> HedgeGridV1:
    return warmed(**{"grid_levels_short": 0} | changes)


def begun() -> Market:
    return Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")


def states(orders: list[Any]) -> list[OrderStatus]:
    return [order.status for order in orders]


def held(engine: BacktestEngine) -> dict[str, str]:
    return {str(each.id)[-5:].strip("-"): str(each.quantity) for each in
            engine.cache.positions_open()}  # fmt: skip


# -- the ladder ------------------------------------------------------------------------------------


def test_hedge_grid_warm_strategy_sends_its_ladder_on_the_first_bar(engine: BacktestEngine) -> None:
    orders = run(engine, warmed(), begun())
    assert summarised(orders) == LADDER
    assert all(order.is_post_only and not order.is_reduce_only for order in orders)
    assert set(states(orders)) == {OPEN}


def test_hedge_grid_cold_strategy_sends_nothing(engine: BacktestEngine) -> None:
    market = Market().quote(1, "50000").bar(2, "50000").bar(62, "50010").quote(70, "49000")
    assert run(engine, HedgeGridV1(config()), market) == []


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_hedge_grid_sends_entries_only_while_trading_is_active(
    engine: BacktestEngine, state: TradingState
) -> None:
    strategy = warmed()
    strategy._on_risk_event(type("Event", (), {"state": state})())
    assert run(engine, strategy, begun()) == []


def test_hedge_grid_trend_thins_the_opposite_side(engine: BacktestEngine) -> None:
    strategy = HedgeGridV1(config(base_qty=D("0.008")))
    rising = [40_000.0 + 250 * each for each in range(41)]
    strategy.warmup_regime_detector(
        [DetectorBar(each, each + 10, each - 10, each, 1.0) for each in rising]
    )
    assert strategy.detector.regime is Regime.UP
    orders = run(engine, strategy, begun())
    assert [order[::2] for order in summarised(orders)] == [
        ("BUY", "0.008"), ("SELL", "0.004"), ("BUY", "0.008"), ("SELL", "0.004"), ("BUY", "0.008"),
    ]  # fmt: skip


def test_hedge_grid_unchanged_ladder_sends_nothing(engine: BacktestEngine) -> None:
    market = Market().quote(1, "50000")
    for minute in range(5):
        market.bar(2 + 60 * minute, "50000").quote(3 + 60 * minute, "50003")
    assert summarised(run(engine, warmed(), market)) == LADDER


def test_hedge_grid_ladder_follows_a_rising_market_without_a_gap_of_a_bar(
    engine: BacktestEngine,
) -> None:
    market = begun().quote(50, "51000").bar(62, "51000").quote(63, "51000")
    orders = run(engine, long_only(), market)
    assert summarised(orders[:3]) == LADDER[::2]
    assert summarised(orders[3:]) == [
        ("BUY", "50949.00", "0.004"), ("BUY", "50898.00", "0.004"), ("BUY", "50847.10", "0.004"),
    ]  # fmt: skip
    assert states(orders[:3]) == [GONE] * 3
    assert orders[0].ts_last < START_NS + 63 * SECOND_NS


def test_hedge_grid_ladder_follows_a_falling_market(engine: BacktestEngine) -> None:
    market = begun().quote(50, "49000").bar(62, "49000").quote(63, "49000")
    orders = run(engine, warmed(grid_levels_long=0), market)
    assert summarised(orders[3:]) == [
        ("SELL", "49049.00", "0.004"), ("SELL", "49098.10", "0.004"), ("SELL", "49147.20", "0.004"),
    ]  # fmt: skip


def test_hedge_grid_without_maker_only_no_order_is_post_only(engine: BacktestEngine) -> None:
    orders = run(engine, long_only(maker_only=False), begun().quote(10, "49945").quote(11, "49960"))
    assert [order.client_order_id.value[0] for order in orders] == ["E", "E", "E", "S", "T"]
    assert not any(order.is_post_only for order in orders if order.order_type == OrderType.LIMIT)


def test_hedge_grid_ladder_is_complete_when_the_market_returns_before_the_cancels() -> None:
    """An order whose cancel is pending serves no rung any more."""
    engine = make_engine(latency_model=LatencyModel(base_latency_nanos=SECOND_NS))
    market = begun().quote(50, "51000").bar(62, "51000").quote(62.3, "50000").bar(62.5, "50000")
    for second in (65, 66, 70, 75):
        market.quote(second, "50000")
    try:
        orders = run(engine, long_only(), market)
        assert summarised([order for order in orders if order.status == OPEN]) == LADDER[::2]
    finally:
        engine.dispose()


def test_hedge_grid_ladder_moved_by_one_step_keeps_the_common_rungs(
    engine: BacktestEngine,
) -> None:
    """One step up: the lowest rung is cancelled, a new one is added on top, and two stay."""
    market = begun().quote(50, "50050").bar(62, "50050").quote(63, "50050")
    orders = run(engine, long_only(recenter_trigger_bps=5.0), market)
    assert summarised(orders) == [*LADDER[::2], ("BUY", "49999.90", "0.004")]
    assert states(orders) == [OPEN, OPEN, GONE, OPEN]


@pytest.mark.parametrize(("tolerance", "sent"), [(1, 3), (20, 0)])
def test_hedge_grid_keeps_orders_within_the_price_tolerance(
    engine: BacktestEngine, tolerance: int, sent: int
) -> None:
    strategy = long_only(recenter_trigger_bps=1.0, order_diff_price_tolerance_bps=D(tolerance))
    orders = run(engine, strategy, begun().quote(50, "50020").bar(62, "50020"))
    assert len(orders) == 3 + sent


# -- exits -----------------------------------------------------------------------------------------


def test_hedge_grid_filled_rung_gets_exits_and_is_refilled_after_they_close_it(
    engine: BacktestEngine,
) -> None:
    market = (
        begun()
        .quote(10, "49890")          # fills the first two LONG rungs
        .bar(62, "49890")            # the filled ones are not sent again
        .quote(70, "49960")          # closes the lower one: 49900 · 1.001
        .bar(122, "49960")           # now that one is sent again
        .quote(130, "49960")
    )  # fmt: skip
    orders = run(engine, warmed(), market)
    assert summarised(orders)[:6] == LADDER
    stops, targets = of_kind(orders, "S"), of_kind(orders, "T")
    assert summarised(targets) == [("SELL", "50000.00", "0.004"), ("SELL", "49949.90", "0.004")]
    assert summarised(stops) == [("SELL", "48473.00", "0.004"), ("SELL", "48424.50", "0.004")]
    assert states(targets) == [OPEN, DONE]
    assert states(stops) == [OPEN, GONE]
    assert all(order.is_reduce_only for order in [*stops, *targets])
    assert all(order.is_post_only for order in targets)
    assert [order.order_type for order in stops] == [OrderType.STOP_MARKET] * 2
    assert summarised(of_kind(orders, "E")[6:]) == [("BUY", "49900.00", "0.004")]
    (position,) = engine.cache.positions_open()
    assert (str(position.id), str(position.quantity)) == ("BTCUSDT-PERP.BINANCE-LONG", "0.004")


def test_hedge_grid_short_rungs_close_below_their_entry(engine: BacktestEngine) -> None:
    orders = run(engine, warmed(), begun().quote(10, "50060").quote(20, "49990"))
    (stop,), (target,) = of_kind(orders, "S"), of_kind(orders, "T")
    assert summarised([stop, target]) == [
        ("BUY", "51573.50", "0.004"),
        ("BUY", "49999.90", "0.004"),
    ]
    assert states([stop, target]) == [GONE, DONE]
    assert engine.cache.positions_open() == []


def test_hedge_grid_stop_loss_closes_the_rung_and_cancels_its_target(
    engine: BacktestEngine,
) -> None:
    market = begun().quote(10, "49945").quote(20, "49840").quote(30, "49840")
    orders = run(engine, long_only(grid_levels_long=1, sl_steps=2), market)
    entry, stop, target = orders
    assert summarised([stop]) == [("SELL", "49850.10", "0.004")]
    assert states([entry, stop, target]) == [DONE, DONE, GONE]
    assert engine.cache.positions_open() == []


def filled_in_two() -> Market:
    return (
        begun().quote(10, "49949.95", size="0.008").quote(11, "49960")
        .quote(20, "49949.95", size="0.020").quote(21, "49960")
    )  # fmt: skip


def test_hedge_grid_partial_fill_gets_a_stop_for_the_difference_at_once(
    engine: BacktestEngine,
) -> None:
    orders = run(engine, long_only(grid_levels_long=1, base_qty=D("0.020")), filled_in_two())
    stops, targets = of_kind(orders, "S"), of_kind(orders, "T")
    assert [str(order.quantity) for order in stops] == ["0.008", "0.012"]
    assert states(stops) == [OPEN, OPEN]
    assert [str(order.quantity) for order in targets] == ["0.008", "0.020"]
    assert states(targets) == [GONE, OPEN]


def test_hedge_grid_several_stops_of_a_lot_become_one_with_the_next_check(
    engine: BacktestEngine,
) -> None:
    """The new one is sent first, so that the lot is never without a stop."""
    market = filled_in_two().quote(61.5, "49960").bar(62, "49960").quote(63, "49960")
    orders = run(engine, long_only(grid_levels_long=1, base_qty=D("0.020")), market)
    stops = of_kind(orders, "S")
    assert [str(order.quantity) for order in stops] == ["0.008", "0.012", "0.020"]
    assert states(stops) == [GONE, GONE, OPEN]
    assert {order.ts_last for order in stops} == {LOOK_NS}


def test_hedge_grid_stop_of_another_size_is_cancelled_when_the_new_one_is_confirmed() -> None:
    """Orders take a second to reach the exchange; a cancel sent earlier would leave a gap."""
    engine = make_engine(latency_model=LatencyModel(base_latency_nanos=SECOND_NS))
    market = begun().quote(5, "49945").quote(8, "49960").quote(10, "49960")
    market.quote(15, "50000.05", size="0.012").quote(16, "49960")
    for second in range(17, 22):
        market.quote(second, "49960")
    try:
        orders = run(engine, long_only(grid_levels_long=1, base_qty=D("0.020")), market)
        before, after = of_kind(orders, "S")
        (accepted,) = [e for e in after.events if isinstance(e, OrderAccepted)]
        (asked,) = [e for e in before.events if isinstance(e, OrderPendingCancel)]
        assert (before.status, after.status, str(after.quantity)) == (GONE, OPEN, "0.008")
        assert asked.ts_event == accepted.ts_event > after.init_event.ts_init
    finally:
        engine.dispose()


def test_hedge_grid_partly_filled_target_shrinks_the_stop(engine: BacktestEngine) -> None:
    market = begun().quote(10, "49945").quote(20, "50000.05", size="0.012").quote(21, "49960")
    orders = run(engine, long_only(grid_levels_long=1, base_qty=D("0.020")), market)
    (target,) = of_kind(orders, "T")
    assert str(target.leaves_qty) == "0.008"
    assert [str(order.quantity) for order in of_kind(orders, "S")] == ["0.020", "0.008"]
    assert states(of_kind(orders, "S")) == [GONE, OPEN]
    assert held(engine) == {"LONG": "0.008"}


def test_hedge_grid_partial_fill_of_any_size_gets_exits(engine: BacktestEngine) -> None:
    """The exit is worth 50 and an entry needs 100: the exchange accepts closing orders."""
    market = begun().quote(10, "49949.95", size="0.001").quote(11, "49960")
    orders = run(engine, long_only(grid_levels_long=1), market)
    exits = [order for order in orders if order.is_reduce_only]
    assert [(str(order.quantity), order.status) for order in exits] == [("0.001", OPEN)] * 2


def test_hedge_grid_rest_of_a_target_of_any_size_keeps_a_stop(engine: BacktestEngine) -> None:
    market = begun().quote(10, "49940").quote(20, "50000.05", size="0.003").quote(21, "49960")
    stops = of_kind(run(engine, long_only(grid_levels_long=1), market), "S")
    assert [(str(order.quantity), order.status) for order in stops] == [
        ("0.004", GONE), ("0.001", OPEN),
    ]  # fmt: skip


def run_where_small_exits_are_refused(
    engine: BacktestEngine, strategy: HedgeGridV1, market: Market
) -> list[Any]:
    """Return all orders except the refused ones, of which there must be some."""
    engine.add_strategy(strategy)
    feed(engine, market)
    strategy.clock.set_time_alert_ns(
        "refuse", START_NS + SECOND_NS, lambda _: refuse_small_exits(engine, strategy)
    )
    engine.run()
    orders = orders_of(engine)
    refused = [order for order in orders if order.status == REFUSED]
    assert refused
    assert len(refused) <= 3, "once it is known, nothing is asked for in vain"
    return [order for order in orders if order not in refused]


def test_hedge_grid_part_below_the_minimum_waits_for_more(engine: BacktestEngine) -> None:
    """0.001 at 49,950 is below the minimum notional of 100: any exit of it would be refused."""
    market = begun().quote(10, "49949.95", size="0.001").quote(20, "49949.95").quote(21, "49960")
    entry, *exits = run_where_small_exits_are_refused(engine, long_only(grid_levels_long=1), market)
    assert [str(fill.last_qty) for fill in entry.events[-2:]] == ["0.001", "0.003"]
    assert [str(order.quantity) for order in exits] == ["0.004", "0.004"]
    assert {order.init_event.ts_init for order in exits} == {START_NS + 20 * SECOND_NS}


def test_hedge_grid_rest_below_the_minimum_joins_the_next_lot(engine: BacktestEngine) -> None:
    """The first rung is filled with 0.001 and cancelled as the ladder moves on."""
    market = (
        begun().quote(10, "49949.95", size="0.001").quote(50, "50150").bar(62, "50150")
        .quote(70, "50090").quote(71, "50110")
    )  # fmt: skip
    strategy = long_only(grid_levels_long=1, recenter_trigger_bps=5.0)
    orders = run_where_small_exits_are_refused(engine, strategy, market)
    assert [str(order.filled_qty) for order in of_kind(orders, "E")] == ["0.001", "0.004"]
    working = [order for order in orders if order.status == OPEN]
    assert [str(order.quantity) for order in working if order.is_reduce_only] == ["0.005"] * 2
    assert held(engine) == {"LONG": "0.005"}


def test_hedge_grid_part_below_the_minimum_joins_no_lot_while_more_may_fill(
    engine: BacktestEngine,
) -> None:
    market = (
        begun().quote(10, "49940").quote(20, "49899.95", size="0.001").quote(21, "49910")
        .quote(30, "49899.95", size="0.003").quote(31, "49910")
    )  # fmt: skip
    orders = run_where_small_exits_are_refused(engine, long_only(grid_levels_long=2), market)
    exits = [order for order in orders if order.is_reduce_only]
    assert [(str(order.quantity), order.status) for order in exits] == [("0.004", OPEN)] * 4


def two_filled_and_the_lower_ones_target_in_part() -> Market:
    """Two LONG rungs of 0.004; of the lower one 0.001 remains, too little for a stop."""
    market = begun().quote(10, "49890").quote(20, "49950.00", size="0.003")
    return market.quote(21, "49910").quote(22, "49910").quote(23, "49910")


def test_hedge_grid_rest_too_small_for_a_stop_joins_the_next_lot_at_once(
    engine: BacktestEngine,
) -> None:
    orders = run_where_small_exits_are_refused(
        engine, long_only(grid_levels_long=2), two_filled_and_the_lower_ones_target_in_part()
    )
    lower = [order for order in orders if "-001-000-2" in order.client_order_id.value[-10:]]
    assert states(lower) == [DONE, GONE, GONE]
    working = [order for order in orders if order.status == OPEN]
    # From (0.004 at 49,950 and 0.001 at 49,900) at 49,940.
    assert summarised(working) == [("SELL", "48463.30", "0.005"), ("SELL", "49990.00", "0.005")]
    assert held(engine) == {"LONG": "0.005"}


def test_hedge_grid_rest_joins_the_next_lot_as_soon_as_its_stop_is_cancelled(
    engine: BacktestEngine,
) -> None:
    """Before, it waited for the next check of the account if this cancel was the later one."""
    strategy = long_only(grid_levels_long=2)
    engine.add_strategy(strategy)
    feed(engine, two_filled_and_the_lower_ones_target_in_part().quote(40, "49910"))
    late: list[Any] = []

    def delay_stop_cancel(command: Any) -> bool:
        order = getattr(command, "order", None)
        if order is not None and order.is_reduce_only and order.quantity.as_decimal() < D("0.002"):
            ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
            engine.kernel.exec_engine.process(OrderDenied(*ids, "-4164", UUID4(), 0))
            return True
        if not isinstance(command, CancelOrder) or late:
            return False
        order = engine.cache.order(command.client_order_id)
        if order.order_type == OrderType.STOP_MARKET:
            late.append(command)
        return bool(late)

    def answer(_: Any) -> None:
        engine.kernel.exec_engine.execute(late[0])

    answer_instead(engine, delay_stop_cancel)
    strategy.clock.set_time_alert_ns("answer", START_NS + 30 * SECOND_NS, answer)
    engine.run()
    working = [order for order in orders_of(engine) if order.status == OPEN]
    assert summarised(working) == [("SELL", "48463.30", "0.005"), ("SELL", "49990.00", "0.005")]
    assert {order.init_event.ts_init for order in working} == {START_NS + 30 * SECOND_NS}


def test_hedge_grid_two_lots_below_the_minimum_keep_the_open_target(
    engine: BacktestEngine,
) -> None:
    market = (
        begun().quote(10, "49940").quote(20, "50000.05", size="0.003").quote(21, "49960")
        .quote(30, "49899.95", size="0.001").quote(31, "49910").quote(32, "49910")
    )  # fmt: skip
    orders = run_where_small_exits_are_refused(engine, long_only(grid_levels_long=2), market)
    (target,) = of_kind(orders, "T")
    assert (target.is_open, str(target.leaves_qty)) == (True, "0.001")
    assert held(engine) == {"LONG": "0.002"}


def test_hedge_grid_rest_of_the_only_lot_keeps_its_target_and_joins_the_next_fill(
    engine: BacktestEngine,
) -> None:
    market = (
        begun().quote(10, "49940").quote(20, "50000.05", size="0.003").quote(21, "49960")
        .bar(62, "49960").quote(80, "49890").quote(81, "49905")
    )  # fmt: skip
    orders = run_where_small_exits_are_refused(engine, long_only(grid_levels_long=2), market)
    stop, target, *exits = [order for order in orders if order.is_reduce_only]
    assert [str(order.filled_qty) for order in (stop, target)] == ["0.000", "0.003"]
    assert states([stop, target]) == [GONE, GONE]
    assert [(each.ts_last - START_NS) // SECOND_NS for each in (stop, target)] == [20, 80]
    working = [order for order in exits if order.status == OPEN]
    assert [str(order.quantity) for order in working] == ["0.005", "0.005"]
    assert held(engine) == {"LONG": "0.005"}


def test_hedge_grid_passed_stop_is_sent_as_a_market_order(engine: BacktestEngine) -> None:
    """The price passes the stop while exits are denied: the lot closes as soon as they are not."""
    strategy = long_only(grid_levels_long=1, sl_steps=2)
    engine.add_strategy(strategy)
    market = begun().quote(10, "49945").quote(15, "49700").bar(62, "49700").quote(63, "49700")
    feed(engine, market)
    deny_exits(engine, until_s=20)
    engine.run()
    closing = [order for order in engine.cache.orders() if order.is_reduce_only]
    assert REFUSED not in states(closing)
    assert [order.order_type for order in closing if order.status == DONE] == [OrderType.MARKET]
    assert engine.cache.positions_open() == []


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_hedge_grid_exits_leave_in_every_trading_state(
    engine: BacktestEngine, state: TradingState
) -> None:
    """An entry that is filled during a gap in the bars must not stay without a stop."""
    strategy = long_only(grid_levels_long=1)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").bar(62, "49960").quote(63, "49960"))
    event = type("Event", (), {"state": state})()
    at_ns = START_NS + 5 * SECOND_NS
    strategy.clock.set_time_alert_ns("state", at_ns, lambda _: strategy._on_risk_event(event))
    engine.run()
    exits = [order for order in orders_of(engine) if order.is_reduce_only]
    assert [order.status for order in exits] == [OPEN, OPEN]
    assert {order.init_event.ts_init for order in exits} == {START_NS + 10 * SECOND_NS}
    assert len(orders_of(engine)) == 3, "and no entry"


def test_hedge_grid_exits_ignore_prices_from_before_a_halt(engine: BacktestEngine) -> None:
    """The last price seems to be beyond the stop; only the exchange knows the present one."""
    strategy = long_only(grid_levels_long=1, sl_steps=2)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(20, "49960").quote(40, "49960"))
    halted = type("Event", (), {"state": TradingState.HALTED})()

    def halt(_: Any) -> None:
        strategy._prices.quote(D(49700), D(49701))
        strategy._on_risk_event(halted)

    strategy.clock.set_time_alert_ns("halt", START_NS + 5 * SECOND_NS, halt)
    engine.run()
    assert [price_of(order) for order in of_kind(orders_of(engine), "S")] == ["49850.10"]
    assert held(engine) == {"LONG": "0.004"}


def test_hedge_grid_passed_target_is_sent_on_the_makers_side(
    engine: BacktestEngine,
) -> None:
    """The market has already passed the target: a post-only exit there would be rejected."""
    strategy = long_only(grid_levels_long=1)
    market = begun().quote(10, "49940").quote(10.001, "51000").bar(62, "51000").quote(63, "51100")
    orders = run(engine, strategy, market)
    assert orders[0].status == DONE
    assert any(order.status == DONE for order in of_kind(orders, "T"))
    assert engine.cache.positions_open() == []


def test_hedge_grid_stop_refused_as_passed_is_replaced_by_a_market_order() -> None:
    """The stop takes a second to reach the exchange, and the market passes it in that time."""
    engine = make_engine(latency_model=LatencyModel(base_latency_nanos=SECOND_NS))
    market = begun().quote(5, "49945").quote(5.5, "49700")
    for second in (8, 14, 20):
        market.quote(second, "49700")
    try:
        orders = run(engine, long_only(grid_levels_long=1, sl_steps=2), market)
        entry, stop, target, again = orders
        assert states([entry, stop, target, again]) == [DONE, REFUSED, GONE, DONE]
        assert summarised([stop, again]) == [
            ("SELL", "49850.10", "0.004"),
            ("SELL", "market", "0.004"),
        ]
        assert again.init_event.ts_init == stop.ts_last
        assert engine.cache.positions_open() == []
    finally:
        engine.dispose()


def test_hedge_grid_sends_nothing_after_its_stop() -> None:
    """The ladder was waiting for its cancels to make room."""
    engine = make_engine(latency_model=LatencyModel(base_latency_nanos=SECOND_NS))
    strategy = long_only(max_inventory_quote=D(650))
    engine.add_strategy(strategy)
    feed(engine, begun().quote(50, "51000").bar(62, "51000").quote(65, "51000").quote(70, "51000"))
    at_ns = START_NS + 62 * SECOND_NS + 1
    strategy.clock.set_time_alert_ns("end", at_ns, lambda _: strategy.stop())
    try:
        engine.run()
        assert states(orders_of(engine)) == [GONE] * 3
    finally:
        engine.dispose()


@pytest.mark.parametrize("reason", ["-2021: Order would immediately trigger.", "in the market"])
def test_hedge_grid_stop_that_only_the_exchange_knows_as_passed_is_a_market_order(
    engine: BacktestEngine, reason: str
) -> None:
    strategy = long_only(grid_levels_long=1)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(11, "49945").quote(12, "49945"))
    refuse(engine, strategy, lambda order: order.order_type == OrderType.STOP_MARKET, reason)
    engine.run()
    stops = of_kind(orders_of(engine), "S")
    assert [(price_of(order), order.status) for order in stops] == [
        ("48473.00", REFUSED), ("market", DONE),
    ]  # fmt: skip
    assert engine.cache.positions_open() == []


@pytest.mark.parametrize(("retries", "after_ms"), [(True, [0, 101, 202]), (False, [0])])
def test_hedge_grid_refused_target_is_retried_and_then_with_the_next_bar(
    engine: BacktestEngine, retries: bool, after_ms: list[int]
) -> None:
    strategy = long_only(
        grid_levels_long=1, retry_attempts=2, retry_delay_ms=100, use_post_only_retries=retries
    )
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").bar(62, "49960").quote(63, "49960"))
    refuse(
        engine, strategy, lambda order: order.client_order_id.value[0] == "T", "would take",
        due_post_only=True,
    )  # fmt: skip
    engine.run()
    ms = [
        (each.init_event.ts_init - START_NS) // 1_000_000
        for each in of_kind(orders_of(engine), "T")
    ]
    assert [each % 1000 for each in ms] == after_ms * 3
    assert [each // 1000 for each in ms[:: len(after_ms)]] == [10, 61, 62], (
        "the fill, the look, the bar"
    )


def test_hedge_grid_ignores_quotes_from_before_a_halt(engine: BacktestEngine) -> None:
    """No quote has arrived since, so the ladder follows the newest close."""
    strategy = long_only()
    engine.add_strategy(strategy)
    feed(engine, begun().bar(62, "51000"))
    for second, state in ((5, TradingState.HALTED), (40, TradingState.ACTIVE)):
        at_ns, event = START_NS + second * SECOND_NS, type("Event", (), {"state": state})()
        strategy.clock.set_time_alert_ns(
            state.name, at_ns, lambda _, e=event: strategy._on_risk_event(e)
        )
    engine.run()
    assert summarised(orders_of(engine))[3] == ("BUY", "50949.00", "0.004")


@pytest.mark.parametrize(("by_hand", "left"), [("0.008", None), ("0.004", "0.004")])
def test_hedge_grid_manually_closed_position_cancels_its_exits(
    engine: BacktestEngine, by_hand: str, left: str | None
) -> None:
    strategy = long_only(grid_levels_long=1, base_qty=D("0.008"))
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").bar(62, "49960").quote(63, "49960"))

    def close(_: Any) -> None:
        order = strategy.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str(by_hand)
        )
        strategy.submit_order(order, position_id=PositionId("BTCUSDT-PERP.BINANCE-LONG"))

    strategy.clock.set_time_alert_ns("by hand", START_NS + 20 * SECOND_NS, close)
    engine.run()
    exits = [order for order in orders_of(engine) if order.is_reduce_only]
    working = [str(order.quantity) for order in exits if order.status == OPEN]
    assert working == ([] if left is None else [left] * 2)
    assert held(engine) == ({} if left is None else {"LONG": left})


def test_hedge_grid_exit_sent_again_after_a_takeover_has_a_new_id(
    engine: BacktestEngine,
) -> None:
    """Another party cancels the target and buys: only S1 identifies the lot, and T2 is used up."""
    strategy = long_only(grid_levels_long=1, base_qty=D("0.008"))
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").bar(62, "49960").quote(63, "49960"))

    def interfere(_: Any) -> None:
        (target,) = of_kind(orders_of(engine), "T")
        strategy.cancel_order(target)
        order = strategy.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.BUY, Quantity.from_str("0.004")
        )
        strategy.submit_order(order, position_id=PositionId("BTCUSDT-PERP.BINANCE-LONG"))

    strategy.clock.set_time_alert_ns("by hand", START_NS + 20 * SECOND_NS, interfere)
    engine.run()
    targets = [order for order in of_kind(orders_of(engine), "T") if order.status == OPEN]
    assert sorted(str(order.quantity) for order in targets) == ["0.004", "0.008"]
    assert {order.init_event.ts_init for order in targets} == {START_NS + 20 * SECOND_NS}


def test_hedge_grid_exit_with_a_refused_cancel_shrinks_on_the_next_bar(
    engine: BacktestEngine,
) -> None:
    """Otherwise it would close more than the rest of its lot."""
    refuse_cancels(engine, until_s=40)
    market = (
        begun().quote(10, "49945").quote(20, "50000.05", size="0.012").quote(21, "49960")
        .bar(62, "49960").quote(63, "49960")
    )  # fmt: skip
    orders = run(engine, long_only(grid_levels_long=1, base_qty=D("0.020")), market)
    stops = of_kind(orders, "S")
    assert [(str(order.quantity), order.status) for order in stops] == [
        ("0.020", GONE), ("0.008", OPEN),
    ]  # fmt: skip
    assert stops[0].ts_last == LOOK_NS


def test_hedge_grid_exit_of_a_closed_lot_with_a_refused_cancel_is_cancelled_on_the_next_bar(
    engine: BacktestEngine,
) -> None:
    """Otherwise it would close the lot of another rung."""
    refuse_cancels(engine, until_s=40)
    market = begun().quote(10, "49945").quote(20, "50001").quote(21, "50001").bar(62, "50001")
    entry, stop, target = run(engine, long_only(grid_levels_long=1), market.quote(63, "50001"))[:3]
    assert states([entry, stop, target]) == [DONE, GONE, DONE]
    assert stop.ts_last == LOOK_NS


def test_hedge_grid_denied_exits_are_sent_again_within_seconds(engine: BacktestEngine) -> None:
    strategy = long_only(grid_levels_long=1)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").bar(62, "49960").quote(63, "49960"))
    deny_exits(engine, until_s=20)
    engine.run()
    stops, targets = of_kind(orders_of(engine), "S"), of_kind(orders_of(engine), "T")
    assert [states(exits)[-1] for exits in (stops, targets)] == [OPEN, OPEN]
    seconds = [(each.init_event.ts_init - START_NS) / SECOND_NS for each in stops]
    pauses = [after - before for before, after in itertools.pairwise(seconds)]
    assert pauses[0] < 1
    assert max(pauses) <= 6
    assert 20 <= seconds[-1] <= 26
    assert targets[-1].init_event.ts_init == stops[-1].init_event.ts_init


def expire_at(engine: BacktestEngine, strategy: HedgeGridV1, kind: str, second: float) -> None:
    """Let the exchange expire the one order of this kind."""

    def expire(_: Any) -> None:
        (order,) = of_kind(orders_of(engine), kind)
        engine.kernel.exec_engine.process(
            OrderExpired(
                order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id,
                order.venue_order_id, order.account_id, UUID4(), 0, 0,
            )
        )  # fmt: skip

    strategy.clock.set_time_alert_ns("expire", START_NS + round(second * SECOND_NS), expire)


def test_hedge_grid_expired_target_is_sent_again_at_once(engine: BacktestEngine) -> None:
    strategy = long_only(grid_levels_long=1)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").quote(31, "49960"))
    expire_at(engine, strategy, "T", 12)
    engine.run()
    targets = of_kind(orders_of(engine), "T")
    assert states(targets) == [OrderStatus.EXPIRED, OPEN]
    assert summarised(targets) == [("SELL", "50000.00", "0.004")] * 2
    assert targets[1].init_event.ts_init == START_NS + 12 * SECOND_NS


@pytest.mark.parametrize(("filled", "again"), [("0.000", ["49949.90"]), ("0.008", [])])
def test_hedge_grid_expired_entry_is_sent_one_tick_further_away_unless_partly_filled(
    engine: BacktestEngine, filled: str, again: list[str]
) -> None:
    """Binance expires a post-only order that would have taken liquidity."""
    strategy = long_only(grid_levels_long=1, base_qty=D("0.020"))
    engine.add_strategy(strategy)
    market = begun()
    if D(filled):
        market.quote(8, "49949.95", size=filled)
    feed(engine, market.quote(9, "49951").quote(15, "49970"))

    expire_at(engine, strategy, "E", 12)
    engine.run()
    first, *rest = of_kind(orders_of(engine), "E")
    assert first.status == OrderStatus.EXPIRED
    assert [str(order.price) for order in rest] == again
