"""HedgeGridV1: a grid of post-only limit orders on both sides of a centre price, in hedge mode.

docs/hedge-grid.md describes the behaviour. This module handles Nautilus' events. `entry_orders` and
`exit_orders` have the orders; the rules are in pure modules: `ladder`, `caps`, `order_diff`,
`exit_rules`, `funding`, `circuit_breaker` and `no_entries`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.adapters.binance.futures.types import BinanceFuturesMarkPriceUpdate
from nautilus_trader.common.enums import LogColor
from nautilus_trader.model.data import Bar, DataType, QuoteTick
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.events import (
    OrderAccepted,
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

from warmup_job.binance.funds import AccountFunds
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.hedge_grid.entry_orders import EntryOrders
from warmup_job.hedge_grid.exit_description import describe_exit, exit_kind
from warmup_job.hedge_grid.exit_orders import ExitOrders
from warmup_job.hedge_grid.exit_rejections import is_stop_reached_error
from warmup_job.hedge_grid.exit_rules import Lot
from warmup_job.hedge_grid.funding import (
    USUAL_HOURS,
    FundingInterval,
    funding_cost_bps,
    size_factors,
)
from warmup_job.hedge_grid.grid_account import GridAccount
from warmup_job.hedge_grid.grid_config import (
    HedgeGridV1Config,
    detector_settings,
    grid_settings,
    make_circuit_breaker,
)
from warmup_job.hedge_grid.grid_figures import GridFigures, book_figures, count_open_orders
from warmup_job.hedge_grid.grid_order_ids import Leg
from warmup_job.hedge_grid.grid_pnl import GridPnl
from warmup_job.hedge_grid.grid_result import GridResult
from warmup_job.hedge_grid.grid_state import (
    STATE_VERSION,
    GridState,
    SavedLot,
    decode_state,
    describe_old_exits,
)
from warmup_job.hedge_grid.ladder import BOOKS, BPS, Book, Rung, build_ladder
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.no_entries import explain_no_entries
from warmup_job.hedge_grid.order_client import OrderClient, book_of, is_rate_denial
from warmup_job.hedge_grid.order_sizes import size_problems, size_warnings
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import utc_text
from warmup_job.modes import OperatorState
from warmup_job.regime.detector import DetectorBar, RegimeDetector

__all__ = ["HedgeGridV1", "HedgeGridV1Config"]

_SECOND_NS = 1_000_000_000
_ACCOUNT_TIMER = "check the account"


class HedgeGridV1(Strategy):
    """Trades the grid. Its positions are `<instrument>-LONG` and `<instrument>-SHORT`.

    Order ids are `E-<key>` for an entry, and `T<n>-<key>` and `S<n>-<key>` for the take profit and
    the stop loss of what that entry has filled.
    """

    # Set by on_start:
    _client: OrderClient
    _account: GridAccount
    _entries: EntryOrders
    _exits: ExitOrders

    acts_on_first_bar = True
    """The runner passes the newest closed bar to on_bar at start, so the ladder is sent at once."""

    def __init__(self, config: HedgeGridV1Config) -> None:
        super().__init__(config)
        self._has_started = False
        self.detector = RegimeDetector(detector_settings(config))
        self.grid = grid_settings(config)
        self.breaker = make_circuit_breaker(config)
        self.owns_order: Callable[[str], bool] = lambda _: True
        """Whether this trader made the order with this id; the runner sets it."""
        self._trading = TradingState.ACTIVE
        self._prices = MarketPrices()
        self._bar_ns = 0
        self._funding: BinanceFuturesMarkPriceUpdate | None = None
        self._funding_interval = FundingInterval()
        self._center: Decimal | None = None
        self._ladder_cache: tuple[object, list[Rung]] = (None, [])
        self._block_reason = ""
        self._no_entries_kind: str | None = None  # as last logged
        self._sized_center: Decimal | None = None  # as of the last look at the order sizes
        self._is_oversized = False
        self._result = GridResult(
            venue_symbol(str(config.instrument_id)),
            config.max_drawdown_pct if config.enable_drawdown_protection else None,
            self._on_drawdown_limit,
        )
        self._loaded_lots: tuple[SavedLot, ...] = ()  # until on_start has taken them over
        self.on_state_change: Callable[[], None] = lambda: None  # the runner replaces it
        self._operator: OperatorState = "trading"

    # -- warm-up ---------------------------------------------------------------------------------

    @property
    def is_warm(self) -> bool:
        """Whether every indicator of the detector has a value."""
        return self.detector.is_warm

    def warmup_regime_detector(self, historical_bars: Iterable[DetectorBar]) -> None:
        """Feed closed bars, oldest first, to the detector before trading starts."""
        bars = list(historical_bars)
        for count, bar in enumerate(bars, start=1):
            regime = self.detector.update(bar)
            if count % 1000 == 0:
                self.log.info(f"Warm-up: {count}/{len(bars)} bars, {regime.value}")
        if not bars:
            return
        is_warm = self.detector.is_warm
        self.log.info(
            f"Regime detector {'warm' if is_warm else 'not warm yet'}: {self.detector.describe()}",
            LogColor.GREEN if is_warm else LogColor.YELLOW,
        )

    def on_historical_data(self, data: object) -> None:
        """Feed closed bars that a newer bar has superseded to the detector."""
        if isinstance(data, Bar):
            self._update_detector(data)

    def _update_detector(self, bar: Bar) -> None:
        before = self.detector.regime
        after = self.detector.update(detector_bar(bar))
        if after is not before:
            self._log_info(f"Regime {before.value} -> {after.value}", LogColor.MAGENTA)

    # -- start, stop and state -------------------------------------------------------------------

    def on_load(self, state: dict[str, bytes]) -> None:
        """Restore the saved state.

        Raises:
            ValueError: It is not a state, or a later version has saved it.
        """
        saved = decode_state(state["grid"])
        self._center, self._loaded_lots = saved.center, saved.lots
        own = GridPnl(saved.capital, saved.realised, saved.peak, saved.fees)
        self._result.load(own, saved.account, is_stopped=saved.stopped)

    def on_save(self) -> dict[str, bytes]:
        """Return the state to save: the centre, the result, the drawdown stop and the lots."""
        own = self._result.own
        state = GridState(
            version=STATE_VERSION,
            center=self._center,
            capital=own.capital,
            realised=own.realised,
            peak=own.peak,
            stopped=self._result.is_stopped,
            fees=own.fees,
            lots=self._saved_lots(),
            account=self._result.account,
        )
        return {"grid": msgspec.json.encode(state)}

    def _saved_lots(self) -> tuple[SavedLot, ...]:
        """Return every lot, and every entry as the lot that it would become."""
        if not self._has_started:
            return self._loaded_lots
        return (*self._exits.saved_lots(), *self._entries.saved_lots(self.grid.exits))

    def on_start(self) -> None:
        """Take over open orders and positions, then subscribe to bars, quotes and mark prices."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            self.log.error(
                f"Instrument {self.config.instrument_id} is not in the cache; check that Binance "
                "lists it"
            )
            self.stop()
            return
        self._account = GridAccount(self.cache, instrument)
        client = self._client = OrderClient(self, instrument, self.owns_order)
        timers = LoopTimers(self)
        self._entries = EntryOrders(
            client, self._prices, self.config, timers, lambda: not self._find_block_reason()
        )
        self._exits = ExitOrders(
            client, self._prices, self.config, timers, lambda: self._operator != "flattening",
            lambda book: self._account.position(book).quantity, self._entries.is_open,
        )  # fmt: skip
        self._take_over(self._loaded_lots)
        kept = describe_old_exits(self._exits.saved_lots(), self.grid.exits)
        if kept:
            self.log.warning(kept)
        self._has_started = True
        self._result.own.begin(self._account.open_positions())
        self.msgbus.subscribe(topic="events.risk", handler=self._on_risk_event)
        self.subscribe_bars(self.config.bar_type)
        self.subscribe_quote_ticks(self.config.instrument_id)
        if isinstance(instrument, CryptoPerpetual):
            self.subscribe_data(self._mark_prices(), client_id=ClientId(instrument.venue.value))
        self._exits.protect_all()
        timers.every(
            self.config.balance_check_interval_seconds, _ACCOUNT_TIMER, self._check_account
        )

    def on_stop(self) -> None:
        """Unsubscribe. Open orders stay; the trader's ``on_stop`` policy applies to them."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            return  # on_start has subscribed to nothing
        self.clock.cancel_timers()
        self.msgbus.unsubscribe(topic="events.risk", handler=self._on_risk_event)
        self.unsubscribe_bars(self.config.bar_type)
        self.unsubscribe_quote_ticks(self.config.instrument_id)
        if isinstance(instrument, CryptoPerpetual):
            venue = ClientId(instrument.venue.value)
            self.unsubscribe_data(self._mark_prices(), client_id=venue)

    def _mark_prices(self) -> DataType:
        return DataType(
            BinanceFuturesMarkPriceUpdate, metadata={"instrument_id": self.config.instrument_id}
        )

    def _take_over(self, remembered: Iterable[SavedLot]) -> None:
        """Build entries and lots from open orders, positions and the ``remembered`` lots."""
        orders = self._client.own_orders()
        self._entries.take_over(orders)
        positions = {book: self._account.position(book) for book in BOOKS}
        exits, surplus = self._exits.take_over(positions, orders, remembered)
        lots = len(self._exits.lots)
        if orders or lots:
            self.log.info(
                f"Took over {len(self._entries)} entries, {exits} exits and {lots} lots; "
                f"cancelling {surplus} surplus exits"
            )
        self.on_state_change()

    @property
    def _is_halted(self) -> bool:
        return bool(self._trading == TradingState.HALTED)

    def _on_risk_event(self, event: object) -> None:
        state = getattr(event, "state", None)
        if state is None:
            return
        was_halted, self._trading = self._is_halted, state
        if self._is_halted:
            self._prices.forget()
        elif was_halted:
            self._exits.protect_all()

    # -- the operator ----------------------------------------------------------------------------

    def on_operator_state(self, state: OperatorState) -> None:
        """Send the ladder, or cancel the entries; no exits leave while positions are closed."""
        before, self._operator = self._operator, state
        if state != "trading":
            self._entries.cancel_all()
        if before == "flattening" and state != before:  # its positions and exits have changed
            self._take_over(self._saved_lots())
            self._exits.protect_all()
        if state == "trading" and state != before:
            self._update_entries()

    # -- market data -----------------------------------------------------------------------------

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Store the best bid and ask."""
        self._prices.quote(tick.bid_price.as_decimal(), tick.ask_price.as_decimal())

    def on_data(self, data: Any) -> None:  # noqa: ANN401 - Nautilus' own signature
        """Store the newest mark price update, which has the funding rate."""
        if isinstance(data, BinanceFuturesMarkPriceUpdate):
            self._funding = data
            self._funding_interval.observe(data.next_funding_ns, data.ts_event)

    def on_funding_hours(self, hours: Mapping[str, int]) -> None:
        """Take the funding interval that Binance states."""
        interval = hours.get(venue_symbol(str(self.config.instrument_id)), USUAL_HOURS)
        self._funding_interval.learn(interval)
        self._log_info(f"Funding is paid every {interval} h")

    def on_bar(self, bar: Bar) -> None:
        """Update the regime with the newest closed bar, then the exits and the entries."""
        self._update_detector(bar)
        self._bar_ns = bar.ts_event
        self._prices.bar(bar.close.as_decimal())
        self._check_account()
        self._update_entries()

    # -- positions and drawdown ------------------------------------------------------------------

    def _check_account(self) -> None:
        """Compare the lots with the positions, send missing exits and check the drawdown."""
        if self._operator != "flattening":  # else somebody else closes the lots
            self._check_lots()
        if not self._is_halted and self._prices.mid is not None:
            account = self._account
            self._result.take_balance(account.balance(), account.unrealised(self._prices.mid))
        if self._result.is_stopped or self.breaker.is_open(self.clock.timestamp_ns()):
            self._entries.cancel_all()

    def _check_lots(self) -> None:
        for book in BOOKS:
            if self._exits.quantity(book) != self._account.position(book).quantity:
                self.log.warning(
                    f"Another client has changed the {book} position; taking over its new size"
                )
                self._take_over(self._saved_lots())
                break
        self._exits.protect_all()

    def _on_drawdown_limit(self) -> None:
        """Stop all entries, until the operator lifts the stop."""
        self._entries.cancel_all()
        self.on_state_change()
        self.log.error(
            f"Drawdown {self._result.drawdown_pct:.2f} % has reached max_drawdown_pct: no further "
            "entries; exits stay open. `warmup-job trader resume --after-drawdown` lifts this"
        )

    def lift_drawdown_stop(self) -> bool:
        """Let entries be sent again; the drawdown is measured from the present equity on.

        Returns:
            Whether the drawdown had stopped the entries; otherwise nothing changes.
        """
        unrealised = Decimal(0)
        if self._has_started:
            unrealised = self._account.unrealised(self._prices.mid)
        if not self._result.lift_stop(unrealised):
            return False
        self.log.warning("The drawdown stop is lifted: the drawdown starts again at 0 %")
        self.on_state_change()
        if self._has_started:
            self._update_entries()
        return True

    @property
    def funds_until_ms(self) -> int | None:
        """Until when the account's income is counted; None: the account is not known yet."""
        account = self._result.account
        return None if account is None else account.at_ms

    def on_account_funds(self, funds: AccountFunds) -> bool:
        """Judge the drawdown by the account's equity; live only.

        Returns:
            False: Binance's income does not explain the wallet yet.
        """
        if not self._has_started:
            return False
        currency = self._client.instrument.quote_currency.code
        reading = self._result.take_funds(funds, currency)
        for transfer in reading.transfers:
            self.log.info(
                f"Transfer of {transfer.amount} {currency}: it does not count as a result"
            )
        if reading.unexplained:
            self.log.warning(
                f"The wallet has changed by {reading.unexplained} {currency} that Binance's income "
                "does not show; it counts as a result"
            )
        if reading.is_taken:
            self.on_state_change()
        return reading.is_taken

    # -- entries ---------------------------------------------------------------------------------

    def _find_block_reason(self) -> str:
        """Return why no entry may be sent now; empty if entries may be sent."""
        now_ns = self.clock.timestamp_ns()
        if self._operator != "trading":
            return "the operator has paused trading"
        if self._trading != TradingState.ACTIVE:
            return "trading is not active"
        if not self.detector.is_warm:
            return "the regime detector is not warm yet"
        if self._result.is_stopped:
            return "the drawdown limit was reached"
        if self._client.is_limited:
            return f"Binance limits or bans this IP until {utc_text(self._client.send_from_ms)}"
        if self.breaker.is_open(now_ns):
            return "the circuit breaker is open after too many errors"
        if now_ns - self._bar_ns > self.config.max_bar_staleness_seconds * _SECOND_NS:
            return "the last bar is older than max_bar_staleness_seconds"
        return ""

    def _update_entries(self) -> None:
        """Send and cancel entries until they are those of the ladder."""
        reason, mid = self._find_block_reason(), self._prices.mid
        if reason != self._block_reason:
            self._log_info(f"No entries: {reason}" if reason else "Entries are allowed")
            self._block_reason = reason
        self._entries.is_incomplete = False
        if reason or mid is None:
            return
        center = self._center
        if center is None or abs(mid - center) / center * BPS > self.config.recenter_trigger_bps:
            center = self._center = mid
        ladder = self._ladder(center)
        self._log_sizes(center)
        self._log_no_entries(ladder, center)
        wanted = [rung for rung in ladder if not self._exits.is_near(rung)]
        sent, cancelled = self._entries.update(wanted, mid, self._account, most=self._exits.room())
        if sent or cancelled:
            ends = f", from {_ends(ladder)}" if ladder else ""
            gone = f", {cancelled} cancelled" if cancelled else ""
            self._log_info(
                f"Ladder around {center:.2f}: {sent} of {len(ladder)} orders sent{gone}{ends}"
            )

    def _log_sizes(self, center: Decimal) -> None:
        """Log what the exchange's minimum and the caps change in the configured sizes.

        That is at the start, and when orders become too large to be sent.
        """
        if center == self._sized_center:
            return
        is_first, self._sized_center = self._sized_center is None, center
        instrument, was_oversized = self._client.instrument, self._is_oversized
        problems = size_problems(center, self.grid, instrument)
        self._is_oversized = bool(problems)
        if not problems and is_first:
            problems = size_warnings(center, self.grid, instrument)
        if is_first or (self._is_oversized and not was_oversized):
            for line in problems:
                self.log.warning(f"Order sizes: {line}")
        tighter = self._account.tighter_cap(self.config, self._prices.mid) if is_first else ""
        if tighter:
            self.log.warning(tighter)

    def _log_no_entries(self, ladder: list[Rung], center: Decimal) -> None:
        """Log why no entry can be sent, once for each new reason."""
        caps = self._account.caps(self.config, self._prices.mid)
        regime, instrument = self.detector.regime, self._client.instrument
        oversized = [] if ladder else size_problems(center, self.grid, instrument)
        found = explain_no_entries(
            ladder, caps, self.grid, instrument, regime, self._size_factors(), oversized
        )
        kind = None if found is None else found.kind
        if found is not None and kind != self._no_entries_kind:
            if found.is_wanted:
                self._log_info(f"No entries: {found.text}")
            else:
                self.log.warning(f"No entries: {found.text}")
        self._no_entries_kind = kind

    def _ladder(self, center: Decimal) -> list[Rung]:
        """Return the whole ladder; the one of the last bar if nothing has changed."""
        key = (center, self.detector.regime, self._size_factors())
        if key != self._ladder_cache[0]:
            _, regime, factors = key
            rungs = build_ladder(center, regime, self.grid, self._client.instrument, factors)
            self._ladder_cache = key, rungs
        return self._ladder_cache[1]

    def _size_factors(self) -> dict[Book, Decimal]:
        funding = self._funding
        if funding is None:
            return {}
        cost = funding_cost_bps(
            funding.funding_rate,
            funding.next_funding_ns,
            self.clock.timestamp_ns(),
            self.config.funding_window_minutes,
            self._funding_interval.hours,
        )
        return size_factors(cost, self.config.funding_max_cost_bps)

    # -- order events ----------------------------------------------------------------------------

    def on_order_accepted(self, event: OrderAccepted) -> None:
        """Save an entry's lot before it fills; cancel the stops that an accepted one replaces."""
        order_id = event.client_order_id.value
        found = self._exits.find(order_id)
        if found is not None:
            lot, leg = found
            order = self.cache.order(event.client_order_id)
            if order is not None:
                self._log_info(f"The exchange has accepted {describe_exit(order, lot, leg)}")
            self._exits.on_exit_accepted(lot, leg, order_id)
        self.on_state_change()

    def on_order_filled(self, event: OrderFilled) -> None:
        """Send exits for what an entry has filled, or reduce the lot that an exit has closed."""
        order_id = event.client_order_id.value
        order = self.cache.order(event.client_order_id)
        is_closed = order is not None and order.is_closed
        self._result.own.count_fee(event, self._client.instrument.quote_currency)
        price, quantity = event.last_px.as_decimal(), event.last_qty.as_decimal()
        entry, found = self._entries.find(order_id), self._exits.find(order_id)
        if is_closed:
            self._entries.forget(order_id)
        if entry is not None:
            rung = entry.rung
            self._log_info(f"Filled {quantity} at {price} ({_rung_name(rung)})")
            self._exits.on_entry_filled(_key(order_id), rung.book, price, quantity)
        elif found is not None:
            lot, leg = found
            self._log_info(f"Filled {quantity} at {price} ({lot.book} {exit_kind(leg)})")
            self._exits.on_exit_filled(lot, leg, order_id, quantity, is_closed=is_closed)
            if lot.quantity < 0 and self._operator != "flattening":
                self._check_lots()  # it has closed what another lot held
        elif order is not None and order_id.startswith("E-") and self.owns_order(order_id):
            book = book_of(order, closes=False)
            self._log_info(f"Filled {quantity} at {price} ({book}), after the entry had ended")
            self._exits.on_entry_filled(_key(order_id), book, price, quantity)
        elif self._operator != "flattening":
            self._check_lots()  # a late exit, an order by hand, Binance's deleveraging
        self.on_state_change()

    def on_order_rejected(self, event: OrderRejected) -> None:
        """Retry an order whose price the market has reached; others are retried after a bar."""
        order_id, reason = event.client_order_id.value, str(event.reason)
        entry, found = self._entries.forget(order_id), self._exits.find(order_id)
        is_reached = bool(event.due_post_only)
        is_limited = self._exits.note_limit(reason)
        if found is not None and found[1] == "S":
            is_reached = is_stop_reached_error(reason)
        if not is_reached and not is_limited and _is_first_failure(found):
            self._count_error()  # Nautilus has logged it
        if entry is not None and is_reached:
            self._entries.retry(entry)
        elif found is not None:
            self._exits.on_exit_rejected(*found, order_id, reason, is_reached=is_reached)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Forget an order that Nautilus' risk engine denied; it is retried on the next bar."""
        order_id = event.client_order_id.value
        self._entries.forget(order_id)
        found = self._exits.find(order_id)
        reason = str(event.reason)
        counts = self._trading == TradingState.ACTIVE and not is_rate_denial(reason)
        if counts and _is_first_failure(found):
            self._count_error()
        if found is not None:
            self._exits.on_exit_rejected(*found, order_id, reason, is_denied=True)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """Send entries that fit now, or an exit of another size."""
        self._on_order_gone(event.client_order_id.value)

    def on_order_cancel_rejected(self, event: OrderCancelRejected) -> None:
        """Retry the cancel of an exit at the next account check."""
        self._exits.on_cancel_rejected(event.client_order_id.value, str(event.reason))

    def on_order_expired(self, event: OrderExpired) -> None:
        """Handle an expired order; a post-only order that would have taken expires on Binance."""
        order_id = event.client_order_id.value
        order: Order | None = self.cache.order(event.client_order_id)
        entry, found = self._entries.find(order_id), self._exits.find(order_id)
        would_take = order is not None and order.is_post_only and order.filled_qty == 0
        if entry is not None and would_take:
            self._entries.forget(order_id)
            self._entries.retry(entry)
        elif found is not None and would_take:
            self._exits.on_exit_rejected(*found, order_id, "", is_reached=True)
        elif found is not None:
            self._exits.on_exit_expired(*found, order_id)
        else:
            self._on_order_gone(order_id)

    def _on_order_gone(self, order_id: str) -> None:
        entry, found = self._entries.forget(order_id), self._exits.find(order_id)
        if found is not None:
            self._exits.on_exit_canceled(*found, order_id)
        if entry is None:
            return
        self._exits.protect_key(_key(order_id))
        if self._entries.is_incomplete and not self._entries.open_entries()[1]:
            self._update_entries()

    def on_position_event(self, event: PositionEvent) -> None:
        """Count the realised result, commissions included."""
        self._result.own.count(event)

    # -- for operators ---------------------------------------------------------------------------

    def figures(self) -> GridFigures | None:
        """Return the grid's present figures; None before the strategy has started."""
        if not self._has_started:
            return None
        instrument, price = self._client.instrument, self._prices.mid
        orders = self._client.open_orders()
        books = book_figures(self._account.positions(), self._exits.lots, orders, price)
        unrealised = sum((each.unrealised for each in books.values()), Decimal(0))
        balance, result = self._account.balance(), self._result
        return GridFigures(
            at_ms=self.clock.timestamp_ms(),
            instrument_id=instrument.id.value,
            quote_currency=instrument.quote_currency.code,
            base_currency=instrument.base_currency.code,
            regime=self.detector.regime.value,
            equity=None if balance is None else balance + unrealised,
            realised=result.realised,
            unrealised=unrealised,
            fees=result.fees,
            funding=result.funding,
            drawdown_pct=result.drawdown_pct,
            is_stopped=result.is_stopped,
            block_reason=self._find_block_reason(),
            books=books,
            result_at_ms=self.funds_until_ms,
            open_orders=count_open_orders(orders),
        )

    def _count_error(self) -> None:
        now_ns = self.clock.timestamp_ns()
        if self.config.enable_circuit_breaker and self.breaker.count_error(now_ns):
            seconds = self.config.circuit_breaker_cooldown_seconds
            self.log.error(
                f"Too many errors: the circuit breaker is open, so entries are cancelled and none "
                f"are sent for {seconds} s; exits stay. See the warnings above"
            )
            self._entries.cancel_all()

    def _log_info(self, message: str, color: LogColor = LogColor.NORMAL) -> None:
        if not self.config.optimization_mode:
            self.log.info(message, color)


def _is_first_failure(found: tuple[Lot, Leg] | None) -> bool:
    """Return whether a failed order counts as an error: a stop that is repeated counts once."""
    return found is None or found[1] == "T" or not found[0].stop_failures


def _rung_name(rung: Rung) -> str:
    """Return an entry's place; only this run's ladder has numbered those that it has sent."""
    level = f"rung {rung.level}" if rung.level else "entry that was taken over"
    return f"{rung.book} {level}"


def _key(order_id: str) -> str:
    return order_id.partition("-")[2]


def _ends(ladder: list[Rung]) -> str:
    lowest, highest = (min(r.price for r in ladder), max(r.price for r in ladder))
    return f"{lowest} to {highest}"
