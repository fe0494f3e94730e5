"""Strategies of many kinds for tests of the handoff; the trader imports them by path."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.config import StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide, TriggerType
from nautilus_trader.model.identifiers import InstrumentId, PositionId
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.catalog.nautilus_bars import interval_of, open_ms_of
from warmup_job.hedge_grid.strategy import HedgeGridV1, HedgeGridV1Config
from warmup_job.market.times import NS_PER_MS
from warmup_job.regime.detector import DetectorBar


class Sent(NamedTuple):
    """An order that was sent, and the strategy's state at that time."""

    at_ms: int
    newest_open_ms: int
    bars: int
    warm: bool


class Recorder(HedgeGridV1):
    """HedgeGridV1 that records the bars it receives and its state at each order."""

    def __init__(self, config: HedgeGridV1Config) -> None:
        super().__init__(config)
        self.opens: list[int] = []
        self.on_bar_opens: list[int] = []
        self.sent: list[Sent] = []
        self.interval = interval_of(config.bar_type)

    def warmup_regime_detector(self, historical_bars: Iterable[DetectorBar]) -> None:
        bars = list(historical_bars)
        self.opens += [self.interval.floor(bar.close_ms or 0) for bar in bars]
        super().warmup_regime_detector(bars)

    def on_historical_data(self, data: object) -> None:
        if isinstance(data, Bar):
            self.opens.append(open_ms_of(data, self.interval))
        super().on_historical_data(data)

    def on_bar(self, bar: Bar) -> None:
        self.opens.append(open_ms_of(bar, self.interval))
        self.on_bar_opens.append(self.opens[-1])
        super().on_bar(bar)

    def on_order_submitted(self, event: Any) -> None:
        at_ms = self.clock.timestamp_ns() // NS_PER_MS
        newest_ms = self.opens[-1] if self.opens else 0
        self.sent.append(Sent(at_ms, newest_ms, len(self.opens), self.is_warm))


class Impatient(Strategy):
    """Sends an order on every quote from its start on, warm or not."""

    def __init__(self, grid: Recorder) -> None:
        super().__init__(StrategyConfig(order_id_tag="900", oms_type="HEDGING"))
        self.grid = grid
        self.sent: list[Sent] = []
        self.denied = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.grid.config.instrument_id)

    def on_quote_tick(self, tick: Any) -> None:
        instrument = self.cache.instrument(tick.instrument_id)
        order = self.order_factory.limit(
            instrument.id,
            OrderSide.BUY,
            instrument.make_qty("0.01"),
            instrument.make_price("10000.00"),
        )
        self.submit_order(order)

    def on_order_denied(self, event: Any) -> None:
        self.denied += 1

    def on_order_accepted(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        if not order.is_closed:
            self.cancel_order(order)

    def on_order_submitted(self, event: Any) -> None:
        at_ms = self.clock.timestamp_ns() // NS_PER_MS
        opens = self.grid.opens
        self.sent.append(Sent(at_ms, opens[-1] if opens else 0, len(opens), self.grid.is_warm))


class FollowerConfig(StrategyConfig, frozen=True):  # type: ignore[call-arg]
    """Configuration of a strategy that averages closes of one or several bar types."""

    instrument_id: InstrumentId
    bar_types: tuple[BarType, ...]
    period: int = 10
    subscribe_after_s: float = 0.0
    request_first: bool = False
    request_late: bool = False
    order_on_subscribing: bool = False
    orders: int = 0
    let_go_of: BarType | None = None
    also: str = ""
    """What it follows beside them, and its configuration does not name: 1-SECOND-LAST-EXTERNAL."""
    also_on_history: bool = False
    """Follow it only when its history arrives."""
    stop_on_bar: bool = False
    buy_on_bar: bool = False
    """Send market orders without looking at quotes."""
    fail_in: str = ""
    keep: bool = False


class Follower(Strategy):
    """Registers its averages where a strategy's author would: before it is started."""

    def __init__(self, config: FollowerConfig) -> None:
        super().__init__(config)
        self.seen: dict[BarType, list[int]] = {each: [] for each in config.bar_types}
        self.live: dict[BarType, list[int]] = {each: [] for each in config.bar_types}
        self.averages = {each: ExponentialMovingAverage(config.period) for each in config.bar_types}
        for bar_type, average in self.averages.items():
            self.register_indicator_for_bars(bar_type, average)
        self.given: dict[str, bytes] | None = None
        self.probe: Order | None = None
        self._sent = 0

    # -- subscriptions

    def on_start(self) -> None:
        if not gc.isenabled():
            raise RuntimeError("nobody looks for garbage in this process")
        if self.config.fail_in == "on_start":
            raise ValueError("a mistake of its own")
        after_s = self.config.subscribe_after_s
        if self.config.request_first:
            for bar_type in self.config.bar_types:
                self.request_bars(bar_type, start=self.clock.utc_now() - timedelta(hours=1))
        if after_s:
            self.clock.set_time_alert(
                "late", self.clock.utc_now() + timedelta(seconds=after_s), lambda _: self._late()
            )
        else:
            self._begin()

    def _late(self) -> None:
        """Run in the clock's thread; responses arrive on the event loop."""
        if self.config.request_late:
            (bar_type,) = self.config.bar_types
            start = self.clock.utc_now() - timedelta(hours=1)
            self.request_bars(bar_type, start=start, callback=lambda _: self._begin())
        else:
            self._begin()

    def _begin(self) -> None:
        for bar_type in self.config.bar_types:
            self.subscribe_bars(bar_type)
        if not self.config.also_on_history:
            self._follow_more()
        if self.config.order_on_subscribing:
            self.probe = self._order("10000.00", reduce_only=False)

    def _follow_more(self) -> None:
        if self.config.also:
            self.subscribe_bars(BarType.from_str(f"{self.config.instrument_id}-{self.config.also}"))

    def on_historical_data(self, data: Any) -> None:
        if self.config.also_on_history and not any(self.seen.values()):
            self._follow_more()
        if self.config.fail_in == "on_historical_data":
            raise ValueError("a mistake of its own")
        self.seen.setdefault(data.bar_type, []).append(self._open_ms(data))

    def on_bar(self, bar: Bar) -> None:
        if self.config.fail_in == "on_bar":
            if self._sent:
                raise ValueError("a mistake of its own")
            self._order("10000.00", reduce_only=False)
            return
        if bar.bar_type.is_internally_aggregated():
            return
        if self.config.stop_on_bar:
            self.stop()
        if self.config.buy_on_bar and not self._sent:
            self._sent += 1
            instrument = self.cache.instrument(self.config.instrument_id)
            quantity = instrument.make_qty("0.01")
            self.submit_order(self.order_factory.market(instrument.id, OrderSide.BUY, quantity))
        self.seen.setdefault(bar.bar_type, []).append(self._open_ms(bar))
        self.live.setdefault(bar.bar_type, []).append(self._open_ms(bar))
        if bar.bar_type == self.config.let_go_of:
            self.unsubscribe_bars(bar.bar_type)
        while self._sent < self.config.orders:
            self._order(f"{10_000 + self._sent}.00", reduce_only=bool(self._sent % 2))

    # -- saved state

    def on_save(self) -> dict[str, bytes]:
        return {"bars": str(sum(map(len, self.seen.values()))).encode()} if self.config.keep else {}

    def on_load(self, state: dict[str, bytes]) -> None:
        self.given = dict(state)

    # -- orders

    def _order(self, price: str, *, reduce_only: bool) -> Order:
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.limit(
            instrument.id,
            OrderSide.BUY,
            instrument.make_qty("0.01"),
            instrument.make_price(price),
            reduce_only=reduce_only,
        )
        self._sent += 1
        self.submit_order(order)
        return order

    def _open_ms(self, bar: Bar) -> int:
        return open_ms_of(bar, interval_of(bar.bar_type))


class WitnessConfig(StrategyConfig, frozen=True):  # type: ignore[call-arg]
    """Configuration of a strategy that records its bars, their source and order."""

    instrument_id: InstrumentId
    bar_types: tuple[BarType, ...]
    period: int = 0
    """Of an average that it registers for each bar type; 0: none."""
    requests: str = ""
    """before or after: whether it requests bars before or after it subscribes; or both."""
    request_minutes: int = 60
    orders: bool = False
    """Send an order in each on_bar."""
    terminate: bool = False
    """End its own process right after that."""


class Given(NamedTuple):
    """One received bar: by on_bar or as history, and the outcome of an order on it."""

    way: str
    bar_type: str
    close_ms: int
    order: Order | None = None


class ByHand(Strategy):
    """Updates itself only in on_bar, as many strategies do."""

    def __init__(self, config: WitnessConfig) -> None:
        super().__init__(config)
        self.given: list[Given] = []
        self.answered = 0
        self.averages = {}
        if config.period:
            for bar_type in config.bar_types:
                self.averages[bar_type] = ExponentialMovingAverage(config.period)

    def on_start(self) -> None:
        for bar_type, average in self.averages.items():
            self.register_indicator_for_bars(bar_type, average)
        if self.config.requests in {"before", "both"}:
            self._request()
        for bar_type in self.config.bar_types:
            self.subscribe_bars(bar_type)
        if self.config.requests in {"after", "both"}:
            self._request()

    def _request(self) -> None:
        start = self.clock.utc_now() - timedelta(minutes=self.config.request_minutes)
        for bar_type in self.config.bar_types:
            self.request_bars(bar_type, start=start, callback=self._on_answer)

    def _on_answer(self, request_id: object) -> None:
        self.answered += 1

    def on_bar(self, bar: Bar) -> None:
        self.note("on_bar", bar)

    def note(self, way: str, bar: Bar) -> None:
        order = None
        if way == "on_bar" and self.config.orders:
            instrument = self.cache.instrument(self.config.instrument_id)
            order = self.order_factory.limit(
                instrument.id,
                OrderSide.BUY,
                instrument.make_qty("0.01"),
                instrument.make_price("10000.00"),
            )
            self.submit_order(order)
            if self.config.terminate:
                os.kill(os.getpid(), signal.SIGTERM)
        close_ms = round(bar.ts_event / NS_PER_MS)
        self.given.append(Given(way, str(bar.bar_type), close_ms, order))

    def closes(self, way: str, bar_type: BarType | None = None) -> list[int]:
        """Return the close times of the bars that were received in this way."""
        wanted = None if bar_type is None else str(bar_type)
        return [
            each.close_ms
            for each in self.given
            if each.way == way and wanted in {None, each.bar_type}
        ]


class Witness(ByHand):
    """Also accepts history."""

    def on_historical_data(self, data: Any) -> None:
        self.note("history", data)


class Emulating(Witness):
    """Places emulated orders around the market, which Nautilus sends when they trigger."""

    def on_start(self) -> None:
        self.events: list[str] = []
        self.subscribe_quote_ticks(self.config.instrument_id)
        super().on_start()

    def place(self) -> None:
        """Place buy orders so close below and above the market that some trigger soon."""
        instrument = self.cache.instrument(self.config.instrument_id)
        quote = self.cache.quote_tick(instrument.id)
        bid, ask = quote.bid_price.as_decimal(), quote.ask_price.as_decimal()
        quantity = instrument.make_qty("0.0005")
        for step in range(1, 60):
            off = Decimal(step) / 100_000
            trigger = {"emulation_trigger": TriggerType.BID_ASK}
            low, high = (
                instrument.make_price(bid * (1 - off)),
                instrument.make_price(ask * (1 + off)),
            )
            buy = (instrument.id, OrderSide.BUY, quantity)
            self.submit_order(self.order_factory.limit(*buy, low, **trigger))
            self.submit_order(self.order_factory.stop_market(*buy, high, **trigger))

    def on_order_event(self, event: Any) -> None:
        self.events.append(type(event).__name__)


class FailingOnce(Witness):
    """Raises only in its first on_bar."""

    def on_bar(self, bar: Bar) -> None:
        super().on_bar(bar)
        if len(self.closes("on_bar")) == 1:
            raise ValueError("a mistake of its own")


class Hedged(Witness):
    """Opens 0.02 LONG and 0.01 SHORT, which is long in net, and closes both at the end."""

    def on_start(self) -> None:
        self.trading: list[str] = []
        self.leaving: list[Order] = []
        """The exits that it sends as it stops."""
        self.msgbus.subscribe("events.risk", lambda event: self.trading.append(event.state.name))
        super().on_start()

    def held(self, book: str) -> Decimal:
        """Return the open quantity of a book."""
        position = self.cache.position(PositionId(f"{self.config.instrument_id}-{book}"))
        return Decimal(0) if position is None else position.quantity.as_decimal()

    def on_stop(self) -> None:
        self.leaving = [
            self.trade("LONG", OrderSide.SELL, "0.020"),
            self.trade("SHORT", OrderSide.BUY, "0.010"),
        ]

    def trade(self, book: str, side: OrderSide, quantity: str) -> Order:
        """Send a market order for a book. None of them says reduce_only, as in hedge mode."""
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.market(instrument.id, side, instrument.make_qty(quantity))
        self.submit_order(order, position_id=PositionId(f"{instrument.id}-{book}"))
        return order

    def rest(self, book: str, side: OrderSide, price: str) -> Order:
        """Send a limit order of 0.010 for a book."""
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.limit(
            instrument.id, side, instrument.make_qty("0.010"), instrument.make_price(price)
        )
        self.submit_order(order, position_id=PositionId(f"{instrument.id}-{book}"))
        return order


class Flooding(Hedged):
    """Sends 130 entries at once beside its hedge, then a stop for each book."""

    def flood(self) -> tuple[list[Order], list[Order]]:
        """Return the entries and the stops."""
        entries = [
            self.rest("LONG", OrderSide.BUY, f"{10_000 + number}.00") for number in range(130)
        ]
        stops = [
            self.stop_loss("LONG", OrderSide.SELL, "1000.00"),
            self.stop_loss("SHORT", OrderSide.BUY, "900000.00"),
        ]
        return entries, stops

    def stop_loss(self, book: str, side: OrderSide, price: str) -> Order:
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.stop_market(
            instrument.id, side, instrument.make_qty("0.010"), instrument.make_price(price)
        )
        self.submit_order(order, position_id=PositionId(f"{instrument.id}-{book}"))
        return order
