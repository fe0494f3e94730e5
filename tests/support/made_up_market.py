"""A synthetic market for HedgeGridV1 in Nautilus' own engine: quotes and bars to the second."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance.futures.types import BinanceFuturesMarkPriceUpdate
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType, CustomData, DataType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderType
from nautilus_trader.model.events import (
    OrderCancelRejected,
    OrderDenied,
    OrderRejected,
    OrderSubmitted,
)
from nautilus_trader.model.identifiers import ClientId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity

from warmup_job.catalog.instruments import parse_instrument
from warmup_job.hedge_grid.strategy import HedgeGridV1, HedgeGridV1Config
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.regime.detector import DetectorBar

BAR_TYPE = BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")
START_NS = 1_700_000_040_000_000_000
SECOND_NS = 1_000_000_000


def instrument() -> Any:
    listed = {(each.market, each.name): each for each in default_symbols()}
    return parse_instrument("um", listed["um", "BTCUSDT"].info(), START_NS)


def key(letter: str) -> str:
    """Return a key of the form that the grid's order ids have; another one for each letter."""
    return f"20231114-221400-001-000-{ord(letter)}"


def config(**changes: Any) -> HedgeGridV1Config:
    settings: dict[str, Any] = {
        "instrument_id": BAR_TYPE.instrument_id, "bar_type": BAR_TYPE, "oms_type": "HEDGING",
        "grid_step_bps": Decimal(10), "grid_levels_long": 3, "grid_levels_short": 3,
        "base_qty": Decimal("0.004"), "qty_scale": Decimal(1), "tp_steps": 1, "sl_steps": 30,
        "recenter_trigger_bps": 100.0, "max_inventory_quote": Decimal(50_000),
        "funding_window_minutes": 480, "funding_max_cost_bps": Decimal(10),
        "max_position_size": Decimal(1), "max_leverage_used": Decimal(5),
        "emergency_liquidation_buffer": Decimal("0.1"), "policy": "throttled-counter",
        "counter_levels": 2, "counter_qty_scale": Decimal("0.5"), "retry_delay_ms": 0,
        "ema_fast": 5, "ema_slow": 10, "adx_len": 5, "atr_len": 5, "hysteresis_bps": 10.0,
    }  # fmt: skip
    return HedgeGridV1Config(**settings | changes)


def warm(strategy: HedgeGridV1, price: float = 50_000.0) -> None:
    strategy.warmup_regime_detector([DetectorBar(price, price, price, price, 1.0)] * 40)


class Market:
    """Quotes and bars at given seconds, one tick apart around the price."""

    def __init__(self) -> None:
        self.data: list[Any] = []

    def quote(self, second: float, price: str, size: str = "10.000") -> Market:
        at = START_NS + round(second * SECOND_NS)
        bid, ask = (
            Price.from_str(f"{Decimal(price) + Decimal(half):.2f}") for half in ("-0.05", "0.05")
        )
        depth = Quantity.from_str(size)
        self.data.append(QuoteTick(BAR_TYPE.instrument_id, bid, ask, depth, depth, at, at))
        return self

    def bar(self, second: float, price: str, late: float = 0) -> Market:
        """Add a bar that closed ``late`` seconds before it arrives."""
        at = START_NS + round(second * SECOND_NS)
        value = Price.from_str(price)
        closed_at = at - round(late * SECOND_NS)
        self.data.append(
            Bar(BAR_TYPE, value, value, value, value, Quantity.from_str("1.000"), closed_at, at)
        )
        return self

    def funding(self, second: float, rate: str, in_minutes: int = 60) -> Market:
        """Add a mark price update: the next funding rate, and its due time."""
        at = START_NS + round(second * SECOND_NS)
        price = Price.from_str("50000.00")
        update = BinanceFuturesMarkPriceUpdate(
            BAR_TYPE.instrument_id, price, price, price, Decimal(rate),
            at + in_minutes * 60 * SECOND_NS, at, at,
        )  # fmt: skip
        kind = DataType(
            BinanceFuturesMarkPriceUpdate, metadata={"instrument_id": BAR_TYPE.instrument_id}
        )
        self.data.append(CustomData(kind, update))
        return self


def make_engine(
    balance: int = 100_000, risk: RiskEngineConfig | None = None, **venue: Any
) -> BacktestEngine:
    logging = LoggingConfig(bypass_logging=True)
    made = BacktestEngine(
        BacktestEngineConfig(logging=logging, risk_engine=risk or RiskEngineConfig())
    )
    made.add_venue(
        Venue("BINANCE"), OmsType.HEDGING, AccountType.MARGIN, [Money(balance, USDT)],
        **{"default_leverage": Decimal(10), "bar_execution": False, "use_reduce_only": False,
           "liquidity_consumption": True}
        | venue,
    )  # fmt: skip
    made.add_instrument(instrument())
    return made


def answer_instead(engine: BacktestEngine, answer: Callable[[Any], bool]) -> None:
    """Let ``answer`` see each command first; one that it answers never reaches the exchange."""
    endpoint, ours = "ExecEngine.execute", engine.kernel.exec_engine

    def execute(command: Any) -> None:
        if not answer(command):
            ours.execute(command)

    engine.kernel.msgbus.deregister(endpoint, ours.execute)
    engine.kernel.msgbus.register(endpoint, execute)


def refuse_cancels(engine: BacktestEngine, until_s: float) -> None:
    """Until then the exchange refuses each cancel and keeps the order."""

    def answer(command: Any) -> bool:
        now_ns = engine.kernel.clock.timestamp_ns()
        if not isinstance(command, CancelOrder) or now_ns >= START_NS + until_s * SECOND_NS:
            return False
        order = engine.cache.order(command.client_order_id)
        engine.kernel.exec_engine.process(
            OrderCancelRejected(
                order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id,
                order.venue_order_id, order.account_id, "made up", UUID4(), now_ns, now_ns,
            )
        )  # fmt: skip
        return True

    answer_instead(engine, answer)


def deny_exits(engine: BacktestEngine, until_s: float) -> None:
    """Until then Nautilus denies every exit."""

    def answer(command: Any) -> bool:
        order, now_ns = getattr(command, "order", None), engine.kernel.clock.timestamp_ns()
        if order is None or not order.is_reduce_only or now_ns >= START_NS + until_s * SECOND_NS:
            return False
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        engine.kernel.exec_engine.process(OrderDenied(*ids, "made up", UUID4(), now_ns))
        return True

    answer_instead(engine, answer)


def refuse(
    engine: BacktestEngine,
    strategy: HedgeGridV1,
    which: Callable[[Any], bool],
    reason: str | Callable[[], str],
    *,
    due_post_only: bool = False,
) -> None:
    """The exchange refuses these orders, a ms after they were sent."""
    process = engine.kernel.exec_engine.process

    def answer(command: Any) -> bool:
        order = getattr(command, "order", None)
        if order is None or not which(order):
            return False
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        account_id = engine.cache.accounts()[0].id
        now_ns = engine.kernel.clock.timestamp_ns()
        at_ns = now_ns + 1_000_000
        process(OrderSubmitted(*ids, account_id, UUID4(), now_ns, now_ns))
        rejected = OrderRejected(
            *ids,
            account_id,
            reason if isinstance(reason, str) else reason(),
            UUID4(),
            at_ns,
            at_ns,
            due_post_only=due_post_only,
        )
        strategy.clock.set_time_alert_ns(f"refuse {ids[-1]}", at_ns, lambda _: process(rejected))
        return True

    answer_instead(engine, answer)


def refuse_small_exits(engine: BacktestEngine, strategy: HedgeGridV1) -> None:
    """The exchange requires its minimum notional of 100 also for closing orders."""

    def is_small(order: Any) -> bool:
        if not order.is_reduce_only or price_of(order) == "market":
            return False
        return bool(Decimal(price_of(order)) * order.quantity.as_decimal() < 100)

    reason = "-4164: Order's notional must be no smaller than 100 (unless you choose reduce only)."
    refuse(engine, strategy, is_small, reason)


def run(engine: BacktestEngine, strategy: HedgeGridV1, market: Market) -> list[Any]:
    """Play the market; return the strategy's orders in order of creation."""
    engine.add_strategy(strategy)
    feed(engine, market)
    engine.run()
    return orders_of(engine)


def feed(engine: BacktestEngine, market: Market) -> None:
    news = [each for each in market.data if isinstance(each, CustomData)]
    engine.add_data([each for each in market.data if not isinstance(each, CustomData)], sort=True)
    if news:
        engine.add_data(news, client_id=ClientId("BINANCE"), sort=True)


def orders_of(engine: BacktestEngine) -> list[Any]:
    """Return orders in order of creation: the stop loss of a pair before its take profit."""

    def made(order: Any) -> tuple[int, int, str]:
        kind, _, key = order.client_order_id.value.partition("-")  # O-… is not the grid's
        return order.init_event.ts_init, int(key.rpartition("-")[2]), kind

    return sorted(engine.cache.orders(), key=made)


def price_of(order: Any) -> str:
    """Return the limit or trigger price, or "market"."""
    if order.order_type == OrderType.MARKET:
        return "market"
    return str(order.price if order.has_price else order.trigger_price)


def summarised(orders: list[Any]) -> list[tuple[str, str, str]]:
    """Side, price and quantity of each order."""
    return [(OrderSide(order.side).name, price_of(order), str(order.quantity)) for order in orders]


def of_kind(orders: list[Any], letter: str) -> list[Any]:
    """Return orders of one kind: E entries, T take profits, S stop losses."""
    return [order for order in orders if order.client_order_id.value[0] == letter]
