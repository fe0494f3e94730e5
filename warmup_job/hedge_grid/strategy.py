"""HedgeGridV1: a grid of post-only limit orders on both sides of a centre price, in hedge mode.

docs/explanation/hedge-grid.md describes the behaviour. This module is what Nautilus and the runner
call. What it is made of:

- `grid_orders` has the positions, the entries (`entry_orders`) and the lots with their exits
  (`exit_orders`), and `grid_order_events` passes the orders' events on to them;
- `ladder_keeper` keeps the entries those of the ladder, if `entry_guard` lets it;
- `grid_result` follows the result and judges the drawdown.

The rules are in pure modules: `ladder`, `caps`, `order_diff`, `exit_rules`, `funding`,
`circuit_breaker` and `no_entries`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.adapters.binance.futures.types import BinanceFuturesMarkPriceUpdate
from nautilus_trader.common.enums import LogColor
from nautilus_trader.model.data import Bar, DataType, QuoteTick
from nautilus_trader.model.events import OrderEvent, OrderFilled, PositionEvent
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.trading.strategy import Strategy

from warmup_job.binance.funds import AccountFunds
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.hedge_grid.entry_guard import Block, EntryGuard
from warmup_job.hedge_grid.funding import USUAL_HOURS, FundingOutlook
from warmup_job.hedge_grid.grid_config import (
    HedgeGridV1Config,
    detector_settings,
    grid_settings,
)
from warmup_job.hedge_grid.grid_figures import GridFigures, make_figures
from warmup_job.hedge_grid.grid_log import GridLog
from warmup_job.hedge_grid.grid_order_events import GridOrderEvents
from warmup_job.hedge_grid.grid_orders import GridOrders
from warmup_job.hedge_grid.grid_pnl import GridPnl
from warmup_job.hedge_grid.grid_result import GridResult
from warmup_job.hedge_grid.grid_state import STATE_VERSION, GridState, SavedLot, decode_state
from warmup_job.hedge_grid.ladder import LadderCenter
from warmup_job.hedge_grid.ladder_keeper import LadderKeeper
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import NS_PER_MS
from warmup_job.modes import OperatorState
from warmup_job.regime.detector import DetectorBar, RegimeDetector

__all__ = ["HedgeGridV1", "HedgeGridV1Config"]

_ACCOUNT_TIMER = "check the account"


class HedgeGridV1(Strategy):
    """Trades the grid. Its positions are `<instrument>-LONG` and `<instrument>-SHORT`.

    Order ids are `E-<key>` for an entry, and `T<n>-<key>` and `S<n>-<key>` for the take profit and
    the stop loss of what that entry has filled.
    """

    # Set by on_start:
    _orders: GridOrders
    _ladder: LadderKeeper
    _events: GridOrderEvents

    acts_on_first_bar = True
    """The runner passes the newest closed bar to on_bar at start, so the ladder is sent at once."""

    def __init__(self, config: HedgeGridV1Config) -> None:
        super().__init__(config)
        self._has_started = False
        self.owns_order: Callable[[str], bool] = lambda _: True
        """Whether this trader made the order with this id; the runner sets it."""
        self.on_state_change: Callable[[], None] = lambda: None
        """Is called after each change of what is saved; the runner sets it."""
        self.grid = grid_settings(config)
        self.detector = RegimeDetector(detector_settings(config))
        self._symbol = venue_symbol(str(config.instrument_id))
        self._grid_log = GridLog(self, is_quiet=config.optimization_mode)
        self._prices = MarketPrices()
        self._center = LadderCenter(config.recenter_trigger_bps)
        self._funding = FundingOutlook(config.funding_window_minutes, config.funding_max_cost_bps)
        self._result = GridResult(
            self._symbol,
            config.max_drawdown_pct if config.enable_drawdown_protection else None,
            self._on_drawdown_limit,
        )
        self._guard = EntryGuard(
            config, lambda: self.detector.is_warm, lambda: self._result.is_stopped
        )
        self.breaker = self._guard.breaker
        self._loaded_lots: tuple[SavedLot, ...] = ()  # until on_start has taken them over
        self._loaded_breaker_ns = 0  # likewise

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
            self._grid_log.info(f"Regime {before.value} -> {after.value}", LogColor.MAGENTA)

    # -- start, stop and state -------------------------------------------------------------------

    def on_load(self, state: dict[str, bytes]) -> None:
        """Restore the saved state.

        Raises:
            ValueError: It is not a state, or a later version has saved it.
        """
        saved = decode_state(state["grid"])
        self._center.price, self._loaded_lots = saved.center, saved.lots
        self._loaded_breaker_ns = saved.breaker_until_ns
        own = GridPnl(saved.capital, saved.realised, saved.peak, saved.fees)
        self._result.load(own, saved.account, is_stopped=saved.stopped)

    def on_save(self) -> dict[str, bytes]:
        """Return the state to save: centre, result, drawdown stop, circuit breaker and lots."""
        own = self._result.own
        state = GridState(
            version=STATE_VERSION,
            center=self._center.price,
            capital=own.capital,
            realised=own.realised,
            peak=own.peak,
            stopped=self._result.is_stopped,
            fees=own.fees,
            lots=self._orders.saved_lots() if self._has_started else self._loaded_lots,
            account=self._result.account,
            breaker_until_ns=(
                self.breaker.open_until_ns if self._has_started else self._loaded_breaker_ns
            ),
        )
        return {"grid": msgspec.json.encode(state)}

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
        self._timers = LoopTimers(self)
        self._make_parts(OrderClient(self, instrument, self.owns_order), self._timers)
        self._guard.restore_breaker(self._loaded_breaker_ns, self.clock.timestamp_ns())
        self._orders.begin(self._loaded_lots)
        self._has_started = True
        self._result.own.begin(self._orders.account.open_positions())
        self.msgbus.subscribe(topic="events.risk", handler=self._on_risk_event)
        self.subscribe_bars(self.config.bar_type)
        self.subscribe_quote_ticks(self.config.instrument_id)
        if isinstance(instrument, CryptoPerpetual):
            self.subscribe_data(self._mark_prices(), client_id=ClientId(instrument.venue.value))
        self._orders.exits.protect_all()
        self._timers.every(
            self.config.balance_check_interval_seconds, _ACCOUNT_TIMER, self._check_account
        )

    def _make_parts(self, client: OrderClient, timers: LoopTimers) -> None:
        now_ns = self.clock.timestamp_ns
        self._guard.limited_until_ms = lambda: client.send_from_ms
        self._orders = GridOrders(
            self, self.config, client, self._prices, timers, self._guard, self._grid_log,
            self._note_change,
        )  # fmt: skip
        self._ladder = LadderKeeper(
            self.config, self._orders, self._center, self.detector, self._prices, self._funding,
            self._grid_log, self._block, now_ns,
        )  # fmt: skip
        self._events = GridOrderEvents(
            self._orders, self._guard, self._grid_log, self.owns_order, self._ladder.update,
            self._note_change, now_ns,
        )  # fmt: skip

    def _note_change(self) -> None:
        self.on_state_change()

    def _block(self) -> Block | None:
        return self._guard.block(self.clock.timestamp_ns())

    def on_stop(self) -> None:
        """Unsubscribe. Open orders stay; the trader's ``on_stop`` policy applies to them."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            return  # on_start has subscribed to nothing
        self._timers.cancel_all()
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

    # -- the runner and the operator -------------------------------------------------------------

    @property
    def owes_exits(self) -> bool:
        """Whether a lot is being closed, or a stop loss that was refused is to be repeated."""
        if not self._has_started or self._guard.is_flattening:
            return False
        return self._orders.exits.are_owed

    def _on_risk_event(self, event: object) -> None:
        """Forget old prices while trading is halted; afterwards send what is missing."""
        state = getattr(event, "state", None)
        if state is None:
            return
        was_halted, was_active = self._guard.is_halted, self._guard.is_active
        self._guard.trading = state
        if self._guard.is_halted:
            self._prices.forget()
        elif was_halted:
            self._orders.exits.protect_all()
        if self._guard.is_active and not was_active and self._block() is None:
            self._ladder.update()  # what still blocks it, such as the first bar, updates it too

    def on_operator_state(self, state: OperatorState) -> None:
        """Send the ladder, or cancel the entries; no exits leave while positions are closed."""
        before, self._guard.operator = self._guard.operator, state
        if state != "trading":
            self._orders.entries.cancel_all()
        if before == "flattening" and state != before:  # its positions and exits have changed
            self._orders.end_flatten()
        if state == "trading" and state != before:
            self._ladder.update()

    def lift_drawdown_stop(self) -> bool:
        """Let entries be sent again; the drawdown is measured from the present equity on.

        Returns:
            Whether the drawdown had stopped the entries; otherwise nothing changes.
        """
        if not self._result.lift_stop(self._unrealised()):
            return False
        self.log.warning("The drawdown stop is lifted: the drawdown starts again at 0 %")
        self.on_state_change()
        if self._has_started:
            self._ladder.update()
        return True

    def figures(self) -> GridFigures | None:
        """Return the grid's present figures; None before the strategy has started."""
        if not self._has_started:
            return None
        return make_figures(
            self._orders, self._result, self._block(), self.detector.regime, self._prices.mid,
            self.clock.timestamp_ms(), self.breaker.open_until_ns // NS_PER_MS,
        )  # fmt: skip

    # -- market data -----------------------------------------------------------------------------

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Store the best bid and ask; send the ladder if it waits for a price."""
        self._prices.quote(tick.bid_price.as_decimal(), tick.ask_price.as_decimal())
        if self._ladder.is_due:
            self._ladder.update()

    def on_data(self, data: Any) -> None:  # noqa: ANN401 - Nautilus' own signature
        """Store the funding rate of the newest mark price update."""
        if isinstance(data, BinanceFuturesMarkPriceUpdate):
            self._funding.take(data.funding_rate, data.next_funding_ns, data.ts_event)

    def on_funding_hours(self, hours: Mapping[str, int]) -> None:
        """Take the funding interval that Binance states."""
        interval = hours.get(self._symbol, USUAL_HOURS)
        self._funding.interval.learn(interval)
        self._grid_log.info(f"Funding is paid every {interval} h")

    def on_bar(self, bar: Bar) -> None:
        """Update the regime with the newest closed bar, then the exits and the entries."""
        self._update_detector(bar)
        self._guard.bar_ns = bar.ts_event
        self._prices.bar(bar.close.as_decimal())
        self._check_account()
        self._ladder.update()

    # -- orders and positions --------------------------------------------------------------------

    def on_order_event(self, event: OrderEvent) -> None:
        """Act on an event of one of its orders."""
        if isinstance(event, OrderFilled):
            self._result.own.count_fee(event, self._orders.client.instrument.quote_currency)
        self._events.handle(event, self.cache.order(event.client_order_id))

    def on_position_event(self, event: PositionEvent) -> None:
        """Count the realised result, commissions included; notice who else trades."""
        self._result.own.count(event)
        self._orders.heed_positions()  # a fill of an order that is not this strategy's

    def _check_account(self) -> None:
        """Compare the lots with the positions, send missing exits and check the drawdown."""
        self._orders.check_lots()
        if not self._guard.is_halted and self._prices.mid is not None:
            self._result.take_balance(self._orders.account.balance(), self._unrealised())
        if self._result.is_stopped or self.breaker.is_open(self.clock.timestamp_ns()):
            self._orders.entries.cancel_all()

    def _unrealised(self) -> Decimal:
        """Return the unrealised result of both books; 0 before the start."""
        if not self._has_started:
            return Decimal(0)
        return self._orders.account.unrealised(self._prices.mid)

    # -- drawdown --------------------------------------------------------------------------------

    @property
    def funds_until_ms(self) -> int | None:
        """Until when all income is counted; None: the account is not known yet."""
        account = self._result.account
        return None if account is None else account.settled_ms

    def on_account_funds(self, funds: AccountFunds) -> bool:
        """Judge the drawdown by the account's equity; live only.

        Returns:
            False: Binance's income does not explain the wallet yet.
        """
        if not self._has_started:
            return False
        currency = self._orders.client.instrument.quote_currency.code
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
            account = self._result.account
            self._orders.account.read_equity = None if account is None else account.equity
            self.on_state_change()
        return reading.is_taken

    def _on_drawdown_limit(self) -> None:
        """Stop all entries, until the operator lifts the stop."""
        self._orders.entries.cancel_all()
        self.on_state_change()
        self.log.error(
            f"Drawdown {self._result.drawdown_pct:.2f} % has reached max_drawdown_pct: no further "
            "entries; exits stay open. `warmup-job trader resume --after-drawdown` lifts this"
        )
