"""A strategy on two timeframes: 15-minute bars say whether to buy, 1-minute bars say when.

This is an example to start from, not advice. It has no stop loss.

`warmup-job trade` delivers the history before it lets an order leave, so there is no code for the
warm-up here: no `request_bars`, no waiting. Two rules make that work:

1. Register each indicator for its bars (`register_indicator_for_bars`), before you subscribe.
2. Declare each indicator in warmup.yaml (`warmup.indicators`), with its kind, period and interval.
   Then the job fetches as many bars as the indicator needs.
"""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId, PositionId
from nautilus_trader.trading.strategy import Strategy


class MyStrategyConfig(StrategyConfig, frozen=True):
    """The fields that the strategy file gives below `config`.

    Attributes:
        instrument_id: What is traded.
        entry_bar_type: The 1-minute bars.
        trend_bar_type: The 15-minute bars.
        order_value: The value of a position, in quote currency.
        fast_period: Period of the fast average of 1-minute bars.
        slow_period: Period of the slow average of 1-minute bars.
        trend_period: Period of the average of 15-minute bars.
    """

    instrument_id: InstrumentId
    entry_bar_type: BarType
    trend_bar_type: BarType
    order_value: Decimal = Decimal(250)
    fast_period: int = 10
    slow_period: int = 20
    trend_period: int = 50


class MyStrategy(Strategy):
    """Is long while the fast average is above the slow one, if it began above the trend."""

    def __init__(self, config: MyStrategyConfig) -> None:
        super().__init__(config)
        self.fast = ExponentialMovingAverage(config.fast_period)
        self.slow = ExponentialMovingAverage(config.slow_period)
        self.trend = ExponentialMovingAverage(config.trend_period)
        # Binance's hedge mode needs the side that an order belongs to: …-LONG or …-SHORT.
        self.position_id = PositionId(f"{config.instrument_id}-LONG")

    def on_start(self) -> None:
        """Register the indicators, then subscribe; the history arrives before the first bar."""
        entry, trend = self.config.entry_bar_type, self.config.trend_bar_type
        self.register_indicator_for_bars(entry, self.fast)
        self.register_indicator_for_bars(entry, self.slow)
        self.register_indicator_for_bars(trend, self.trend)
        self.subscribe_bars(trend)
        self.subscribe_bars(entry)

    def on_stop(self) -> None:
        """Leave the position open; `trade.on_stop` says what happens to open orders."""

    def on_bar(self, bar: Bar) -> None:
        """Decide with each closed 1-minute bar. The indicators have this bar already."""
        if bar.bar_type != self.config.entry_bar_type or not self.indicators_initialized():
            return
        if self.cache.orders_inflight(strategy_id=self.id):
            return  # an earlier order has no answer yet
        position = self.cache.position(self.position_id)
        is_long = position is not None and position.is_open
        is_rising = self.fast.value > self.slow.value
        if is_rising and not is_long and bar.close.as_double() > self.trend.value:
            self._buy(bar.close.as_decimal())
        elif is_long and not is_rising:
            self._close(position.quantity)

    def _buy(self, price: Decimal) -> None:
        instrument = self.cache.instrument(self.config.instrument_id)
        step = instrument.size_increment.as_decimal()
        quantity = self.config.order_value / price // step * step
        if quantity <= 0:
            self.log.warning("order_value is below the smallest order of this instrument")
            return
        order = self.order_factory.market(
            self.config.instrument_id, OrderSide.BUY, instrument.make_qty(quantity)
        )
        self.submit_order(order, position_id=self.position_id)

    def _close(self, quantity: object) -> None:
        order = self.order_factory.market(
            self.config.instrument_id, OrderSide.SELL, quantity, reduce_only=True
        )
        self.submit_order(order, position_id=self.position_id)
