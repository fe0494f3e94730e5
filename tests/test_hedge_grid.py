"""HedgeGridV1 on made-up prices: exact orders, exits and cancels, in Nautilus' own engine."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderStatus, TradingState
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity

from warmup_job.nautilus.instruments import parse_instrument
from warmup_job.regime.detector import DetectorBar
from warmup_job.simulator.symbols import default_symbols
from warmup_job.trading.hedge_grid import HedgeGridV1, HedgeGridV1Config

BAR_TYPE = BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")
START_NS = 1_700_000_040_000_000_000
SECOND_NS = 1_000_000_000


def instrument() -> Any:
    listed = {(each.market, each.name): each for each in default_symbols()}
    return parse_instrument("um", listed["um", "BTCUSDT"].info(), START_NS)


def config(**changes: Any) -> HedgeGridV1Config:
    settings: dict[str, Any] = {
        "instrument_id": BAR_TYPE.instrument_id, "bar_type": BAR_TYPE, "oms_type": "HEDGING",
        "grid_step_bps": Decimal(10), "grid_levels_long": 3, "grid_levels_short": 3,
        "base_qty": Decimal("0.004"), "qty_scale": Decimal(1), "tp_steps": 1,
        "recenter_trigger_bps": 100.0, "ema_fast": 5, "ema_slow": 10, "adx_len": 5, "atr_len": 5,
        "hysteresis_bps": 10.0,
    }  # fmt: skip
    return HedgeGridV1Config(**settings | changes)


def warm(strategy: HedgeGridV1, price: float = 50_000.0) -> None:
    strategy.warmup_regime_detector([DetectorBar(price, price, price, price, 1.0)] * 40)


class Market:
    """Quotes and bars at given seconds, one tick apart around the price."""

    def __init__(self) -> None:
        self.data: list[Any] = []

    def quote(self, second: float, price: str) -> Market:
        at = START_NS + round(second * SECOND_NS)
        bid, ask = (Price(Decimal(price) + Decimal(half), 2) for half in ("-0.05", "0.05"))
        size = Quantity.from_str("10.000")
        tick = QuoteTick(BAR_TYPE.instrument_id, bid, ask, size, size, at, at)
        self.data.append(tick)
        return self

    def bar(self, second: float, price: str) -> Market:
        at = START_NS + round(second * SECOND_NS)
        value = Price.from_str(price)
        self.data.append(
            Bar(BAR_TYPE, value, value, value, value, Quantity.from_str("1.000"), at, at)
        )
        return self


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    made.add_venue(
        Venue("BINANCE"), OmsType.HEDGING, AccountType.MARGIN, [Money(100_000, USDT)],
        default_leverage=Decimal(10), bar_execution=False, use_reduce_only=False,
    )  # fmt: skip
    made.add_instrument(instrument())
    yield made
    made.dispose()


def run(engine: BacktestEngine, strategy: HedgeGridV1, market: Market) -> list[Any]:
    """Play the market; the strategy's orders in the order they were made."""
    engine.add_strategy(strategy)
    engine.add_data(market.data, sort=True)
    engine.run()
    return sorted(
        engine.cache.orders(), key=lambda order: int(order.client_order_id.value.rpartition("-")[2])
    )


def told(orders: list[Any]) -> list[tuple[str, str, str]]:
    return [(OrderSide(order.side).name, str(order.price), str(order.quantity)) for order in orders]


LADDER = [
    ("BUY", "49950.00", "0.004"), ("BUY", "49900.00", "0.004"), ("BUY", "49850.10", "0.004"),
    ("SELL", "50050.00", "0.004"), ("SELL", "50100.10", "0.004"), ("SELL", "50150.20", "0.004"),
]  # fmt: skip


def test_a_warm_strategy_lays_its_ladder_on_the_first_bar(engine: BacktestEngine) -> None:
    strategy = HedgeGridV1(config())
    warm(strategy)
    orders = run(engine, strategy, Market().quote(1, "50000").bar(2, "50000").quote(3, "50000"))
    assert told(orders) == LADDER
    assert all(order.is_post_only for order in orders)
    longs = {str(order.position_id) for order in orders if order.side == OrderSide.BUY}
    assert all(order.status == OrderStatus.ACCEPTED for order in orders)
    assert longs <= {"None", "BTCUSDT-PERP.BINANCE-LONG"}


def test_a_cold_strategy_sends_nothing(engine: BacktestEngine) -> None:
    market = Market().quote(1, "50000").bar(2, "50000").bar(62, "50010").quote(70, "49000")
    assert run(engine, HedgeGridV1(config()), market) == []


def test_a_halted_strategy_sends_nothing(engine: BacktestEngine) -> None:
    strategy = HedgeGridV1(config())
    warm(strategy)
    engine.add_strategy(strategy)
    engine.add_data(Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").data)
    engine.kernel.risk_engine.set_trading_state(TradingState.HALTED)
    strategy._on_risk_event(type("Event", (), {"state": TradingState.HALTED})())
    engine.run()
    assert engine.cache.orders() == []


def test_an_unchanged_ladder_sends_nothing_more(engine: BacktestEngine) -> None:
    strategy = HedgeGridV1(config())
    warm(strategy)
    market = Market().quote(1, "50000")
    for minute in range(5):
        market.bar(2 + 60 * minute, "50000").quote(3 + 60 * minute, "50003")
    assert told(run(engine, strategy, market)) == LADDER


def test_every_filled_rung_has_its_own_exit_and_rests_until_it_is_closed(
    engine: BacktestEngine,
) -> None:
    strategy = HedgeGridV1(config())
    warm(strategy)
    market = (
        Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
        .quote(10, "49890")          # fills the first two LONG rungs
        .bar(62, "49890")            # the filled ones are not laid again
        .quote(70, "49960")          # closes the lower one: 49900 · 1.001
        .bar(122, "49960")           # now that one is laid again
        .quote(130, "49960")
    )  # fmt: skip
    orders = run(engine, strategy, market)
    assert told(orders)[:6] == LADDER
    exits = orders[6:8]
    assert told(exits) == [("SELL", "50000.00", "0.004"), ("SELL", "49949.90", "0.004")]
    assert [str(order.quantity) for order in exits] == ["0.004", "0.004"]
    assert exits[1].status == OrderStatus.FILLED
    assert exits[0].status == OrderStatus.ACCEPTED  # an exit stays when the strategy stops
    assert told(orders[8:]) == [("BUY", "49900.00", "0.004")]
    (position,) = engine.cache.positions_open()
    assert str(position.quantity) == "0.004"
    assert str(position.id) == "BTCUSDT-PERP.BINANCE-LONG"


def test_short_rungs_are_closed_below(engine: BacktestEngine) -> None:
    strategy = HedgeGridV1(config())
    warm(strategy)
    market = (
        Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(10, "50060")
        .quote(20, "49990")
    )  # fmt: skip
    orders = run(engine, strategy, market)
    (exit_,) = orders[6:]
    assert told([exit_]) == [("BUY", "49999.90", "0.004")]
    assert exit_.status == OrderStatus.FILLED
    assert engine.cache.positions_open() == []


def test_the_ladder_follows_a_market_that_left_and_has_no_gap_of_a_bar(
    engine: BacktestEngine,
) -> None:
    strategy = HedgeGridV1(config(grid_levels_short=0))
    warm(strategy)
    market = (
        Market().quote(1, "50000").bar(2, "50000").quote(50, "51000").bar(62, "51000")
        .quote(63, "51000")
    )  # fmt: skip
    orders = run(engine, strategy, market)
    assert told(orders[:3]) == LADDER[:3]
    assert told(orders[3:]) == [
        ("BUY", "50949.00", "0.004"), ("BUY", "50898.00", "0.004"), ("BUY", "50847.10", "0.004"),
    ]  # fmt: skip
    assert [order.status for order in orders[:3]] == [OrderStatus.CANCELED] * 3
    assert orders[0].ts_last < START_NS + 63 * SECOND_NS


def test_an_exit_that_the_market_has_run_past_is_sent_at_once_on_the_makers_side(
    engine: BacktestEngine,
) -> None:
    """The target is behind the market already: a post-only exit there would be rejected."""
    strategy = HedgeGridV1(config(grid_levels_short=0, grid_levels_long=1))
    warm(strategy)
    strategy._mid = None
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(10, "49940")
    market.quote(10.001, "51000").bar(62, "51000").quote(63, "51100")
    orders = run(engine, strategy, market)
    assert orders[0].status == OrderStatus.FILLED
    done = [o for o in orders[1:] if o.side == OrderSide.SELL and o.status == OrderStatus.FILLED]
    assert done
    assert engine.cache.positions_open() == []
