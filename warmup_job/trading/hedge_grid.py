"""HedgeGridV1: a grid of post-only limit orders on both sides of the mid, in hedge mode.

A first, honest grid: it re-lays its ladder around the mid on every closed bar, closes what was
filled at a profit, and sends nothing while it is cold or trading is halted.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from nautilus_trader.common.enums import LogColor
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderSide, TradingState
from nautilus_trader.model.events import (
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import FIXED_SCALAR, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from warmup_job.market.moment import NS_PER_MS
from warmup_job.regime.detector import DetectorBar, DetectorSettings, RegimeDetector
from warmup_job.trading.ladder import (
    Book,
    Limits,
    Rung,
    build_ladder,
    take_profit_price,
    to_multiple,
)

_RAW_UNITS = int(FIXED_SCALAR)  # of a price's raw integer; two integers divide to the nearest float


class HedgeGridV1Config(StrategyConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """What the strategy needs, in the strategy file's terms (see docs/configuration.md)."""

    log_events: bool = False  # the strategy says in its own words what matters
    log_commands: bool = False
    instrument_id: InstrumentId
    bar_type: BarType
    grid_step_bps: Decimal
    grid_levels_long: int
    grid_levels_short: int
    base_qty: Decimal
    qty_scale: Decimal
    tp_steps: int
    recenter_trigger_bps: float
    ema_fast: int
    ema_slow: int
    adx_len: int
    atr_len: int
    hysteresis_bps: float


class Exit(NamedTuple):
    """A filled part of a rung, to be closed at a profit."""

    rung: Rung
    entry: Decimal
    quantity: Decimal
    again: bool = False
    """Whether it was turned down before."""


class HedgeGridV1(Strategy):
    """The grid. Positions are `<instrument>-LONG` and `<instrument>-SHORT`."""

    def __init__(self, config: HedgeGridV1Config) -> None:
        super().__init__(config)
        self.detector = RegimeDetector(
            DetectorSettings(
                ema_fast=config.ema_fast,
                ema_slow=config.ema_slow,
                adx_len=config.adx_len,
                atr_len=config.atr_len,
                hysteresis_bps=config.hysteresis_bps,
            )
        )
        self._instrument: Instrument | None = None
        self._mid: Decimal | None = None
        self._center: Decimal | None = None
        self._trading = TradingState.ACTIVE
        self._rungs: dict[ClientOrderId, Rung] = {}
        self._exits: dict[ClientOrderId, Exit] = {}
        self._exits_due: list[Exit] = []

    # -- warm-up ---------------------------------------------------------------------------------

    @property
    def is_warm(self) -> bool:
        """Whether the detector's every indicator has a value."""
        return self.detector.is_warm

    def warmup_regime_detector(self, historical_bars: Iterable[DetectorBar]) -> None:
        """Feed closed bars, oldest first, to the detector before trading starts."""
        bars = list(historical_bars)
        for count, bar in enumerate(bars, start=1):
            regime = self.detector.update(bar)
            if count % 1000 == 0:
                self.log.info(f"Warm-up: {count}/{len(bars)} bars, {regime.value}")
        warm = "warm" if self.detector.is_warm else "still cold"
        self.log.info(
            f"Regime detector {warm}: {self.detector.describe()}",
            LogColor.GREEN if self.detector.is_warm else LogColor.YELLOW,
        )

    def on_historical_data(self, data: object) -> None:
        """Closed bars that were superseded before they could arrive live."""
        if isinstance(data, Bar):
            self._follow(data)

    def _follow(self, bar: Bar) -> None:
        before = self.detector.regime
        after = self.detector.update(detector_bar(bar))
        if after is not before:
            self.log.info(f"Regime {before.value} -> {after.value}", LogColor.MAGENTA)

    # -- life ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Subscribe to bars and quotes."""
        self._instrument = self.cache.instrument(self.config.instrument_id)
        if self._instrument is None:
            self.log.error(f"No instrument {self.config.instrument_id}: is it listed?")
            self.stop()
            return
        self.msgbus.subscribe(topic="events.risk", handler=self._on_risk_event)
        self.subscribe_bars(self.config.bar_type)
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_stop(self) -> None:
        """Let go of the market; what becomes of open orders is the trader's policy."""
        self.msgbus.unsubscribe(topic="events.risk", handler=self._on_risk_event)
        self.unsubscribe_bars(self.config.bar_type)
        self.unsubscribe_quote_ticks(self.config.instrument_id)

    def _on_risk_event(self, event: object) -> None:
        state = getattr(event, "state", None)
        if state is not None:
            self._trading = state
            if state == TradingState.HALTED:
                self._mid = None  # what it was before a gap says nothing after it

    # -- market ----------------------------------------------------------------------------------

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Follow the mid between the best bid and the best ask."""
        self._mid = (tick.bid_price.as_decimal() + tick.ask_price.as_decimal()) / 2

    def on_bar(self, bar: Bar) -> None:
        """The newest closed bar: follow the regime, then have the ladder where it should be."""
        self._follow(bar)
        if self._trading != TradingState.ACTIVE or not self.detector.is_warm:
            return
        mid = self._mid or bar.close.as_decimal()
        self._send_due_exits()
        center = self._center
        if center is None or abs(mid - center) / center * 10_000 > self.config.recenter_trigger_bps:
            for client_order_id in list(self._rungs):
                self._cancel(client_order_id)
            center = self._center = mid
        self._lay(center)

    # -- orders ----------------------------------------------------------------------------------

    def _lay(self, center: Decimal) -> None:
        """Send the rungs that are not there yet; one that was filled rests until it is closed."""
        limits = self._limits()
        standing = {
            (rung.book, rung.level)
            for client_order_id, rung in self._rungs.items()
            if not self._leaves(client_order_id)
        }
        closing = (*self._exits.values(), *self._exits_due)
        standing |= {(each.rung.book, each.rung.level) for each in closing}
        sent = 0
        ladder = build_ladder(
            center,
            step_bps=self.config.grid_step_bps,
            levels={
                "LONG": self.config.grid_levels_long,
                "SHORT": self.config.grid_levels_short,
            },
            base_qty=self.config.base_qty,
            qty_scale=self.config.qty_scale,
            limits=limits,
        )
        for rung in ladder:
            if (rung.book, rung.level) not in standing:
                side = OrderSide.BUY if rung.book == "LONG" else OrderSide.SELL
                self._rungs[self._send(rung.book, side, rung.price, rung.quantity)] = rung
                sent += 1
        if sent:
            lowest, highest = (min(r.price for r in ladder), max(r.price for r in ladder))
            self.log.info(
                f"Ladder around {center:.2f}: {sent} of {len(ladder)} orders sent, "
                f"from {lowest} to {highest}"
            )

    def _leaves(self, client_order_id: ClientOrderId) -> bool:
        """Whether the order is being cancelled."""
        order = self.cache.order(client_order_id)
        return order is not None and bool(order.is_pending_cancel or order.is_closed)

    def _send(
        self,
        book: Book,
        side: OrderSide,
        price: Decimal,
        quantity: Decimal,
        *,
        closing: bool = False,
    ) -> ClientOrderId:
        instrument = self._require_instrument()
        order = self.order_factory.limit(
            instrument_id=instrument.id,
            order_side=side,
            quantity=Quantity(quantity, instrument.size_precision),
            price=Price(price, instrument.price_precision),
            post_only=True,
            reduce_only=closing,
        )
        self.submit_order(order, position_id=PositionId(f"{instrument.id}-{book}"))
        return order.client_order_id

    def _send_due_exits(self) -> None:
        due, self._exits_due = self._exits_due, []
        for each in due:
            book = each.rung.book
            price = take_profit_price(
                book,
                each.entry,
                step_bps=self.config.grid_step_bps,
                tp_steps=self.config.tp_steps,
                tick=self._limits().tick,
            )
            # The market has run past the target: stay on the maker's side of it.
            if each.again and self._mid is not None:
                tick = self._limits().tick
                nearest = to_multiple(self._mid, tick, ROUND_FLOOR)
                price = max(price, nearest + tick) if book == "LONG" else min(price, nearest)
            side = OrderSide.SELL if book == "LONG" else OrderSide.BUY
            self._exits[self._send(book, side, price, each.quantity, closing=True)] = each

    def _cancel(self, client_order_id: ClientOrderId) -> None:
        order = self.cache.order(client_order_id)
        if order is not None and not order.is_closed:
            self.cancel_order(order)

    # -- order events ----------------------------------------------------------------------------

    def on_order_filled(self, event: OrderFilled) -> None:
        """Close every filled part of a rung at a profit, at once unless trading is halted."""
        order = self.cache.order(event.client_order_id)
        rung = self._rungs.get(event.client_order_id)
        kind = f"{rung.book} rung {rung.level}" if rung is not None else "take profit"
        self.log.info(f"Filled {event.last_qty} at {event.last_px} ({kind})", LogColor.GREEN)
        if rung is not None:
            part = Exit(rung, event.last_px.as_decimal(), event.last_qty.as_decimal())
            self._exits_due.append(part)
            if self._trading != TradingState.HALTED:
                self._send_due_exits()
        if order is not None and order.is_closed:
            self._forget(event)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """A rung is laid anew on the next bar, an exit is tried again then."""
        self._forget(event, retry=True)

    def on_order_denied(self, event: OrderDenied) -> None:
        """As a rejection."""
        self._forget(event, retry=True)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """A rung is gone; an exit that somebody else cancelled is tried again."""
        self._forget(event, retry=self.is_running)

    def on_order_expired(self, event: OrderExpired) -> None:
        """As a cancel."""
        self._forget(event, retry=self.is_running)

    def _forget(self, event: OrderEvent, *, retry: bool = False) -> None:
        self._rungs.pop(event.client_order_id, None)
        part = self._exits.pop(event.client_order_id, None)
        order = self.cache.order(event.client_order_id)
        if retry and part is not None and order is not None:
            self._exits_due.append(
                part._replace(quantity=order.leaves_qty.as_decimal(), again=True)
            )

    # -- instrument ------------------------------------------------------------------------------

    def _limits(self) -> Limits:
        instrument = self._require_instrument()
        least = instrument.min_quantity or instrument.size_increment
        notional = instrument.min_notional
        return Limits(
            tick=instrument.price_increment.as_decimal(),
            step=instrument.size_increment.as_decimal(),
            min_quantity=least.as_decimal(),
            min_notional=notional.as_decimal() if notional is not None else Decimal(0),
        )

    def _require_instrument(self) -> Instrument:
        if self._instrument is None:
            raise RuntimeError("no instrument: the strategy was not started")
        return self._instrument


def detector_bar(bar: Bar) -> DetectorBar:
    """A Nautilus bar as the detector takes it: the floats that are nearest to its prices.

    as_double() is another one in a quarter of all cases, which `certify` would not know of.
    """
    return DetectorBar._make(  # by position: this runs for every bar of a long history
        (
            bar.open.raw / _RAW_UNITS,
            bar.high.raw / _RAW_UNITS,
            bar.low.raw / _RAW_UNITS,
            bar.close.raw / _RAW_UNITS,
            bar.volume.as_double(),
            (bar.ts_event + NS_PER_MS // 2) // NS_PER_MS,
        )
    )
