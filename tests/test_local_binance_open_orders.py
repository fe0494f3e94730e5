"""The arranged open orders answer like a search through all of them, whatever happened before."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from warmup_job.local_binance.account.algo_triggers import is_reached
from warmup_job.local_binance.account.order_records import NOTHING, AlgoRecord, OrderRecord
from warmup_job.local_binance.account.resting_orders import RestingOrders
from warmup_job.local_binance.account.waiting_algos import WaitingAlgos

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW_MS = 1000
SIDES = st.sampled_from(["BUY", "SELL"])
POSITIONS = st.sampled_from(["LONG", "SHORT"])
PRICES = st.integers(95, 105).map(Decimal)

orders = st.lists(
    st.builds(
        lambda order_id, filled, **facts: OrderRecord(
            order_id=order_id,
            client_id=str(order_id),
            type="LIMIT",
            original_type="LIMIT",
            time_in_force="GTC",
            quantity=Decimal(9),
            filled=Decimal(filled),
            reduce_only=False,
            created_ms=0,
            updated_ms=0,
            **facts,
        ),
        order_id=st.integers(1, 12),
        symbol=st.just("BTCUSDT"),
        side=SIDES,
        position_side=POSITIONS,
        price=PRICES,
        filled=st.integers(0, 8),
        status=st.sampled_from(["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED"]),
        good_till_ms=st.sampled_from([0, NOW_MS, NOW_MS + 1]),
    ),
    max_size=40,
)
algos = st.lists(
    st.builds(
        lambda algo_id, **facts: AlgoRecord(
            algo_id=algo_id,
            client_id=str(algo_id),
            symbol="BTCUSDT",
            time_in_force="GTC",
            quantity=Decimal(1),
            price=NOTHING,
            close_position=False,
            reduce_only=False,
            price_protect=False,
            created_ms=0,
            updated_ms=0,
            **facts,
        ),
        algo_id=st.integers(1, 12),
        side=SIDES,
        type=st.sampled_from(["STOP_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET"]),
        position_side=POSITIONS,
        trigger_price=PRICES,
        working_type=st.sampled_from(["MARK_PRICE", "CONTRACT_PRICE"]),
        status=st.sampled_from(["NEW", "NEW", "TRIGGERED", "CANCELED"]),
        good_till_ms=st.sampled_from([0, NOW_MS, NOW_MS + 1]),
    ),
    max_size=40,
)


@given(changes=orders, prices=st.lists(PRICES, min_size=1, max_size=4))
def test_local_binance_open_orders_that_a_trade_passes(
    changes: Sequence[OrderRecord], prices: Sequence[Decimal]
) -> None:
    resting, newest = RestingOrders(), dict[int, OrderRecord]()
    for change in changes:
        resting.put(change)
        newest[change.order_id] = change
        resting.passed_by("BTCUSDT", prices[0])  # what is remembered must not be stale
    still_open = [order for order in newest.values() if order.is_open]
    for price in prices:
        expected = {
            order.order_id
            for order in still_open
            if (price < order.price if order.side == "BUY" else price > order.price)
        }
        passed = resting.passed_by("BTCUSDT", price)
        assert {order.order_id for order in passed} == expected
        bids = [order.price for order in passed if order.side == "BUY"]
        asks = [order.price for order in passed if order.side == "SELL"]
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
    assert {order.order_id for order in resting.of(None)} == {each.order_id for each in still_open}
    assert {order.order_id for order in resting.dated(NOW_MS)} == {
        order.order_id for order in still_open if 0 < order.good_till_ms <= NOW_MS
    }


@given(changes=orders)
def test_local_binance_open_orders_opening_value_is_that_of_the_opening_orders(
    changes: Sequence[OrderRecord],
) -> None:
    resting, newest = RestingOrders(), dict[int, OrderRecord]()
    for change in changes:
        # An order keeps its side and its symbol for its whole life.
        first = newest.get(change.order_id, change)
        if (first.side, first.position_side) == (change.side, change.position_side):
            resting.put(change)
            newest[change.order_id] = change
    opening = [order for order in newest.values() if order.is_open and not order.reduces]
    values = [
        sum((each.left * each.price for each in opening if each.side == side), NOTHING)
        for side in ("BUY", "SELL")
    ]
    assert list(resting.opening_of("BTCUSDT")) == values
    assert set(resting.opening()) == {(each.symbol, each.position_side) for each in opening}


@given(changes=algos, prices=st.lists(PRICES, min_size=1, max_size=4))
def test_local_binance_open_orders_algo_orders_that_a_price_may_change(
    changes: Sequence[AlgoRecord], prices: Sequence[Decimal]
) -> None:
    waiting, newest = WaitingAlgos(), dict[int, AlgoRecord]()
    for change in changes:
        if newest.get(change.algo_id, change).working_type == change.working_type:
            waiting.put(change)
            newest[change.algo_id] = change
            waiting.concerned("BTCUSDT", "MARK_PRICE", prices[0])
    mine = [algo for algo in newest.values() if algo.is_open and algo.working_type == "MARK_PRICE"]
    assert waiting.watches("BTCUSDT", "MARK_PRICE") == bool(mine)
    for price in prices:
        concerned = {algo.algo_id for algo in waiting.concerned("BTCUSDT", "MARK_PRICE", price)}
        must = {
            algo.algo_id
            for algo in mine
            if algo.type == "TRAILING_STOP_MARKET"
            or is_reached(algo.type, algo.side, algo.trigger_price, price)
        }
        assert must <= concerned <= {algo.algo_id for algo in mine}
    assert waiting.count() == len(waiting.of(None)) == sum(each.is_open for each in newest.values())
