"""Stop losses that the exchange does not take: repeated, or the lot is closed at market."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.model.enums import OrderSide, OrderStatus, OrderType
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    OrderSubmitted,
)
from nautilus_trader.model.identifiers import PositionId, TradeId, VenueOrderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.trading.strategy import Strategy

from tests.support.made_up_market import (
    BAR_TYPE,
    SECOND_NS,
    START_NS,
    Market,
    answer_instead,
    config,
    feed,
    instrument,
    make_engine,
    of_kind,
    orders_of,
    price_of,
    refuse,
    warm,
)
from tests.support.suite import SCALE
from warmup_job.binance.unknown_outcome import not_placed_reason, not_reached_reason
from warmup_job.handoff.outgoing_orders.closed_orders import ClosedOrders
from warmup_job.hedge_grid import exit_orders, ladder, stop_orders
from warmup_job.hedge_grid.exit_rejections import MOST_CLOSES
from warmup_job.hedge_grid.ladder import BOOKS
from warmup_job.hedge_grid.order_client import OrderClient
from warmup_job.hedge_grid.stop_cover import covered
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.process.refusal_text import plain_refusal

OPEN, DONE, GONE = OrderStatus.ACCEPTED, OrderStatus.FILLED, OrderStatus.CANCELED
REFUSED, EXPIRED = OrderStatus.REJECTED, OrderStatus.EXPIRED
FILL_S, BAR_S = 10, 62
OVERLOADED = "{'code': -1008, 'msg': 'Server is currently overloaded with other requests.'}"
REDUCE_ONLY = "{'code': -4118, 'msg': 'ReduceOnly Order Failed. Please check your positions.'}"


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the strategy logs as an ERROR."""
    logged: list[str] = []
    monkeypatch.setattr(OrderClient, "log_error", lambda _, message: logged.append(message))
    return logged


def started(engine: BacktestEngine, market: Market | None = None, **changes: Any) -> HedgeGridV1:
    """Add a grid of LONG rungs, and a market that fills the first one at `FILL_S`."""
    strategy = HedgeGridV1(config(**{"grid_levels_short": 0, "grid_levels_long": 1} | changes))
    warm(strategy)
    engine.add_strategy(strategy)
    if market is None:
        market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
        market.quote(FILL_S, "49945").quote(30, "49960").quote(BAR_S - 1, "49960")
        market.bar(BAR_S, "49960").quote(BAR_S + 1, "49960").quote(100, "49960")
    feed(engine, market)
    return strategy


def first(count: int, which: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Choose the first ``count`` of the orders that ``which`` chooses."""
    seen: list[Any] = []

    def choose(order: Any) -> bool:
        if which(order):
            seen.append(order)
        return bool(which(order)) and len(seen) <= count

    return choose


def is_stop(order: Any) -> bool:
    return bool(order.order_type == OrderType.STOP_MARKET)


def is_market(order: Any) -> bool:
    return bool(order.order_type == OrderType.MARKET)


def states(orders: list[Any]) -> list[OrderStatus]:
    return [order.status for order in orders]


def second_of(order: Any) -> float:
    """Return when an order was made, in seconds of the made-up market."""
    return float((order.init_event.ts_init - START_NS) / SECOND_NS)


def report(engine: BacktestEngine, strategy: HedgeGridV1, second: float, make: Any) -> None:
    """Let the exchange report an event of the only open stop loss."""

    def process(_: Any) -> None:
        (order,) = [each for each in of_kind(orders_of(engine), "S") if each.is_open]
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        engine.kernel.exec_engine.process(make(order, ids))

    strategy.clock.set_time_alert_ns("report", START_NS + round(second * SECOND_NS), process)


def rejected(order: Any, ids: Any) -> OrderRejected:
    return OrderRejected(*ids, order.account_id, "REJECTED", UUID4(), 0, 0)


def expired(order: Any, ids: Any) -> OrderExpired:
    return OrderExpired(*ids, order.venue_order_id, order.account_id, UUID4(), 0, 0)


def canceled(order: Any, ids: Any) -> OrderCanceled:
    return OrderCanceled(*ids, order.venue_order_id, order.account_id, UUID4(), 0, 0)


# -- rejected for good -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        REDUCE_ONLY,
        "{'code': -2022, 'msg': 'ReduceOnly Order is rejected.'}",
        "{'code': -4015, 'msg': 'Client order id is not valid.'}",
    ],
)
def test_stops_lot_whose_stop_is_refused_for_good_is_closed_at_market_at_once(
    engine: BacktestEngine, errors: list[str], reason: str
) -> None:
    strategy = started(engine)
    refuse(engine, strategy, first(1, is_stop), reason)
    engine.run()
    stop, closing = of_kind(orders_of(engine), "S")[:2]
    (target,) = of_kind(orders_of(engine), "T")
    assert states([stop, target, closing]) == [REFUSED, GONE, DONE]
    assert (price_of(closing), str(closing.quantity)) == ("market", "0.004")
    assert second_of(closing) < FILL_S + 1, "not with the next bar"
    assert target.ts_last <= closing.init_event.ts_init, "only one of them may close the lot"
    assert closing.is_reduce_only
    assert engine.cache.positions_open() == []
    assert plain_refusal(reason) in errors[0]
    assert "{" not in errors[0], "Binance's code and text, not a dict"


def test_stops_lot_is_closed_half_a_second_later_if_the_cancel_is_not_answered(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Before, take profit and market order could both be filled, or exceed the position."""
    strategy = started(engine)
    report(engine, strategy, 20, rejected)
    answer_instead(engine, lambda command: isinstance(command, CancelOrder))
    engine.run()
    (closing,) = [order for order in orders_of(engine) if is_market(order)]
    assert (second_of(closing), closing.status) == (20.5, DONE)


@pytest.mark.parametrize(("make", "state"), [(rejected, REFUSED), (expired, EXPIRED)])
def test_stops_lot_whose_stop_fails_at_its_trigger_is_closed_at_market_at_once(
    engine: BacktestEngine, errors: list[str], make: Any, state: OrderStatus
) -> None:
    """Binance reports an ALGO_UPDATE with this status."""
    strategy = started(engine)
    report(engine, strategy, 20, make)
    engine.run()
    stop, closing = of_kind(orders_of(engine), "S")
    (target,) = of_kind(orders_of(engine), "T")
    assert states([stop, target, closing]) == [state, GONE, DONE]
    assert second_of(closing) < 21
    assert engine.cache.positions_open() == []
    assert errors


def test_stops_market_order_that_is_refused_is_repeated_until_it_closes_the_lot(
    engine: BacktestEngine, errors: list[str]
) -> None:
    strategy = started(engine)
    few = first(3, is_market)
    refuse(engine, strategy, lambda order: is_stop(order) or few(order), REDUCE_ONLY)
    engine.run()
    closing = [order for order in orders_of(engine) if is_market(order)]
    assert states(closing) == [REFUSED] * 3 + [DONE]
    assert second_of(closing[-1]) < FILL_S + 5
    assert engine.cache.positions_open() == []


def test_stops_lot_that_cannot_be_closed_is_an_error_and_the_next_check_tries_again(
    engine: BacktestEngine, errors: list[str]
) -> None:
    strategy = started(engine)
    refuse(engine, strategy, lambda order: is_stop(order) or is_market(order), REDUCE_ONLY)
    engine.run()
    closing = [second_of(order) for order in orders_of(engine) if is_market(order)]
    assert sum(each < 61 for each in closing) == MOST_CLOSES, "bounded"
    assert sum(each >= 61 for each in closing) >= MOST_CLOSES, "and again"
    assert len([each for each in errors if "could not be closed at market" in each]) >= 2
    assert not [order for order in of_kind(orders_of(engine), "T") if order.is_open]


def test_stops_market_order_that_expires_is_repeated_a_bounded_number_of_times(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Binance accepts a market order first, and lets it expire if it cannot be filled."""
    strategy = started(engine)
    report(engine, strategy, 20, expired)
    process = engine.kernel.exec_engine.process

    def answer(command: Any) -> bool:
        order = getattr(command, "order", None)
        if order is None or not is_market(order):
            return False
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        account_id, number = engine.cache.accounts()[0].id, VenueOrderId(f"v-{ids[-1]}")
        process(OrderSubmitted(*ids, account_id, UUID4(), 0, 0))
        process(OrderAccepted(*ids, number, account_id, UUID4(), 0, 0))
        process(OrderExpired(*ids, number, account_id, UUID4(), 0, 0))
        return True

    answer_instead(engine, answer)
    engine.run()
    closing = [second_of(order) for order in orders_of(engine) if is_market(order)]
    assert sum(each < 61 for each in closing) == MOST_CLOSES
    assert [each for each in errors if "could not be closed at market" in each]


def test_stops_market_order_never_closes_more_than_is_held(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Another client closes a part; before the next check, the exchange rejects the stop."""
    strategy = started(engine, base_qty=D("0.008"))
    refuse(engine, strategy, lambda order: is_stop(order) and second_of(order) > 15, REDUCE_ONLY)

    other = Strategy(StrategyConfig(order_id_tag="002"))  # the grid hears nothing of its orders
    engine.add_strategy(other)

    def close_a_part(_: Any) -> None:
        order = other.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str("0.005")
        )
        other.submit_order(order, position_id=PositionId("BTCUSDT-PERP.BINANCE-LONG"))

    at_ns = START_NS + 20 * SECOND_NS
    strategy.clock.set_time_alert_ns("another client", at_ns, close_a_part)
    report(engine, strategy, 21, rejected)
    engine.run()
    closing = [order for order in of_kind(orders_of(engine), "S") if is_market(order)]
    assert [str(order.quantity) for order in closing] == ["0.003"]
    assert engine.cache.positions_open() == []
    assert not [each for each in engine.cache.positions() if str(each.id).endswith("SHORT")]


def test_stops_late_fill_of_an_expired_stop_shrinks_the_exits_of_the_other_lots_at_once(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """The expired stop's lot was closed at market, so the fill closes what another lot held."""
    strategy = started(engine, grid_levels_long=2)
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").quote(11, "49895").quote(12, "49910").quote(50, "49910")
    engine.clear_data()
    feed(engine, market)
    gone: list[Any] = []

    def expire_one(_: Any) -> None:
        order = next(each for each in of_kind(orders_of(engine), "S") if each.is_open)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        gone.append(order)
        engine.kernel.exec_engine.process(expired(order, ids))

    def fill_it(_: Any) -> None:
        assert len(engine.cache.orders_open()) == 2  # of the other lot
        instrument = engine.cache.instrument(BAR_TYPE.instrument_id)
        position = PositionId("BTCUSDT-PERP.BINANCE-LONG")
        filled = TestEventStubs.order_filled(gone[0], instrument, position_id=position)
        fields = type(filled).to_dict(filled) | {"account_id": str(gone[0].account_id)}
        engine.kernel.exec_engine.process(type(filled).from_dict(fields))

    for second, act in ((20, expire_one), (30, fill_it)):
        strategy.clock.set_time_alert_ns(act.__name__, START_NS + second * SECOND_NS, act)
    engine.run()
    assert engine.cache.positions_open() == []
    assert engine.cache.orders_open() == []


def test_stops_entry_that_fills_after_its_cancel_has_exits_at_once(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Binance can report a cancel before the last fill."""
    strategy = started(engine)
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(50, "50000")
    engine.clear_data()
    feed(engine, market)

    def cancel_and_fill(_: Any) -> None:
        (entry,) = engine.cache.orders_open()
        ids = (entry.trader_id, entry.strategy_id, entry.instrument_id, entry.client_order_id)
        engine.kernel.exec_engine.process(canceled(entry, ids))
        position = PositionId("BTCUSDT-PERP.BINANCE-LONG")
        filled = TestEventStubs.order_filled(
            entry, instrument(), position_id=position, last_px=entry.price
        )
        fields = type(filled).to_dict(filled) | {"account_id": str(entry.account_id)}
        engine.kernel.exec_engine.process(type(filled).from_dict(fields))

    at_ns = START_NS + 20 * SECOND_NS
    strategy.clock.set_time_alert_ns("late", at_ns, cancel_and_fill)
    engine.run()
    (entry,) = of_kind(orders_of(engine), "E")
    (stop,), (target,) = (of_kind(orders_of(engine), kind) for kind in "ST")
    assert (second_of(stop), second_of(target)) == (20, 20), "not with the next check"
    assert (stop.quantity, target.quantity) == (entry.quantity, entry.quantity)
    names = [each.client_order_id.value for each in (entry, stop, target)]
    assert {name.partition("-")[2] for name in names} == {names[0].removeprefix("E-")}
    assert D(price_of(target)) > entry.price.as_decimal(), "exits at the entry's price"


def test_stops_follow_an_order_that_is_none_of_the_grids_at_once(
    engine: BacktestEngine, errors: list[str]
) -> None:
    strategy = started(engine, base_qty=D("0.008"))

    def close_a_part(_: Any) -> None:
        order = strategy.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str("0.005")
        )
        strategy.submit_order(order, position_id=PositionId("BTCUSDT-PERP.BINANCE-LONG"))

    at_ns = START_NS + 20 * SECOND_NS
    strategy.clock.set_time_alert_ns("by hand", at_ns, close_a_part)
    engine.run()
    (stop,) = [each for each in of_kind(orders_of(engine), "S") if each.is_open]
    assert (second_of(stop), str(stop.quantity)) == (20, "0.003")


def test_stops_take_profits_of_other_lots_give_way_to_a_market_order_and_return(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Binance takes a closing order only if it fits into the position beside the others (-4118)."""
    strategy = started(engine, grid_levels_long=2)

    def is_in_the_way(order: Any) -> bool:
        rest = [each for each in of_kind(orders_of(engine), "T") if not each.is_closed]
        return is_market(order) and bool(rest)

    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").quote(11, "49895").quote(12, "49910").quote(50, "49910")
    engine.clear_data()
    feed(engine, market)
    refuse(engine, strategy, is_in_the_way, REDUCE_ONLY)

    def reject_one(_: Any) -> None:
        order = next(each for each in of_kind(orders_of(engine), "S") if each.is_open)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        engine.kernel.exec_engine.process(rejected(order, ids))

    strategy.clock.set_time_alert_ns("reject", START_NS + 20 * SECOND_NS, reject_one)
    engine.run()
    closing = [order for order in orders_of(engine) if is_market(order)]
    assert states(closing)[-1] == DONE
    assert REFUSED in states(closing)
    working = [order for order in orders_of(engine) if order.is_open]
    assert sorted(order.client_order_id.value[0] for order in working) == ["S", "T"]
    assert {str(order.quantity) for order in working} == {"0.004"}
    (position,) = engine.cache.positions_open()
    assert str(position.quantity) == "0.004"


def test_stops_former_stop_stays_when_the_exchange_refuses_its_replacement(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Then the former one is cancelled first; the lot is not closed."""
    strategy = started(engine, base_qty=D("0.020"))
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(FILL_S, "49945")
    market.quote(20, "50000.05", size="0.012").quote(21, "49960").quote(30, "49960")
    market.quote(40, "50000.05", size="0.004").quote(41, "49960").quote(50, "49960")
    engine.clear_data()
    feed(engine, market)
    refuse(engine, strategy, first(1, lambda each: second_of(each) > 15 and is_stop(each)),
           "{'code': -2010, 'msg': 'Account has insufficient balance.'}")  # fmt: skip
    told: list[str] = []

    def note(event: Any) -> None:
        order, at_ns = engine.cache.order(event.client_order_id), engine.kernel.clock.timestamp_ns()
        if at_ns >= START_NS + 40 * SECOND_NS and order is not None and is_stop(order):
            told.append(f"{order.quantity} {order.status_string()}")

    engine.kernel.msgbus.subscribe("events.order.*", note)
    engine.run()
    told = [each for each in told if each.endswith(("ACCEPTED", "CANCELED"))]
    stops = of_kind(orders_of(engine), "S")
    assert [(str(each.quantity), each.status) for each in stops] == [
        ("0.020", GONE), ("0.008", REFUSED), ("0.008", GONE), ("0.004", OPEN),
    ]  # fmt: skip
    (position,) = engine.cache.positions_open()
    assert str(position.quantity) == "0.004"
    assert told == ["0.004 ACCEPTED", "0.008 CANCELED"], "the next change leaves no gap"


def allow(engine: BacktestEngine, strategy: HedgeGridV1, stops: int) -> None:
    """Let the exchange accept only so many stop losses at a time."""

    def is_beyond(order: Any) -> bool:
        working = [each for each in of_kind(orders_of(engine), "S") if each.is_open]
        return is_stop(order) and len(working) >= stops

    refuse(engine, strategy, is_beyond, "{'code': -4045, 'msg': 'Reach max stop order limit.'}")


def test_stops_at_the_limit_of_the_account_a_growing_lot_swaps_its_stop(
    engine: BacktestEngine, errors: list[str]
) -> None:
    strategy = started(engine, base_qty=D("0.020"))
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49949.95", size="0.008").quote(11, "49960")
    market.quote(20, "49949.95", size="0.020").quote(21, "49960").quote(22, "49960")
    engine.clear_data()
    feed(engine, market)
    allow(engine, strategy, stops=1)
    engine.run()
    stops = of_kind(orders_of(engine), "S")
    assert [(str(each.quantity), each.status) for each in stops] == [
        ("0.008", GONE), ("0.012", REFUSED), ("0.020", OPEN),
    ]  # fmt: skip
    assert second_of(stops[-1]) < 21
    assert errors == []


def test_stops_at_the_limit_of_the_account_no_entry_is_open_that_could_have_none(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """The second lot is closed at market, and the third rung has no order from then on."""
    strategy = started(engine, grid_levels_long=3)
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").quote(11, "49895").quote(12, "49910")
    market.bar(BAR_S, "49910").quote(BAR_S + 1, "49910")
    engine.clear_data()
    feed(engine, market)
    allow(engine, strategy, stops=1)
    engine.run()
    assert [order.status for order in orders_of(engine) if is_market(order)] == [DONE]
    (position,) = engine.cache.positions_open()
    assert str(position.quantity) == "0.004"
    assert not [order for order in of_kind(orders_of(engine), "E") if order.is_open]


# -- passing trouble -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        OVERLOADED,
        "{'code': -1021, 'msg': 'Timestamp for this request is outside of the recvWindow.'}",
        "{'code': -5028, 'msg': 'Timestamp for this request is outside of the ME recvWindow.'}",
        "{'code': -2015, 'msg': 'Invalid API-key, IP, or permissions for action.'}",
        not_reached_reason(403),
        not_placed_reason("no usable answer, TimeoutError"),
    ],
)
def test_stops_that_did_not_reach_the_exchange_are_repeated_within_a_second(
    engine: BacktestEngine, errors: list[str], reason: str
) -> None:
    strategy = started(engine, max_errors_per_minute=2)
    refuse(engine, strategy, first(2, is_stop), reason)
    engine.run()
    stops = of_kind(orders_of(engine), "S")
    assert states(stops) == [REFUSED, REFUSED, OPEN]
    assert second_of(stops[1]) - second_of(stops[0]) < 1
    assert second_of(stops[2]) - second_of(stops[1]) < 1
    assert [order.status for order in of_kind(orders_of(engine), "T")] == [OPEN]
    assert not strategy.breaker.is_open(START_NS + 30 * SECOND_NS), "a repeat counts once"
    assert errors == []


@pytest.mark.parametrize("refused", [is_stop, lambda order: order.client_order_id.value[0] == "T"])
def test_stops_and_all_other_orders_wait_for_the_end_of_a_ban(
    engine: BacktestEngine, errors: list[str], refused: Callable[[Any], bool]
) -> None:
    """Before, only the lot whose order was refused waited; each further order made a ban longer."""
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").quote(FILL_S + 5, "49895").quote(18, "49900")
    market.bar(20, "49900").quote(31, "49900").bar(BAR_S, "49900").quote(BAR_S + 1, "49900")
    strategy = started(engine, market, grid_levels_long=2, max_errors_per_minute=1)
    until_ms = (START_NS + 30 * SECOND_NS) // 1_000_000
    banned = f"{{'code': -1003, 'msg': 'Way too many requests; IP banned until {until_ms}.'}}"
    refuse(engine, strategy, first(1, refused), banned)
    reasons: list[str] = []

    def note(_: Any) -> None:
        figures = strategy.figures()
        assert figures is not None
        reasons.append(figures.block_reason)

    strategy.clock.set_time_alert_ns("look", START_NS + 25 * SECOND_NS, note)
    engine.run()
    made = sorted({second_of(order) for order in orders_of(engine)})
    assert [second for second in made if second < 30] == [2, FILL_S]
    assert 30 <= made[2] <= 30.5
    exits = [order for order in orders_of(engine) if order.is_reduce_only and order.is_open]
    assert sorted(order.client_order_id.value[0] for order in exits) == ["S", "S", "T", "T"]
    assert max(second_of(order) for order in exits) <= 30.5
    assert "limits or bans this IP until" in reasons[0]
    assert not strategy.breaker.is_open(START_NS + BAR_S * SECOND_NS)
    assert len(errors) == 1, "it says so once"


def test_stops_are_repeated_at_most_every_two_seconds_while_an_outage_lasts(
    engine: BacktestEngine, errors: list[str]
) -> None:
    strategy = started(engine)
    refuse(engine, strategy, lambda order: is_stop(order) and second_of(order) < 50, OVERLOADED)
    engine.run()
    seconds = [second_of(order) for order in of_kind(orders_of(engine), "S")]
    assert 50 <= seconds[-1] <= 57, "soon after the end of the outage"
    assert 10 <= len(seconds) <= 30, "less and less often"
    assert len(errors) == 1, "one clear ERROR"
    assert engine.cache.positions_open() != []


def test_stops_entry_that_did_not_reach_the_exchange_waits_for_the_next_bar(
    engine: BacktestEngine,
) -> None:
    strategy = started(engine)
    refuse(engine, strategy, first(1, lambda _: True), OVERLOADED)
    engine.run()
    entries = of_kind(orders_of(engine), "E")
    assert [(second_of(order), order.status) for order in entries] == [(2, REFUSED), (BAR_S, OPEN)]


def test_stops_cancelled_by_the_exchange_are_sent_again_at_once(
    engine: BacktestEngine, errors: list[str]
) -> None:
    strategy = started(engine)
    report(engine, strategy, 20, canceled)
    engine.run()
    stops = of_kind(orders_of(engine), "S")
    assert states(stops) == [GONE, OPEN]
    assert second_of(stops[1]) < 21


def test_stops_cancelled_by_the_trader_itself_are_not_sent_again_before_the_next_check(
    engine: BacktestEngine,
) -> None:
    """The trader cancels them by its policy, when it stops or while bars are missing."""
    strategy = started(engine)

    def cancel(_: Any) -> None:
        strategy.cancel_order(of_kind(orders_of(engine), "S")[0])

    strategy.clock.set_time_alert_ns("policy", START_NS + 20 * SECOND_NS, cancel)
    engine.run()
    stops = of_kind(orders_of(engine), "S")
    assert states(stops) == [GONE, OPEN]
    assert second_of(stops[1]) == 61


def test_stops_and_targets_work_after_the_cache_has_lost_the_closed_orders_of_their_lot(
    engine: BacktestEngine,
) -> None:
    """The trader removes what closed hours ago, as its entry and former stops."""
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(FILL_S, "49945")
    market.quote(30, "49960").quote(50, "50020").quote(51, "50020")
    strategy = started(engine, market)
    report(engine, strategy, 15, canceled)
    closed = ClosedOrders(engine.cache, strategy.clock)
    strategy.clock.set_time_alert_ns(
        "remove", START_NS + 20 * SECOND_NS, lambda _: closed.remove(kept_s=0)
    )

    def cancel(_: Any) -> None:
        (stop,) = [each for each in of_kind(orders_of(engine), "S") if each.is_open]
        seen.append(stop.client_order_id.value)
        fields = (stop.trader_id, stop.strategy_id, stop.instrument_id, stop.client_order_id)
        engine.kernel.exec_engine.process(canceled(stop, fields))

    seen: list[str] = []
    strategy.clock.set_time_alert_ns("cancel", START_NS + 25 * SECOND_NS, cancel)
    engine.run()
    assert (closed.removed, closed.removed_fills) == (2, 1), "the entry and its first stop"
    orders = orders_of(engine)
    (target,) = of_kind(orders, "T")
    stops = of_kind(orders, "S")
    assert (target.status, states(stops)) == (DONE, [GONE, GONE])
    assert second_of(stops[1]) < 26
    assert [stop.client_order_id.value[:2] for stop in stops] == ["S3", "S4"], "new ids"
    assert engine.cache.positions_open() == []


# -- anything at any time --------------------------------------------------------------------------

REASONS = (OVERLOADED, REDUCE_ONLY, "{'code': -4045, 'msg': 'Reach max stop order limit.'}",
           "-2021: Order would immediately trigger.")  # fmt: skip


@settings(max_examples=15 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    moves=st.lists(st.integers(-90, 90), min_size=6, max_size=20),
    answers=st.lists(st.sampled_from([None, None, *REASONS]), max_size=25),
    sizes=st.lists(st.sampled_from(["0.001", "0.003", "10.000"]), min_size=1, max_size=4),
)
def test_stops_after_any_refusals_what_is_held_is_protected_again(
    moves: list[int], answers: list[str | None], sizes: list[str]
) -> None:
    engine = make_engine()
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    for at, away in enumerate(itertools.accumulate(moves)):
        market.quote(22 + 20 * at, str(50_000 + D(away)), sizes[at % len(sizes)])
        if at % 3 == 2:
            market.bar(23 + 20 * at, f"{50_000 + away}.00")
    last = 22 + 20 * len(moves)
    for second in range(last, last + 240, 20):  # the price stays, and every order is accepted
        market.quote(second, f"{50_000 + sum(moves)}")
    strategy = HedgeGridV1(config(sl_steps=2, grid_levels_long=3, grid_levels_short=3))
    warm(strategy)
    engine.add_strategy(strategy)
    feed(engine, market)
    left = list(answers)
    current: list[str] = []

    def is_refused(order: Any) -> bool:
        if not (is_stop(order) or is_market(order)) or second_of(order) >= last or not left:
            return False
        answer = left.pop(0)
        current[:] = [answer or ""]
        return answer is not None

    refuse(engine, strategy, is_refused, lambda: current[0])
    try:
        engine.run()
        for book in BOOKS:
            lots = [lot for lot in strategy._orders.exits.lots if lot.book == book]
            position = strategy._orders.account.position(book).quantity
            assert sum(lot.quantity for lot in lots) == position
            for lot in lots:
                assert covered(strategy._orders.exits._stops.orders(lot)) == lot.quantity
                assert lot.target is not None or lot.is_closing
        closed = [each for each in orders_of(engine) if each.is_reduce_only and each.is_closed]
        assert all(each.filled_qty <= each.quantity for each in closed)
        turned = [each for each in engine.cache.positions() if each.side.name not in
                  {"FLAT", str(each.id).rpartition("-")[2]}]  # fmt: skip
        assert not turned, "a position never changes its side"
    finally:
        engine.dispose()


# -- another client changes the position meanwhile -------------------------------------------------


def sell_elsewhere(strategy: HedgeGridV1, second: float, quantity: str = "0.001") -> None:
    """Let somebody else sell a part of the LONG position."""

    def sell(_: Any) -> None:
        order = strategy.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.SELL, Quantity.from_str(quantity)
        )
        strategy.submit_order(order, position_id=PositionId(f"{BAR_TYPE.instrument_id}-LONG"))

    strategy.clock.set_time_alert_ns("elsewhere", START_NS + round(second * SECOND_NS), sell)


def test_stops_market_order_under_way_keeps_its_lot_when_the_position_is_taken_over(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Before, the lot was closed a second time, by a sale of what the other lot held."""
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").quote(FILL_S + 1, "49895").quote(18, "48480").bar(22, "48480")
    market.quote(23, "48480").quote(40, "48480")
    strategy = started(engine, market, grid_levels_long=2)
    held: list[Any] = []

    def hold_back(command: Any) -> bool:
        """The exchange answers the first closing order late, and never its cancel."""
        if isinstance(command, CancelOrder):
            return bool(held) and command.client_order_id == held[0].client_order_id
        order = getattr(command, "order", None)
        if order is None or held or not is_market(order) or not order.is_reduce_only:
            return False
        held.append(order)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        account_id = engine.cache.accounts()[0].id
        engine.kernel.exec_engine.process(OrderSubmitted(*ids, account_id, UUID4(), 0, 0))
        return True

    def refuse_higher_stop(_: Any) -> None:
        stops = [order for order in of_kind(orders_of(engine), "S") if order.is_open]
        order = max(stops, key=lambda each: each.trigger_price)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        reason = "{'code': -2021, 'msg': 'Order would immediately trigger.'}"
        engine.kernel.exec_engine.process(
            OrderRejected(*ids, order.account_id, reason, UUID4(), 0, 0)
        )

    def fill_late(_: Any) -> None:
        filled = TestEventStubs.order_filled(
            held[0],
            engine.cache.instrument(BAR_TYPE.instrument_id),
            position_id=PositionId(f"{BAR_TYPE.instrument_id}-LONG"),
        )
        fields = type(filled).to_dict(filled) | {"account_id": str(held[0].account_id)}
        engine.kernel.exec_engine.process(type(filled).from_dict(fields))

    answer_instead(engine, hold_back)
    for second, act in ((20, refuse_higher_stop), (30, fill_late)):
        strategy.clock.set_time_alert_ns(act.__name__, START_NS + second * SECOND_NS, act)
    sell_elsewhere(strategy, 21)
    engine.run()
    closing = [order for order in of_kind(orders_of(engine), "S") if is_market(order)]
    assert states(closing) == [DONE], "the lot is closed once"
    (position,) = engine.cache.positions_open()
    assert str(position.quantity) == "0.003", "the other lot, less what was sold elsewhere"
    (stop,) = [order for order in of_kind(orders_of(engine), "S") if order.is_open]
    assert (str(stop.quantity), stop.is_reduce_only) == ("0.003", True)


def test_stops_takeover_does_not_shorten_the_wait_for_a_repeated_stop(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Before, the takeover sent the stop at once, into the ban."""
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").bar(FILL_S + 4, "49960").quote(60, "49960")
    strategy = started(engine, market)
    until_ms = START_NS // 1_000_000 + 30_000
    banned = f"{{'code': -1003, 'msg': 'Way too many requests; IP banned until {until_ms}.'}}"
    refuse(engine, strategy, first(1, is_stop), banned)
    sell_elsewhere(strategy, FILL_S + 3)
    engine.run()
    (before, stop) = of_kind(orders_of(engine), "S")
    assert (second_of(before), before.status) == (FILL_S, REFUSED)
    assert (str(stop.quantity), stop.status) == ("0.003", OPEN)
    assert second_of(stop) >= 30


# -- Binance's largest market order ----------------------------------------------------------------


def test_stops_lot_larger_than_one_market_order_is_closed_in_several(
    engine: BacktestEngine, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_orders, "largest_market_order", lambda _: D("0.003"))
    strategy = started(engine)
    refuse(engine, strategy, first(1, is_stop), REDUCE_ONLY)
    engine.run()
    closing = [order for order in orders_of(engine) if is_market(order)]
    assert [(str(each.quantity), each.status) for each in closing] == [
        ("0.003", DONE), ("0.001", DONE),
    ]  # fmt: skip
    assert engine.cache.positions_open() == []


def test_stops_unexplained_position_has_no_stop_larger_than_one_market_order(
    engine: BacktestEngine, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exit_orders, "largest_market_order", lambda _: D("0.003"))
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(19, "50000").bar(20, "50000").quote(21, "50000")
    strategy = started(engine, market)

    def buy(_: Any) -> None:
        order = strategy.order_factory.market(
            BAR_TYPE.instrument_id, OrderSide.BUY, Quantity.from_str("0.008")
        )
        strategy.submit_order(order, position_id=PositionId(f"{BAR_TYPE.instrument_id}-LONG"))

    strategy.clock.set_time_alert_ns("buy", START_NS + FILL_S * SECOND_NS, buy)
    engine.run()
    stops = [order for order in of_kind(orders_of(engine), "S") if order.is_open]
    assert sorted(str(each.quantity) for each in stops) == ["0.002", "0.003", "0.003"]
    assert len({each.client_order_id.value.partition("-")[2] for each in stops}) == 3


def test_stops_ladder_has_no_entry_larger_than_one_market_order(
    engine: BacktestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "largest_market_order", lambda _: D("0.003"))
    started(engine)
    engine.run()
    assert orders_of(engine) == []


def test_stops_exits_that_close_more_than_their_lot_shrink_the_other_at_once(
    engine: BacktestEngine, errors: list[str]
) -> None:
    """Binance fills a stop before its cancel arrives; before, the other's stop was too large."""
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    market.quote(FILL_S, "49945").quote(FILL_S + 1, "49895").quote(18, "49900").quote(40, "49900")
    strategy = started(engine, market, grid_levels_long=2)
    answer_instead(engine, lambda command: isinstance(command, CancelOrder))

    def fill(letter: str, quantity: str) -> Callable[[Any], None]:
        def process(_: Any) -> None:
            order = of_kind(orders_of(engine), letter)[0]
            filled = TestEventStubs.order_filled(
                order,
                engine.cache.instrument(BAR_TYPE.instrument_id),
                position_id=PositionId(f"{BAR_TYPE.instrument_id}-LONG"),
                last_qty=Quantity.from_str(quantity),
                trade_id=TradeId(letter),
            )
            fields = type(filled).to_dict(filled) | {"account_id": str(order.account_id)}
            engine.kernel.exec_engine.process(type(filled).from_dict(fields))

        return process

    for second, act in ((20, fill("T", "0.003")), (21, fill("S", "0.004"))):
        strategy.clock.set_time_alert_ns(f"fill {second}", START_NS + second * SECOND_NS, act)
    engine.run()
    (position,) = engine.cache.positions_open()
    assert str(position.quantity) == "0.001"
    other = of_kind(orders_of(engine), "E")[1].client_order_id.value.removeprefix("E-")
    stops = [each for each in of_kind(orders_of(engine), "S")
             if each.client_order_id.value.endswith(other)]  # fmt: skip
    assert [(second_of(each), str(each.quantity)) for each in stops] == [
        (FILL_S + 1, "0.004"), (21, "0.001"),
    ]  # fmt: skip
