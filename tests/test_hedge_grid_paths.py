"""HedgeGridV1 over whole price paths: invariants on each path, and after every restart."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections import Counter
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.objects import Price, Quantity

from tests.support.made_up_market import (
    Market,
    config,
    feed,
    make_engine,
    orders_of,
    refuse_small_exits,
    summarised,
    warm,
)
from tests.support.recordings import RECORDINGS
from tests.support.suite import FULL, SCALE
from warmup_job.catalog.instruments import parse_instrument
from warmup_job.hedge_grid.ladder import BOOKS, min_rung_quantity
from warmup_job.hedge_grid.stop_cover import covered
from warmup_job.hedge_grid.strategy import HedgeGridV1

MONTH = RECORDINGS / "um" / "LINKUSDT-1m-202602.csv.gz"
FEW = tried(max_examples=30 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
CAPS: dict[str, Any] = {
    "max_inventory_quote": D(900), "max_position_size": D("0.016"), "sl_steps": 4, "tp_steps": 2,
    "recenter_trigger_bps": 25.0,
}  # fmt: skip


class Watched(HedgeGridV1):
    """Checks its own invariants after each piece of market data."""

    engine: BacktestEngine

    def on_quote_tick(self, tick: Any) -> None:
        super().on_quote_tick(tick)
        self.look()

    def on_bar(self, bar: Bar) -> None:
        super().on_bar(bar)
        self.look()

    def look(self) -> None:
        """Check the caps, that lots sum to the position and have exits, and the realised profit."""
        waiting, leaving = self._orders.entries.open_entries()
        earned = (self._orders.account.balance() or D(0)) - BALANCE
        # Account and position round every fill to 8 decimals by themselves.
        assert abs(self._result.own.realised - earned) <= D("1e-8") * len(self.cache.orders())
        for book in BOOKS:
            quantity, price = self._orders.account.position(book)
            lots = [lot for lot in self._orders.exits.lots if lot.book == book]
            assert sum(lot.quantity for lot in lots) == quantity, "a lot is what is held"
            orders = [order for order in (*waiting, *leaving) if order.book == book]
            assert quantity + sum(each.leaves for each in orders) <= self.config.max_position_size
            quote = quantity * price + sum(each.leaves * each.price for each in orders)
            assert quote <= self.config.max_inventory_quote
            for lot in lots:
                self.look_at_exits(lot)

    def look_at_exits(self, lot: Any) -> None:
        stops = self._orders.exits._stops.orders(lot)
        assert covered(stops) >= lot.quantity, "a part of what is held has no stop loss"
        if all(each.is_confirmed for each in stops):  # otherwise a change is in flight
            assert covered(stops) == lot.quantity, "a stop loss is of another size"
        if any(each.is_closing for each in stops):
            return  # a stop that was triggered closes the lot
        target = self.cache.order(ClientOrderId(lot.target))
        assert not target.is_closed, "the take profit of what is held is gone"
        if not target.is_pending_cancel:  # otherwise a change of its size is in flight
            assert target.leaves_qty.as_decimal() == lot.quantity, "the target is of another size"


class WatchedSmall(Watched):
    """The same at an exchange that refuses exits below its minimum."""

    def look_at_exits(self, lot: Any) -> None:
        exits = [
            self.cache.order(ClientOrderId(order_id))
            for order_id in (lot.target, *lot.stops)
            if order_id
        ]
        if any(order.is_pending_cancel or order.is_inflight for order in exits):
            return
        if (lot.target and lot.stops) or lot.quantity >= self.least(lot.entry):
            super().look_at_exits(lot)
        elif not self._orders.entries.is_open(lot.key):
            for each in self._orders.exits.lots:
                if each.book == lot.book and each != lot:
                    both = each.quantity + lot.quantity
                    cost = each.entry * each.quantity + lot.entry * lot.quantity
                    assert both < self.least(cost / both), "it could have joined another one"

    def least(self, entry: D) -> D:
        traded = self.cache.instrument(self.config.instrument_id)
        return min_rung_quantity(traded, entry, self.grid.exits)

    def on_start(self) -> None:
        super().on_start()
        refuse_small_exits(self.engine, self)


class Restarting(Watched):
    """Restarts before every n-th quote and keeps only its saved state."""

    every = 4

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.seen = 0

    def on_quote_tick(self, tick: Any) -> None:
        self.seen += 1
        if self.seen % self.every == 0:
            kept, fresh = self.save(), Restarting(self.config)
            fresh.seen, fresh.detector = self.seen, self.detector  # warmed from the snapshot
            self.on_stop()
            self.__dict__.update(fresh.__dict__)
            self.load(kept)
            self.on_start()
            self._guard.bar_ns = self.clock.timestamp_ns()
        super().on_quote_tick(tick)


BALANCE = D(100_000)


def along(prices: list[D], sizes: tuple[str, ...] = ("10.000",)) -> Market:
    """Send a quote every 20 s, with these sizes in turn, and a bar every minute."""
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    for at, price in enumerate(prices):
        second = 22 + 20 * at
        market.quote(second, str(price), sizes[at % len(sizes)])
        if at % 3 == 2:
            market.bar(second + 1, f"{price:.2f}")
    return market


def play(
    kind: type[Watched], prices: list[D], sizes: tuple[str, ...] = ("10.000",), **changes: Any
) -> list[Any]:
    engine = make_engine(int(BALANCE))
    try:
        strategy = kind(config(**changes))
        strategy.engine = engine
        warm(strategy)
        engine.add_strategy(strategy)
        feed(engine, along(prices, sizes))
        engine.run()
        return orders_of(engine)
    finally:
        engine.dispose()


PATHS = st.lists(st.integers(-120, 120), min_size=6, max_size=40).map(
    lambda moves: [50_000 + D(each) for each in itertools.accumulate(moves)]
)


@FEW
@given(PATHS, st.sampled_from(["throttled-counter", "core-and-scalp"]))
def test_hedge_grid_paths_caps_hold_and_positions_have_exits(prices: list[D], policy: str) -> None:
    for order in play(Watched, prices, policy=policy, **CAPS):
        refusals = [e for e in order.events if isinstance(e, OrderDenied)]
        assert not refusals, str(order)
        price = order.price if order.has_price else order.trigger_price
        if price is not None:
            assert price.as_decimal() % D("0.1") == 0
            assert price.as_decimal() * order.quantity.as_decimal() >= 100
        assert order.quantity.as_decimal() % D("0.001") == 0


STEEP = [50_000 + D(each) for each in (0, 0, 0, 0, 0, 106, 226, 227, 228, 228, 228, 279, 279)]
# A third small lot fits in only when two have become one.
THREE = [50_000 + D(each) for each in (0, 0, 0, -51, 65, 185, 134, 197, 317, 266)]
SIZES = st.lists(st.sampled_from(["0.001", "0.002", "0.003", "0.005"]), min_size=1, max_size=7)


@pytest.mark.parametrize("kind", [Watched, WatchedSmall])
@FEW
@example(prices=STEEP, sizes=("0.001",))  # two small lots that are not enough together
@example(prices=THREE, sizes=("0.001",))
@given(prices=PATHS, sizes=SIZES.map(tuple))
def test_hedge_grid_paths_partial_fills_have_exits_or_join_a_lot_that_has(
    kind: type[Watched], prices: list[D], sizes: tuple[str, ...]
) -> None:
    orders = play(kind, prices, sizes, **CAPS)
    assert not [order for order in orders if order.status == OrderStatus.DENIED]


@FEW
@given(PATHS)
def test_hedge_grid_paths_restarts_do_not_change_the_orders(prices: list[D]) -> None:
    kinds = (Watched, Restarting)
    through, restarted = (play(kind, prices, **CAPS) for kind in kinds)
    assert sorted(summarised(through)) == sorted(summarised(restarted))
    assert Counter(order.status for order in through) == Counter(
        order.status for order in restarted
    )


@FEW
@given(st.lists(st.integers(-3, 3), min_size=3, max_size=30))
def test_hedge_grid_paths_mirrored_path_mirrors_the_books(moves: list[int]) -> None:
    """Prices stay between rungs, so that rounding to the tick has no effect."""
    away = [50 * D(each) + 20 for each in itertools.accumulate(moves)]
    changes: dict[str, Any] = CAPS | {
        "recenter_trigger_bps": 10_000.0, "counter_levels": 9, "counter_qty_scale": D(1),
    }  # fmt: skip
    up = play(Watched, [50_000 + each for each in away], **changes)
    down = play(Watched, [50_000 - each for each in away], **changes)

    def seen(orders: list[Any], swap: dict[str, str]) -> Counter[Any]:
        return Counter(
            (order.client_order_id.value[0], swap[order.side_string()], str(order.quantity),
             order.status, order.init_event.ts_init)
            for order in orders
        )  # fmt: skip

    assert seen(up, {"BUY": "BUY", "SELL": "SELL"}) == seen(down, {"BUY": "SELL", "SELL": "BUY"})


def recorded(path: Path, bar_type: BarType, precision: int, size_precision: int) -> list[Bar]:
    bars = []
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            at_ns = (int(row["close_time"]) + 1) * 1_000_000
            prices = [
                Price.from_str(f"{D(row[name]):.{precision}f}")
                for name in ("open", "high", "low", "close")
            ]
            volume = Quantity.from_str(f"{D(row['volume']):.{size_precision}f}")
            bars.append(Bar(bar_type, *prices, volume, at_ns, at_ns))
    return bars


@pytest.mark.skipif(not MONTH.is_file(), reason="needs the recordings")
@pytest.mark.long
def test_hedge_grid_paths_recorded_market_has_no_error_and_no_unexplained_reject() -> None:
    """The exchange accepts every order, except those that the market has passed.

    The market is a week; in `make test-full` the whole month.
    """
    bar_type = BarType.from_str("LINKUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")
    (described,) = [
        each
        for each in json.loads((MONTH.parent / "exchangeInfo-mainnet-20241020.json").read_text())[
            "symbols"
        ]
        if each["symbol"] == "LINKUSDT"
    ]
    link = parse_instrument("um", described, 0)
    engine = make_engine(bar_execution=True)
    try:
        engine.add_instrument(link)
        strategy = HedgeGridV1(
            config(
                instrument_id=link.id, bar_type=bar_type, base_qty=D(10), grid_levels_long=3,
                grid_levels_short=3, tp_steps=2, sl_steps=8, grid_step_bps=D(20),
                recenter_trigger_bps=80.0, max_inventory_quote=D(500), qty_scale=D("1.1"),
                max_position_size=D(10**6), ema_fast=20, ema_slow=50, adx_len=14, atr_len=14,
            )
        )  # fmt: skip
        engine.add_strategy(strategy)
        bars = recorded(MONTH, bar_type, link.price_precision, link.size_precision)
        bars = bars if FULL else bars[: 7 * 1440]
        engine.add_data(bars)
        engine.run()
        orders = orders_of(engine)
        refused = [order for order in orders if order.status == OrderStatus.REJECTED]
        # A post-only order that would have taken, or a stop that the market has passed: no error.
        explained = [
            order.last_event.due_post_only or "in the market" in order.last_event.reason
            for order in refused
        ]
        assert all(explained)
        assert not [order for order in orders if order.status == OrderStatus.DENIED]
        assert len(refused) < len(orders) / 20
        filled = sum(order.status == OrderStatus.FILLED for order in orders)
        assert filled > len(bars) / 40
        assert strategy.detector.bars == len(bars)
        for book in BOOKS:
            quantity, price = strategy._orders.account.position(book)
            assert quantity * price <= 500
    finally:
        engine.dispose()
