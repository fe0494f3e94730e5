"""HedgeGridV1: a grid of post-only limit orders on both sides of the mid, in hedge mode.

What it does is told in docs/hedge-grid.md. Its rules are pure: `ladder`, `order_diff`, `exits`,
`caps`, `funding`, `breaker`, `prices`. What it has at the exchange is in `entries`, `exit_orders`
and `account`; here is when what is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.adapters.binance.futures.types import BinanceFuturesMarkPriceUpdate
from nautilus_trader.common.enums import LogColor
from nautilus_trader.model.data import Bar, DataType, QuoteTick
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.events import (
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionEvent,
)
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.hedge_grid.caps import rungs_within_caps
from warmup_job.hedge_grid.entry_orders import EntryOrder, EntryOrders
from warmup_job.hedge_grid.exit_orders import ExitOrders, is_stop_reached_error
from warmup_job.hedge_grid.funding import funding_cost_bps, size_factors
from warmup_job.hedge_grid.grid_account import GridAccount, GridPnl
from warmup_job.hedge_grid.grid_config import (
    HedgeGridV1Config,
    detector_settings,
    grid_settings,
    make_circuit_breaker,
)
from warmup_job.hedge_grid.ladder import BOOKS, BPS, Book, Rung, build_ladder, is_on_maker_side
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.no_entries import explain_no_entries
from warmup_job.hedge_grid.order_client import OrderClient
from warmup_job.hedge_grid.order_diff import OpenEntry, match_entries
from warmup_job.regime.detector import DetectorBar, RegimeDetector

__all__ = ["HedgeGridV1", "HedgeGridV1Config"]

_SECOND_NS = 1_000_000_000
_LOOK = "look after the account"


class GridState(msgspec.Struct, frozen=True):
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

    # From on_start on:
    _client: OrderClient
    _account: GridAccount
    _entries: EntryOrders
    _exits: ExitOrders

    acts_on_first_bar = True
    """The newest closed bar goes to on_bar at the start, however old: it lays the first ladder."""

    def __init__(self, config: HedgeGridV1Config) -> None:
        super().__init__(config)
        self.detector = RegimeDetector(detector_settings(config))
        self.grid = grid_settings(config)
        self.breaker = make_circuit_breaker(config)
        self._trading = TradingState.ACTIVE
        self._prices = MarketPrices()
        self._bar_ns = 0
        self._funding: BinanceFuturesMarkPriceUpdate | None = None
        self._center: Decimal | None = None
        self._laid: tuple[object, list[Rung]] = (None, [])
        self._lay_again = False  # once the cancels that are on their way have made room
        self._blocked = ""
        self._none: str | None = None  # the kind of reason why no order can leave at all
        self._earnings = GridPnl()
        self._stopped = False  # by a drawdown

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
        if not bars:
            return  # a regime of no bars is none
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

    def on_load(self, state: dict[str, bytes]) -> None:
        """Go on from what was kept.

        Raises:
            ValueError: it was written by another version.
        """
        kept = msgspec.json.decode(state["grid"], type=GridState)
        if kept.version != 1:
            raise ValueError(f"it is of version {kept.version}")
        self._center, self._stopped = kept.center, kept.stopped
        self._earnings = GridPnl(kept.capital, kept.realised, kept.peak)

    def on_start(self) -> None:
        """Find what is ours at the exchange, then subscribe to bars, quotes and mark prices."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            self.log.error(f"No instrument {self.config.instrument_id}: is it listed?")
            self.stop()
            return
        self._account = GridAccount(self.cache, instrument)
        desk = self._client = OrderClient(self, instrument)
        self._entries = EntryOrders(desk, self._prices, self.config, lambda: not self._why_not())
        self._exits = ExitOrders(
            desk, self._prices, self.config, lambda: not self._is_halted, self._entries.is_open
        )
        self._take_over()
        self._earnings.begin(self._account.positions())
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
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            return  # nothing was begun
        self.clock.cancel_timers()
        self.msgbus.unsubscribe(topic="events.risk", handler=self._on_risk_event)
        self.unsubscribe_bars(self.config.bar_type)
        self.unsubscribe_quote_ticks(self.config.instrument_id)
        if isinstance(instrument, CryptoPerpetual):
            venue = ClientId(instrument.venue.value)
            self.unsubscribe_data(self._mark_prices(), client_id=venue)

    def on_save(self) -> dict[str, bytes]:
        """The grid's centre, and the account of what it has earned."""
        earned = self._earnings
        kept = GridState(
            1, self._center, earned.capital, earned.realised, earned.peak, stopped=self._stopped
        )
        return {"grid": msgspec.json.encode(kept)}

    def _mark_prices(self) -> DataType:
        return DataType(
            BinanceFuturesMarkPriceUpdate, metadata={"instrument_id": self.config.instrument_id}
        )

    def _take_over(self) -> None:
        """Go on with what is there already: nothing is sent for it a second time."""
        orders = self._client.open_orders()
        self._entries.take_over(orders)
        held = {book: self._account.held(book) for book in BOOKS}
        exits = self._exits.take_over(held, orders)
        if orders or self._exits.lots:
            self.log.info(f"Found {len(self._entries)} entries, {exits}")

    @property
    def _is_halted(self) -> bool:
        return bool(self._trading == TradingState.HALTED)

    def _on_risk_event(self, event: object) -> None:
        state = getattr(event, "state", None)
        if state is None:
            return
        was_halted, self._trading = self._is_halted, state
        if self._is_halted:
            self._prices.forget_quotes()
        elif was_halted:
            self._exits.protect_all()

    # -- market ----------------------------------------------------------------------------------

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Follow the best bid and ask."""
        self._prices.quote(tick.bid_price.as_decimal(), tick.ask_price.as_decimal())

    def on_data(self, data: Any) -> None:  # noqa: ANN401 - Nautilus' own signature
        """Follow what funding will cost."""
        if isinstance(data, BinanceFuturesMarkPriceUpdate):
            self._funding = data

    def on_bar(self, bar: Bar) -> None:
        """The newest closed bar: follow the regime, then have all orders where they should be."""
        self._follow(bar)
        self._bar_ns = bar.ts_event
        self._prices.bar(bar.close.as_decimal())
        self._look()
        self._lay()

    # -- looking after what is held --------------------------------------------------------------

    def _look(self) -> None:
        """See to the exits that are due, and to what the account says."""
        if self._is_halted:
            return
        for book in BOOKS:
            if self._exits.held(book) != self._account.held(book).quantity:
                self.log.warning(f"The {book} position was changed by somebody else: taken over")
                self._take_over()
                break
        self._exits.protect_all()
        self._judge()

    def _judge(self) -> None:
        """Stop for good when too much is lost."""
        earned = self._earnings
        if earned.capital is None:
            earned.capital = self._account.balance()
        lost = earned.drawdown_pct(self._account.unrealised(self._prices.mid))
        if not self.config.enable_drawdown_protection:
            return
        if lost >= self.config.max_drawdown_pct and not self._stopped:
            self._stopped = True
            self.log.error(f"Drawdown {lost:.2f} %: no entries any more, exits stay")
        if self._stopped:
            self._entries.withdraw()

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
        if now_ns - self._bar_ns > self.config.max_bar_staleness_seconds * _SECOND_NS:
            return "the last bar is stale"
        return ""

    def _lay(self) -> None:
        """Have the entries that should be there, by the fewest orders."""
        why_not, mid = self._why_not(), self._prices.mid
        if why_not != self._blocked:
            self._say(f"No entries: {why_not}" if why_not else "Entries may leave")
            self._blocked = why_not
        self._lay_again = False
        if why_not or mid is None:
            return
        center = self._center
        if center is None or abs(mid - center) / center * BPS > self.config.recenter_trigger_bps:
            center = self._center = mid
        whole = self._ladder(center)
        self._tell_if_none(whole)
        sent, dropped = self._send_missing(whole, mid)
        if sent or dropped:
            ends = f", from {_ends(whole)}" if whole else ""
            gone = f", {dropped} cancelled" if dropped else ""
            self._say(f"Ladder around {center:.2f}: {sent} of {len(whole)} orders sent{gone}{ends}")

    def _tell_if_none(self, whole: list[Rung]) -> None:
        """Say once why no order can leave, and again when there is another reason."""
        caps = self._account.caps(self.config, self._prices.mid)
        regime, instrument = self.detector.regime, self._client.instrument
        why = explain_no_entries(whole, caps, self.grid, instrument, regime, self._shares())
        kind = None if why is None else why.kind
        if why is not None and kind != self._none:
            if why.is_wanted:
                self._say(f"No entries: {why.text}")
            else:
                self.log.warning(f"No entries: {why.text}")
        self._none = kind

    def _ladder(self, center: Decimal) -> list[Rung]:
        """The whole ladder around it; that of the last bar where nothing has changed."""
        made_of = (center, self.detector.regime, self._shares())
        if made_of != self._laid[0]:
            regime, parts = made_of[1:]
            rungs = build_ladder(center, regime, self.grid, self._client.instrument, parts)
            self._laid = made_of, rungs
        return self._laid[1]

    def _shares(self) -> dict[Book, Decimal]:
        funding = self._funding
        if funding is None:
            return {}
        cost = funding_cost_bps(
            funding.funding_rate,
            funding.next_funding_ns,
            self.clock.timestamp_ns(),
            self.config.funding_window_minutes,
        )
        return size_factors(cost, self.config.funding_max_cost_bps)

    def _send_missing(self, whole: list[Rung], mid: Decimal) -> tuple[int, int]:
        """Cancel what serves no rung, and send what the ladder lacks and the caps let through.

        Returns: how many were sent, and how many cancelled.
        """
        standing, leaving = self._entries.standing()
        wanted = [rung for rung in whole if not self._exits.is_near(rung)]
        matched = match_entries(
            wanted,
            standing,
            price_tolerance_bps=self.config.order_diff_price_tolerance_bps,
            qty_tolerance=self.config.order_diff_qty_tolerance_pct,
        )
        # Where the market is past a rung that was closed, it waits for the price to come back.
        wanted = [rung for rung in wanted if rung in matched or is_on_maker_side(rung, mid)]
        caps = self._account.caps(self.config, self._prices.mid)
        # A rung that is filled in part counts with its rest: the part is held already.
        sized = {self._rest(rung, matched.get(rung)): rung for rung in wanted}
        exposure = self._account.exposure(mid)
        fitting = [sized[each] for each in rungs_within_caps(sized, exposure, caps)]
        kept = [matched[rung] for rung in fitting if rung in matched]
        dropped = [order for order in standing if order not in kept]
        for order in dropped:
            self._entries.drop(order.order_id)
        new = [rung for rung in fitting if rung not in matched]
        # Until a cancel is confirmed, its order may be filled as well.
        at_worst = self._account.exposure(mid, [*kept, *dropped, *leaving]) if new else {}
        sent = rungs_within_caps(new, at_worst, caps)
        self._lay_again = len(sent) < len(new)
        for rung in sent:
            self._entries.send(EntryOrder(rung))
        return len(sent), len(dropped)

    def _rest(self, rung: Rung, order: OpenEntry | None) -> Rung:
        if order is None or order.leaves == order.quantity:
            return rung
        return rung._replace(quantity=self._client.instrument.make_qty(order.leaves))

    # -- order events ----------------------------------------------------------------------------

    def on_order_filled(self, event: OrderFilled) -> None:
        """Protect what an entry has filled, at once and in part too; or count what was closed."""
        order_id = event.client_order_id.value
        order = self.cache.order(event.client_order_id)
        whole = order is not None and order.is_closed
        price, quantity = event.last_px.as_decimal(), event.last_qty.as_decimal()
        entry, found = self._entries.of(order_id), self._exits.of(order_id)
        if whole:
            self._entries.forget(order_id)
        if entry is not None:
            rung = entry.rung
            self._say(f"Filled {quantity} at {price} ({rung.book} rung {rung.level})")
            self._exits.opened(order_id.partition("-")[2], rung.book, price, quantity)
        elif found is not None:
            lot, leg = found
            kind = "take profit" if leg == "T" else "stop loss"
            self._say(f"Filled {quantity} at {price} ({lot.book} {kind})")
            self._exits.closed(lot, leg, quantity, whole=whole)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """One that would have taken is tried again further away, all else with the next bar."""
        order_id, reason = event.client_order_id.value, str(event.reason)
        entry, found = self._entries.forget(order_id), self._exits.of(order_id)
        passed = bool(event.due_post_only)
        if found is not None and found[1] == "S":
            passed = is_stop_reached_error(reason)
        if not passed:
            self._error(f"{order_id} was rejected: {reason}")
        if entry is not None and passed:
            self._entries.turned_down(entry)
        elif found is not None:
            self._exits.refused(*found, order_id, reason, passed=passed)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Nautilus has let it not pass: tried again with the next bar."""
        order_id = event.client_order_id.value
        self._entries.forget(order_id)
        found = self._exits.of(order_id)
        if self._trading == TradingState.ACTIVE:
            self._error(f"{order_id} was denied: {event.reason}")
        if found is not None:
            self._exits.refused(*found, order_id, str(event.reason), passed=False)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """An entry has made room; an exit that somebody else cancelled comes with the next bar."""
        self._gone(event.client_order_id.value)

    def on_order_cancel_rejected(self, event: OrderCancelRejected) -> None:
        """An exit that is still there has to shrink all the same, when all is looked at next."""
        self._exits.still_there(event.client_order_id.value)

    def on_order_expired(self, event: OrderExpired) -> None:
        """Binance's word for a post-only order that would have taken, too."""
        order_id = event.client_order_id.value
        order: Order | None = self.cache.order(event.client_order_id)
        entry, found = self._entries.of(order_id), self._exits.of(order_id)
        if order is None or not order.is_post_only or order.filled_qty != 0:
            self._gone(order_id)
        elif entry is not None:
            self._entries.forget(order_id)
            self._entries.turned_down(entry)
        elif found is not None:
            self._exits.refused(*found, order_id, "", passed=True)

    def _gone(self, order_id: str) -> None:
        entry, found = self._entries.forget(order_id), self._exits.of(order_id)
        if found is not None:
            self._exits.gone(*found, order_id)
        if entry is None:
            return
        self._exits.protect_key(order_id.partition("-")[2])
        if self._lay_again and not self._entries.standing()[1]:
            self._lay()

    def on_position_event(self, event: PositionEvent) -> None:
        """Count what was realised, commissions with it."""
        self._earnings.count(event)

    def _error(self, what: str) -> None:
        self.log.warning(what)
        now_ns = self.clock.timestamp_ns()
        if self.config.enable_circuit_breaker and self.breaker.error(now_ns):
            seconds = self.config.circuit_breaker_cooldown_seconds
            self.log.error(f"Too many errors: no entries for {seconds} s")

    def _say(self, what: str, color: LogColor = LogColor.NORMAL) -> None:
        if not self.config.optimization_mode:
            self.log.info(what, color)


def _ends(ladder: list[Rung]) -> str:
    lowest, highest = (min(r.price for r in ladder), max(r.price for r in ladder))
    return f"{lowest} to {highest}"
