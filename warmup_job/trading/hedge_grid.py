"""HedgeGridV1: a grid of post-only limit orders on both sides of the mid, in hedge mode.

What it does is told in docs/hedge-grid.md. The rules are pure and stand in `ladder`, `order_diff`,
`exits`, `caps`, `funding` and `breaker`; this is their edge to Nautilus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from nautilus_trader.adapters.binance.futures.types import BinanceFuturesMarkPriceUpdate
from nautilus_trader.common.enums import LogColor
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, DataType, QuoteTick
from nautilus_trader.model.enums import OrderSide, PositionSide, TradingState
from nautilus_trader.model.events import (
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionClosed,
    PositionEvent,
    PositionOpened,
)
from nautilus_trader.model.identifiers import ClientId, ClientOrderId, InstrumentId, PositionId
from nautilus_trader.model.instruments import CryptoPerpetual, Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.market.moment import NS_PER_MS
from warmup_job.regime.detector import DetectorBar, DetectorSettings, RegimeDetector
from warmup_job.trading.breaker import Breaker, drawdown_pct
from warmup_job.trading.caps import Caps, Exposure, admit, caps_of
from warmup_job.trading.detector_bars import detector_bar
from warmup_job.trading.exits import (
    Held,
    Leg,
    Lot,
    OpenExit,
    clear_of,
    is_passed,
    recover,
    stop_price,
    target_price,
)
from warmup_job.trading.funding import cost_bps, shares
from warmup_job.trading.ladder import (
    BOOKS,
    BPS,
    Book,
    GridSettings,
    PolicyName,
    Rung,
    build_ladder,
    is_makers,
    least_quantity,
)
from warmup_job.trading.order_diff import Standing, match, step_away

_SECOND_NS = 1_000_000_000
_LOOK = "look after the account"
_LEGS: tuple[Leg, Leg] = ("S", "T")  # what protects goes first
_MAINTENANCE = Decimal("0.025")  # what Binance lists for every USDⓈ-M contract
_PASSED = ("in the market", "immediately trigger", "-2021")  # how a stop is refused that is passed


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
    sl_steps: int
    recenter_trigger_bps: float
    max_inventory_quote: Decimal
    maker_only: bool = True
    use_post_only_retries: bool = True
    retry_attempts: int = 3
    retry_delay_ms: int = 100
    optimization_mode: bool = False
    retry_max_price_deviation_bps: Decimal = Decimal(100)
    balance_check_interval_seconds: int = 60
    tp_sl_adjustment_buffer_bps: Decimal = Decimal(5)
    max_bar_staleness_seconds: int = 300
    order_diff_price_tolerance_bps: Decimal = Decimal(1)
    order_diff_qty_tolerance_pct: Decimal = Decimal("0.01")
    funding_window_minutes: int
    funding_max_cost_bps: Decimal
    ema_fast: int
    ema_slow: int
    adx_len: int
    atr_len: int
    hysteresis_bps: float
    max_position_size: Decimal
    max_leverage_used: Decimal
    emergency_liquidation_buffer: Decimal
    max_position_pct: Decimal = Decimal("0.95")
    policy: PolicyName
    counter_levels: int
    counter_qty_scale: Decimal
    max_errors_per_minute: int = 10
    circuit_breaker_cooldown_seconds: int = 300
    circuit_breaker_window_seconds: int = 60
    max_drawdown_pct: Decimal = Decimal(20)
    enable_position_validation: bool = True
    enable_circuit_breaker: bool = True
    enable_drawdown_protection: bool = True


class Entry(NamedTuple):
    """An entry order: the rung that it is for, and how often it was turned down."""

    rung: Rung
    attempt: int = 0


class Kept(msgspec.Struct, frozen=True):
    """What is kept over a restart; money in quote currency."""

    version: int
    center: Decimal | None
    capital: Decimal | None
    realised: Decimal
    peak: Decimal
    stopped: bool


class HedgeGridV1(Strategy):
    """The grid. Positions are `<instrument>-LONG` and `<instrument>-SHORT`.

    An order's id tells what it is: `E-<key>` an entry, `T<n>-<key>` and `S<n>-<key>` the take
    profit and the stop loss of what that entry has filled.
    """

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
        self.grid = GridSettings(
            step_bps=config.grid_step_bps,
            levels_long=config.grid_levels_long,
            levels_short=config.grid_levels_short,
            base_qty=config.base_qty,
            qty_scale=config.qty_scale,
            tp_steps=config.tp_steps,
            sl_steps=config.sl_steps,
            policy=config.policy,
            counter_levels=config.counter_levels,
            counter_qty_scale=config.counter_qty_scale,
        )
        self.breaker = Breaker(
            config.max_errors_per_minute,
            config.circuit_breaker_window_seconds,
            config.circuit_breaker_cooldown_seconds,
        )
        self._instrument: Instrument | None = None
        self._trading = TradingState.ACTIVE
        self._bid: Decimal | None = None
        self._ask: Decimal | None = None
        self._quoted = False  # since the last bar
        self._close: Decimal | None = None
        self._bar_ns = 0
        self._funding: BinanceFuturesMarkPriceUpdate | None = None
        self._center: Decimal | None = None
        self._entries: dict[str, Entry] = {}
        self._retrying: dict[str, Entry] = {}  # rungs that wait to be tried again, by their alert
        self._lots: dict[str, Lot] = {}
        self._resizing: set[str] = set()  # exits that are cancelled to come back in another size
        self._lay_again = False  # once the cancels that are on their way have made room
        self._laid: tuple[object, list[Rung]] = (None, [])
        self._blocked = ""
        self._capital: Decimal | None = None
        self._realised = Decimal(0)
        self._peak = Decimal(0)
        self._stopped = False
        self._counted: dict[PositionId, Decimal] = {}  # of a position's profit, what is in realised

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
            self._say(f"Regime {before.value} -> {after.value}", LogColor.MAGENTA)

    # -- life ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Find what is ours at the exchange, then subscribe to bars, quotes and mark prices."""
        instrument = self._instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            self.log.error(f"No instrument {self.config.instrument_id}: is it listed?")
            self.stop()
            return
        self._recover(instrument)
        self.msgbus.subscribe(topic="events.risk", handler=self._on_risk_event)
        self.subscribe_bars(self.config.bar_type)
        self.subscribe_quote_ticks(self.config.instrument_id)
        if isinstance(instrument, CryptoPerpetual):
            self.subscribe_data(self._mark_prices(), client_id=ClientId(instrument.venue.value))
        self.clock.set_timer_ns(
            _LOOK,
            self.config.balance_check_interval_seconds * _SECOND_NS,
            0,
            0,
            lambda _: self._look(),
        )

    def on_stop(self) -> None:
        """Let go of the market; what becomes of open orders is the trader's policy."""
        self.clock.cancel_timers()
        self._retrying.clear()
        self.msgbus.unsubscribe(topic="events.risk", handler=self._on_risk_event)
        self.unsubscribe_bars(self.config.bar_type)
        self.unsubscribe_quote_ticks(self.config.instrument_id)
        if isinstance(self._instrument, CryptoPerpetual):
            venue = self._instrument.venue.value
            self.unsubscribe_data(self._mark_prices(), client_id=ClientId(venue))

    def on_save(self) -> dict[str, bytes]:
        """The grid's centre, and the account of what it has earned."""
        kept = Kept(
            1, self._center, self._capital, self._realised, self._peak, stopped=self._stopped
        )
        return {"grid": msgspec.json.encode(kept)}

    def on_load(self, state: dict[str, bytes]) -> None:
        """Go on from what was kept.

        Raises:
            ValueError: it was written by another version.
        """
        kept = msgspec.json.decode(state["grid"], type=Kept)
        if kept.version != 1:
            raise ValueError(f"it is of version {kept.version}")
        self._center, self._capital = kept.center, kept.capital
        self._realised, self._peak, self._stopped = kept.realised, kept.peak, kept.stopped

    def _mark_prices(self) -> DataType:
        return DataType(
            BinanceFuturesMarkPriceUpdate, metadata={"instrument_id": self.config.instrument_id}
        )

    def _recover(self, instrument: Instrument) -> None:
        """Take over what an earlier run has left open: nothing is sent for it a second time."""
        self._entries, self._lots = {}, {}
        exits = []
        working = {
            order.client_order_id.value: order
            for order in (
                *self.cache.orders_open(instrument_id=instrument.id),
                *self.cache.orders_inflight(instrument_id=instrument.id),
            )
        }
        for order_id, order in working.items():
            kind, _, key = order_id.partition("-")
            buys = order.side == OrderSide.BUY
            if kind == "E":
                book: Book = "LONG" if buys else "SHORT"
                self._entries[order_id] = Entry(Rung(book, 0, order.price, order.quantity))
            elif kind[:1] in _LEGS and not order.is_pending_cancel:
                price = order.price if order.has_price else order.trigger_price
                exits.append(
                    OpenExit(
                        order_id, key, "T" if kind[0] == "T" else "S",
                        "SHORT" if buys else "LONG", price.as_decimal(),
                        order.leaves_qty.as_decimal(),
                    )
                )  # fmt: skip
        held = {}
        for book in BOOKS:
            quantity, price = self._held(book)
            held[book] = Held(quantity, price)
        lots, too_many = recover(
            held,
            exits,
            step_bps=self.grid.step_bps,
            tp_steps=self.grid.tp_steps,
            sl_steps=self.grid.sl_steps,
        )
        for lot in lots:
            if lot.key.startswith("kept-"):
                lot.key = self._new_key()
            sent = [order_id.partition("-")[0][1:] for order_id in lot.legs.values()]
            lot.sent = max((int(each) for each in sent if each.isdigit()), default=0)
            self._lots[lot.key] = lot
        for order_id in too_many:
            self._cancel(order_id)
        if working or lots:
            self.log.info(
                f"Found {len(self._entries)} entries, {len(exits)} exits and {len(lots)} lots; "
                f"{len(too_many)} exits too many"
            )

    def _on_risk_event(self, event: object) -> None:
        state = getattr(event, "state", None)
        if state is None:
            return
        before, self._trading = self._trading, state
        if state == TradingState.HALTED:
            # What the prices were before a gap says nothing after it.
            self._bid = self._ask = None
            self._quoted = False
        elif before == TradingState.HALTED:
            self._protect_all()

    # -- market ----------------------------------------------------------------------------------

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Follow the best bid and ask."""
        self._bid, self._ask = tick.bid_price.as_decimal(), tick.ask_price.as_decimal()
        self._quoted = True

    def on_data(self, data: Any) -> None:  # noqa: ANN401 - Nautilus' own signature
        """Follow what funding will cost."""
        if isinstance(data, BinanceFuturesMarkPriceUpdate):
            self._funding = data

    def on_bar(self, bar: Bar) -> None:
        """The newest closed bar: follow the regime, then have all orders where they should be."""
        self._follow(bar)
        self._bar_ns, self._close = bar.ts_event, bar.close.as_decimal()
        if not self._quoted:
            self._bid = self._ask = None  # quotes have stopped: the close is newer
        self._quoted = False
        self._look()
        self._lay()

    def _mid(self) -> Decimal | None:
        if self._bid is None or self._ask is None:
            return self._close
        return (self._bid + self._ask) / 2

    # -- account ---------------------------------------------------------------------------------

    def _look(self) -> None:
        """See to the exits that are due, and to what the account says."""
        if self._trading == TradingState.HALTED:
            return
        for book in BOOKS:
            lots = sum(
                (lot.quantity for lot in self._lots.values() if lot.book == book), Decimal(0)
            )
            if lots != self._held(book).quantity:
                self.log.warning(f"The {book} position was changed by somebody else: taken over")
                self._recover(self._require_instrument())
                break
        self._protect_all()
        profit = self._profit()
        self._peak = max(self._peak, profit)
        if self._capital is None:
            self._capital = self._balance()
        if self._capital is None or not self.config.enable_drawdown_protection:
            return
        lost = drawdown_pct(self._capital, self._peak, profit)
        if lost >= self.config.max_drawdown_pct and not self._stopped:
            self._stopped = True
            self.log.error(f"Drawdown {lost:.2f} %: no entries any more, exits stay")
        if self._stopped:
            self._withdraw()

    def _withdraw(self) -> None:
        """Cancel every entry."""
        self._retrying.clear()
        for order_id in list(self._entries):
            self._cancel(order_id)

    def _balance(self) -> Decimal | None:
        instrument = self._require_instrument()
        account = self.cache.account_for_venue(instrument.venue)
        total = None if account is None else account.balance_total(instrument.quote_currency)
        return None if total is None else total.as_decimal()

    def _unrealised(self) -> Decimal:
        mid = self._mid()
        if mid is None:
            return Decimal(0)
        profit = Decimal(0)
        for book in BOOKS:
            quantity, price = self._held(book)
            profit += quantity * (mid - price if book == "LONG" else price - mid)
        return profit

    def _profit(self) -> Decimal:
        return self._realised + self._unrealised()

    def _held(self, book: Book) -> Held:
        """What the book's position is, by the cache: what the exchange says."""
        position = self.cache.position(PositionId(f"{self.config.instrument_id}-{book}"))
        side = PositionSide.LONG if book == "LONG" else PositionSide.SHORT
        if position is None or position.side != side:
            return Held(Decimal(0), Decimal(0))
        return Held(position.quantity.as_decimal(), Decimal(str(position.avg_px_open)))

    def _caps(self) -> Caps:
        config = self.config
        balance = self._balance()
        if balance is None or not config.enable_position_validation:
            return Caps(config.max_inventory_quote)
        instrument = self._require_instrument()
        account = self.cache.account_for_venue(instrument.venue)
        leverage = Decimal(1)
        if account.is_margin_account:
            leverage = account.leverage(instrument.id) or account.default_leverage
        return caps_of(
            equity=balance + self._unrealised(),
            account_leverage=leverage,
            # Nautilus has no figure for Binance's contracts, and says 1.
            maintenance=min(instrument.margin_maint, _MAINTENANCE),
            max_inventory_quote=config.max_inventory_quote,
            max_position_size=config.max_position_size,
            max_position_pct=config.max_position_pct,
            max_leverage_used=config.max_leverage_used,
            liquidation_buffer=config.emergency_liquidation_buffer,
        )

    def _exposure(self, mid: Decimal, orders: Iterable[Standing] = ()) -> dict[Book, Exposure]:
        """What is held, at its cost or its worth, whichever is more, and these orders with it."""
        exposure = {}
        for book in BOOKS:
            quantity, price = self._held(book)
            exposure[book] = Exposure(quantity, quantity * max(price, mid))
        for each in orders:
            exposure[each.book] = exposure[each.book].plus(each.leaves, each.leaves * each.price)
        return exposure

    # -- the ladder ------------------------------------------------------------------------------

    def _why_not(self) -> str:
        """Why no entry may leave now; empty: they may."""
        now_ns = self.clock.timestamp_ns()
        if self._trading != TradingState.ACTIVE:
            return "trading is not active"
        if not self.detector.is_warm:
            return "the detector is cold"
        if self._stopped:
            return "the drawdown stop has acted"
        if self.breaker.is_open(now_ns):
            return "too many errors: the circuit breaker is open"
        stale_ns = self.config.max_bar_staleness_seconds * _SECOND_NS
        if now_ns - self._bar_ns > stale_ns:
            return "the last bar is stale"
        return ""

    def _lay(self) -> None:
        """Have the entries that should be there, by the fewest orders."""
        why_not, mid = self._why_not(), self._mid()
        if why_not != self._blocked:
            self._say(f"No entries: {why_not}" if why_not else "Entries may leave")
            self._blocked = why_not
        self._lay_again = False
        if why_not or mid is None:
            return
        center = self._center
        if center is None or abs(mid - center) / center * BPS > self.config.recenter_trigger_bps:
            center = self._center = mid
        standing, leaving = self._standing()
        whole = self._ladder(center)
        wanted = [rung for rung in whole if self._is_free(rung)]
        matched = match(
            wanted,
            standing,
            price_tolerance_bps=self.config.order_diff_price_tolerance_bps,
            qty_tolerance=self.config.order_diff_qty_tolerance_pct,
        )
        # Where the market is past a rung that was closed, it waits for the price to come back.
        wanted = [rung for rung in wanted if rung in matched or is_makers(rung, mid)]
        caps = self._caps()
        # A rung that is filled in part counts with its rest: the part is held already.
        sized = {self._rest(rung, matched.get(rung)): rung for rung in wanted}
        fitting = [sized[each] for each in admit(sized, self._exposure(mid, leaving), caps)]
        kept = [matched[rung] for rung in fitting if rung in matched]
        dropped = [order for order in standing if order not in kept]
        for order in dropped:
            self._drop(order.order_id)
        new = [rung for rung in fitting if rung not in matched]
        at_worst = self._exposure(mid, [*kept, *dropped, *leaving]) if new else {}
        sent = admit(new, at_worst, caps)
        self._lay_again = len(sent) < len(new)
        for rung in sent:
            self._enter(Entry(rung))
        if sent or dropped:
            ends = f", from {_ends(whole)}" if whole else ""
            gone = f", {len(dropped)} cancelled" if dropped else ""
            self._say(
                f"Ladder around {center:.2f}: {len(sent)} of {len(whole)} orders sent{gone}{ends}"
            )

    def _ladder(self, center: Decimal) -> list[Rung]:
        """The whole ladder around it; that of the last bar where nothing has changed."""
        made_of = (center, self.detector.regime, self._shares())
        if made_of != self._laid[0]:
            instrument = self._require_instrument()
            regime, parts = made_of[1:]
            self._laid = made_of, build_ladder(center, regime, self.grid, instrument, parts)
        return self._laid[1]

    def _standing(self) -> tuple[list[Standing], list[Standing]]:
        """The entries that wait, and those that are being cancelled."""
        waiting: list[Standing] = []
        leaving: list[Standing] = []
        for order_id, (rung, _) in self._entries.items():
            order = self.cache.order(ClientOrderId(order_id))
            if order is None or order.is_closed:
                continue
            each = Standing(
                order_id, rung.book, rung.price.as_decimal(), order.quantity.as_decimal(),
                order.leaves_qty.as_decimal(),
            )  # fmt: skip
            (leaving if order.is_pending_cancel else waiting).append(each)
        for alert, (rung, _) in self._retrying.items():
            quantity = rung.quantity.as_decimal()
            waiting.append(Standing(alert, rung.book, rung.price.as_decimal(), quantity, quantity))
        return waiting, leaving

    def _is_free(self, rung: Rung) -> bool:
        """Whether nothing is held that was bought, or sold, within half a step of the rung."""
        price = rung.price.as_decimal()
        near = price * self.grid.step_bps / BPS / 2
        return not any(
            lot.book == rung.book
            and abs(lot.entry - price) < near
            and f"E-{lot.key}" not in self._entries
            for lot in self._lots.values()
        )

    def _rest(self, rung: Rung, order: Standing | None) -> Rung:
        if order is None or order.leaves == order.quantity:
            return rung
        return rung._replace(quantity=self._require_instrument().make_qty(order.leaves))

    def _shares(self) -> dict[Book, Decimal]:
        funding = self._funding
        if funding is None:
            return {}
        cost = cost_bps(
            funding.funding_rate,
            funding.next_funding_ns,
            self.clock.timestamp_ns(),
            self.config.funding_window_minutes,
        )
        return shares(cost, self.config.funding_max_cost_bps)

    # -- entries ---------------------------------------------------------------------------------

    def _enter(self, entry: Entry, price: Decimal | None = None) -> None:
        rung, instrument = entry.rung, self._require_instrument()
        order = self.order_factory.limit(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if rung.book == "LONG" else OrderSide.SELL,
            quantity=rung.quantity,
            price=rung.price if price is None else instrument.make_price(price),
            post_only=self.config.maker_only,
            client_order_id=ClientOrderId(f"E-{self._new_key()}"),
        )
        self._entries[order.client_order_id.value] = entry
        self._submit(order, rung.book)

    def _turned_down(self, entry: Entry) -> None:
        """A post-only entry would have taken: try again a step further away, or let it be."""
        config, rung = self.config, entry.rung
        attempt = entry.attempt + 1
        if not config.use_post_only_retries or attempt > config.retry_attempts:
            return
        again = Entry(rung, attempt)
        alert = f"retry-{self._new_key()}"
        self._retrying[alert] = again

        def retry() -> None:
            if self._retrying.pop(alert, None) is None or self._why_not():
                return
            price = step_away(
                rung.book,
                rung.price.as_decimal(),
                attempt,
                opposite=self._ask if rung.book == "LONG" else self._bid,
                tick=self._tick(),
                most_bps=config.retry_max_price_deviation_bps,
            )
            if price is not None:
                self._enter(again, price)

        self._after_delay(alert, retry)

    def _after_delay(self, alert: str, act: Callable[[], None]) -> None:
        delay_ns = self.config.retry_delay_ms * NS_PER_MS
        if not delay_ns:
            act()
            return
        at_ns = self.clock.timestamp_ns() + delay_ns
        self.clock.set_time_alert_ns(alert, at_ns, lambda _: act())

    def _drop(self, order_id: str) -> None:
        if self._retrying.pop(order_id, None) is None:
            self._cancel(order_id)

    # -- exits -----------------------------------------------------------------------------------

    def _protect_all(self) -> None:
        for lot in list(self._lots.values()):
            self._protect(lot)

    def _protect(self, lot: Lot) -> None:
        """Have both exits of a lot stand for as much as is held of it."""
        if self._trading == TradingState.HALTED or lot.quantity <= 0:
            return
        for leg in _LEGS:
            order_id = lot.legs.get(leg)
            if order_id is None:
                if self._is_sellable(lot):
                    self._send_exit(lot, leg)
                continue
            order = self.cache.order(ClientOrderId(order_id))
            if order is None or order.is_closed or order.is_pending_cancel:
                continue
            if order.leaves_qty.as_decimal() != lot.quantity and order_id not in self._resizing:
                self._resizing.add(order_id)
                self._cancel(order_id)

    def _is_sellable(self, lot: Lot) -> bool:
        """Whether it is enough for an order; a smaller one joins another lot of its book."""
        least = least_quantity(self._require_instrument(), lot.entry, self.grid)
        if lot.quantity >= least:
            return True
        others = [
            each
            for each in self._lots.values()
            if each.book == lot.book and each is not lot and each.quantity >= least
        ]
        if others and self._is_rest(lot):
            self._join(min(others, key=lambda each: (abs(each.entry - lot.entry), each.key)), lot)
        return False

    def _is_rest(self, lot: Lot) -> bool:
        """Whether nothing closes it, and no more of it will come."""
        return not lot.legs and f"E-{lot.key}" not in self._entries

    def _join(self, lot: Lot, rest: Lot) -> None:
        self._lots.pop(rest.key, None)
        lot.grow(rest.entry, rest.quantity)
        rest.quantity = Decimal(0)
        self._protect(lot)

    def _send_exit(self, lot: Lot, leg: Leg) -> None:
        instrument, mid = self._require_instrument(), self._mid()
        lot.sent += 1
        fields = {
            "instrument_id": instrument.id,
            "order_side": OrderSide.SELL if lot.book == "LONG" else OrderSide.BUY,
            "quantity": instrument.make_qty(lot.quantity),
            "reduce_only": True,
            "client_order_id": ClientOrderId(f"{leg}{lot.sent}-{lot.key}"),
        }
        price = self._exit_price(lot, leg)
        buffer = self.config.tp_sl_adjustment_buffer_bps
        if leg == "T":
            if leg in lot.passed and mid is not None:
                price = clear_of(lot.book, price, mid, buffer, self._tick())
            order = self.order_factory.limit(
                price=instrument.make_price(price), post_only=self.config.maker_only, **fields
            )
        elif leg in lot.passed or (mid is not None and is_passed(lot.book, price, mid, buffer)):
            lot.passed.add(leg)
            order = self.order_factory.market(**fields)
        else:
            order = self.order_factory.stop_market(
                trigger_price=instrument.make_price(price), **fields
            )
        lot.legs[leg] = order.client_order_id.value
        self._submit(order, lot.book)

    def _exit_price(self, lot: Lot, leg: Leg) -> Decimal:
        step_bps, tick = self.grid.step_bps, self._tick()
        if leg == "T":
            steps = self.grid.tp_steps
            return target_price(lot.book, lot.entry, step_bps=step_bps, tp_steps=steps, tick=tick)
        steps = self.grid.sl_steps
        return stop_price(lot.book, lot.entry, step_bps=step_bps, sl_steps=steps, tick=tick)

    def _closed(self, lot: Lot, leg: Leg, quantity: Decimal) -> None:
        """A part of a lot was closed: the other exit has to go, or to shrink."""
        lot.quantity -= quantity
        if lot.quantity > 0 and leg == "T":
            self._protect(lot)
            return
        other = lot.legs.get("S" if leg == "T" else "T")
        if other is not None:
            self._cancel(other)
        if lot.quantity <= 0:
            self._lots.pop(lot.key, None)

    def _exit_gone(self, lot: Lot, leg: Leg, order_id: str, *, again: bool) -> None:
        """An exit is not there any more; at once, or with the next bar, there is another one."""
        if lot.legs.get(leg) == order_id:
            del lot.legs[leg]
        self._resizing.discard(order_id)
        if again and lot.key in self._lots:
            self._protect(lot)

    def _exit_refused(self, lot: Lot, leg: Leg, order_id: str, *, passed: bool) -> None:
        self._exit_gone(lot, leg, order_id, again=False)
        if not passed:
            return
        if leg == "S":
            lot.passed.add(leg)
            self._protect(lot)
            return
        lot.passed.add(leg)
        lot.tries += 1
        if lot.tries > self.config.retry_attempts:
            lot.tries = 0  # with the next bar
            return
        self._after_delay(f"again-{order_id}", lambda: self._retry_exit(lot))

    def _retry_exit(self, lot: Lot) -> None:
        if lot.key in self._lots:
            self._protect(lot)

    # -- order events ----------------------------------------------------------------------------

    def on_order_filled(self, event: OrderFilled) -> None:
        """Protect what an entry has filled, at once and in part too; or count what was closed."""
        order_id = event.client_order_id.value
        order = self.cache.order(event.client_order_id)
        price, quantity = event.last_px.as_decimal(), event.last_qty.as_decimal()
        entry = self._entries.get(order_id)
        found = self._exit_of(order_id)
        if order is not None and order.is_closed:
            self._entries.pop(order_id, None)
        if entry is not None:
            rung = entry.rung
            key = order_id.partition("-")[2]
            self._say(f"Filled {quantity} at {price} ({rung.book} rung {rung.level})")
            lot = self._lots.get(key)
            if lot is None:
                lot = self._lots[key] = Lot(key, rung.book, price, quantity)
            else:
                lot.grow(price, quantity)
            for rest in list(self._lots.values()):  # what was too small for exits of its own
                if rest.book == lot.book and rest is not lot and self._is_rest(rest):
                    self._protect(rest)
            self._protect(lot)
        elif found is not None:
            lot, leg = found
            kind = "take profit" if leg == "T" else "stop loss"
            self._say(f"Filled {quantity} at {price} ({lot.book} {kind})")
            if order is not None and order.is_closed:
                lot.legs.pop(leg, None)
            self._closed(lot, leg, quantity)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """One that would have taken is tried again further away, all else with the next bar."""
        order_id = event.client_order_id.value
        passed = bool(event.due_post_only)
        entry, found = self._entries.pop(order_id, None), self._exit_of(order_id)
        if found is not None and found[1] == "S":
            passed = any(word in str(event.reason) for word in _PASSED)
        if not passed:
            self._error(f"{order_id} was rejected: {event.reason}")
        if entry is not None and passed:
            self._turned_down(entry)
        elif found is not None:
            self._exit_refused(*found, order_id, passed=passed)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Nautilus has let it not pass: tried again with the next bar."""
        order_id = event.client_order_id.value
        self._entries.pop(order_id, None)
        found = self._exit_of(order_id)
        if self._trading == TradingState.ACTIVE:
            self._error(f"{order_id} was denied: {event.reason}")
        if found is not None:
            self._exit_refused(*found, order_id, passed=False)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """An entry has made room; an exit that somebody else cancelled comes with the next bar."""
        self._gone(event.client_order_id.value)

    def on_order_expired(self, event: OrderExpired) -> None:
        """Binance's word for a post-only order that would have taken, too."""
        order_id = event.client_order_id.value
        order: Order | None = self.cache.order(event.client_order_id)
        entry = self._entries.get(order_id)
        untouched = order is not None and not order.filled_qty and order.is_post_only
        if entry is not None and untouched:
            del self._entries[order_id]
            self._turned_down(entry)
        else:
            self._gone(order_id)

    def _gone(self, order_id: str) -> None:
        entry, found = self._entries.pop(order_id, None), self._exit_of(order_id)
        if found is not None:
            again = order_id in self._resizing and self.is_running
            self._exit_gone(*found, order_id, again=again)
        if entry is None or not self.is_running:
            return
        rest = self._lots.get(order_id.partition("-")[2])
        if rest is not None:
            self._protect(rest)
        if self._lay_again and not self._standing()[1]:
            self._lay()

    def _exit_of(self, order_id: str) -> tuple[Lot, Leg] | None:
        kind, _, key = order_id.partition("-")
        lot = self._lots.get(key)
        if lot is None or kind[:1] not in _LEGS:
            return None
        return lot, ("T" if kind[0] == "T" else "S")

    def _error(self, what: str) -> None:
        self.log.warning(what)
        now_ns = self.clock.timestamp_ns()
        if self.config.enable_circuit_breaker and self.breaker.error(now_ns):
            seconds = self.config.circuit_breaker_cooldown_seconds
            self.log.error(f"Too many errors: no entries for {seconds} s")

    def on_position_event(self, event: PositionEvent) -> None:
        """Count what was realised, commissions with it."""
        if event.instrument_id != self.config.instrument_id:
            return
        if isinstance(event, PositionOpened):
            self._counted.pop(event.position_id, None)
        money = event.realized_pnl
        realised = Decimal(0) if money is None else money.as_decimal()
        self._realised += realised - self._counted.get(event.position_id, Decimal(0))
        self._counted[event.position_id] = realised
        if isinstance(event, PositionClosed):
            del self._counted[event.position_id]

    # -- edges -----------------------------------------------------------------------------------

    def _submit(self, order: Order, book: Book) -> None:
        self.submit_order(order, position_id=PositionId(f"{self.config.instrument_id}-{book}"))

    def _cancel(self, order_id: str) -> None:
        order = self.cache.order(ClientOrderId(order_id))
        if order is not None and not order.is_closed and not order.is_pending_cancel:
            self.cancel_order(order)

    def _new_key(self) -> str:
        """Of an entry and its exits: as Nautilus numbers orders, but for the first letter."""
        return str(self.order_factory.generate_client_order_id().value.removeprefix("O-"))

    def _tick(self) -> Decimal:
        return Decimal(self._require_instrument().price_increment.as_decimal())

    def _require_instrument(self) -> Instrument:
        if self._instrument is None:
            raise RuntimeError("no instrument: the strategy was not started")
        return self._instrument

    def _say(self, what: str, color: LogColor = LogColor.NORMAL) -> None:
        if not self.config.optimization_mode:
            self.log.info(what, color)


def _ends(ladder: list[Rung]) -> str:
    lowest, highest = (min(r.price for r in ladder), max(r.price for r in ladder))
    return f"{lowest} to {highest}"
