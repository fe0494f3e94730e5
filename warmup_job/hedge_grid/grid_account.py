"""What the account has, holds and has earned, and what of it the grid may use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.events import PositionClosed, PositionEvent, PositionOpened
from nautilus_trader.model.identifiers import InstrumentId, PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Money
from nautilus_trader.model.position import Position

from warmup_job.hedge_grid.caps import Caps, Exposure, caps_of
from warmup_job.hedge_grid.circuit_breaker import drawdown_pct
from warmup_job.hedge_grid.exit_rules import BookPosition
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config
from warmup_job.hedge_grid.ladder import BOOKS, Book
from warmup_job.hedge_grid.order_diff import OpenEntry

_MAINTENANCE = Decimal("0.025")  # what Binance lists for every USDⓈ-M contract


def position_id(instrument_id: InstrumentId, book: Book) -> PositionId:
    """Of a book's position, as Nautilus' Binance client has it in hedge mode."""
    return PositionId(f"{instrument_id}-{book}")


class GridAccount:
    """One instrument's two positions and the balance behind them, by Nautilus' cache."""

    def __init__(self, cache: CacheFacade, instrument: Instrument) -> None:
        self._cache = cache
        self._instrument = instrument

    def held(self, book: Book) -> BookPosition:
        """What the book's position is: what the exchange says."""
        position = self._cache.position(position_id(self._instrument.id, book))
        side = PositionSide.LONG if book == "LONG" else PositionSide.SHORT
        if position is None or position.side != side:
            return BookPosition(Decimal(0), Decimal(0))
        return BookPosition(position.quantity.as_decimal(), Decimal(str(position.avg_px_open)))

    def positions(self) -> list[Position]:
        """Those of both books, as far as there are any."""
        found = (self._cache.position(position_id(self._instrument.id, book)) for book in BOOKS)
        return [position for position in found if position is not None and position.is_open]

    def balance(self) -> Decimal | None:
        """In quote currency, without what is open; None: it is not known yet."""
        account = self._cache.account_for_venue(self._instrument.venue)
        total = None if account is None else account.balance_total(self._instrument.quote_currency)
        return None if total is None else total.as_decimal()

    def unrealised(self, mid: Decimal | None) -> Decimal:
        """What closing both books at this price would bring, quote currency."""
        profit = Decimal(0)
        if mid is not None:
            for book in BOOKS:
                quantity, price = self.held(book)
                profit += quantity * (mid - price if book == "LONG" else price - mid)
        return profit

    def exposure(self, mid: Decimal, orders: Iterable[OpenEntry] = ()) -> dict[Book, Exposure]:
        """What is held, at its cost or its worth, whichever is more, and these orders with it."""
        exposure = {}
        for book in BOOKS:
            quantity, price = self.held(book)
            exposure[book] = Exposure(quantity, quantity * max(price, mid))
        for each in orders:
            exposure[each.book] = exposure[each.book].plus(each.leaves, each.leaves * each.price)
        return exposure

    def caps(self, config: HedgeGridV1Config, mid: Decimal | None) -> Caps:
        """How much may be held; nothing where the account has no quote currency at all."""
        balance = self.balance()
        if balance is None and self._cache.account_for_venue(self._instrument.venue) is not None:
            balance = Decimal(0)
        if balance is None or not config.enable_position_validation:
            return Caps(config.max_inventory_quote)
        return caps_of(
            equity=balance + self.unrealised(mid),
            account_leverage=self._leverage(),
            # Nautilus has no figure for Binance's contracts, and says 1.
            maintenance=min(self._instrument.margin_maint, _MAINTENANCE),
            max_inventory_quote=config.max_inventory_quote,
            max_position_size=config.max_position_size,
            max_position_pct=config.max_position_pct,
            max_leverage_used=config.max_leverage_used,
            liquidation_buffer=config.emergency_liquidation_buffer,
        )

    def _leverage(self) -> Decimal:
        account = self._cache.account_for_venue(self._instrument.venue)
        if not account.is_margin_account:
            return Decimal(1)
        return Decimal(account.leverage(self._instrument.id) or account.default_leverage)


def _amount(money: Money | None) -> Decimal:
    return Decimal(0) if money is None else Decimal(money.as_decimal())


@dataclass(slots=True)
class GridPnl:
    """What was realised, commissions with it, and the best that profit ever was."""

    capital: Decimal | None = None
    """The balance that it began with."""
    realised: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    _counted: dict[PositionId, Decimal] = field(default_factory=dict)
    """Of an open position's profit, what is in ``realised``."""

    def begin(self, positions: Iterable[Position]) -> None:
        """What open positions have realised so far was counted by an earlier run, or is not ours.

        Of a position that Nautilus has made anew from the exchange's reports that can be anything.
        """
        self._counted = {each.id: _amount(each.realized_pnl) for each in positions}

    def count(self, event: PositionEvent) -> None:
        """A position was opened, changed or closed."""
        if isinstance(event, PositionOpened):
            self._counted.pop(event.position_id, None)
        realised = _amount(event.realized_pnl)
        self.realised += realised - self._counted.get(event.position_id, Decimal(0))
        self._counted[event.position_id] = realised
        if isinstance(event, PositionClosed):
            del self._counted[event.position_id]

    def drawdown_pct(self, unrealised: Decimal) -> Decimal:
        """What is lost of what there was at the best time, which may be now, in percent."""
        profit = self.realised + unrealised
        self.peak = max(self.peak, profit)
        return Decimal(0) if self.capital is None else drawdown_pct(self.capital, self.peak, profit)
