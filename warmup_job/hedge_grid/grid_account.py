"""The grid's two positions, its balance, and the caps that follow from them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.identifiers import InstrumentId, PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.position import Position

from warmup_job.hedge_grid.caps import Caps, Exposure, caps_of, describe_tighter_cap
from warmup_job.hedge_grid.exit_rules import BookPosition
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config
from warmup_job.hedge_grid.ladder import BOOKS, Book
from warmup_job.hedge_grid.order_diff import OpenEntry

_MAINTENANCE = Decimal("0.025")  # maintMarginPercent of every contract in Binance's exchangeInfo


def position_id(instrument_id: InstrumentId, book: Book) -> PositionId:
    """Return the id that Nautilus' Binance client gives a book's position in hedge mode."""
    return PositionId(f"{instrument_id}-{book}")


def unrealised_of(book: Book, position: BookPosition, price: Decimal | None) -> Decimal:
    """Return a position's unrealised result at ``price``; 0 if the price is unknown."""
    if price is None:
        return Decimal(0)
    gain = price - position.price if book == "LONG" else position.price - price
    return position.quantity * gain


class GridAccount:
    """Reads one instrument's positions and the account's balance from Nautilus' cache."""

    def __init__(self, cache: CacheFacade, instrument: Instrument) -> None:
        self._cache = cache
        self._instrument = instrument
        self.read_equity: Decimal | None = None
        """The equity of the newest reading of the account, quote currency; None: there was none in
        this run, so what Nautilus knows counts. It does not know the positions in other symbols."""

    def position(self, book: Book) -> BookPosition:
        """Return the book's position; its quantity is 0 if there is none."""
        position = self._cache.position(position_id(self._instrument.id, book))
        side = PositionSide.LONG if book == "LONG" else PositionSide.SHORT
        if position is None or position.side != side:
            return BookPosition(Decimal(0), Decimal(0))
        return BookPosition(position.quantity.as_decimal(), Decimal(str(position.avg_px_open)))

    def positions(self) -> dict[Book, BookPosition]:
        """Return the positions of both books."""
        return {book: self.position(book) for book in BOOKS}

    def open_positions(self) -> list[Position]:
        """Return Nautilus' open positions of both books."""
        found = (self._cache.position(position_id(self._instrument.id, book)) for book in BOOKS)
        return [position for position in found if position is not None and position.is_open]

    def balance(self) -> Decimal | None:
        """Return the balance without unrealised result, quote currency; None if unknown."""
        account = self._cache.account_for_venue(self._instrument.venue)
        total = None if account is None else account.balance_total(self._instrument.quote_currency)
        return None if total is None else total.as_decimal()

    def unrealised(self, mid: Decimal | None) -> Decimal:
        """Return the unrealised result of both books at ``mid``, quote currency."""
        return sum(
            (unrealised_of(book, position, mid) for book, position in self.positions().items()),
            Decimal(0),
        )

    def equity(self, mid: Decimal | None) -> Decimal | None:
        """Return the account's equity, quote currency; None if it is unknown.

        Args:
            mid: The price of the unrealised result, unless the account was read.
        """
        if self.read_equity is not None:
            return self.read_equity
        balance = self.balance()
        return None if balance is None else balance + self.unrealised(mid)

    def exposure(self, mid: Decimal, orders: Iterable[OpenEntry] = ()) -> dict[Book, Exposure]:
        """Return each book's exposure if all ``orders`` fill.

        A position counts with its cost or its value at ``mid``, whichever is larger.
        """
        exposure = {}
        for book in BOOKS:
            quantity, price = self.position(book)
            exposure[book] = Exposure(quantity, quantity * max(price, mid))
        for each in orders:
            exposure[each.book] = exposure[each.book].plus(each.leaves, each.leaves * each.price)
        return exposure

    def caps(self, config: HedgeGridV1Config, mid: Decimal | None) -> Caps:
        """Return the current caps; an account without the quote currency has an equity of 0."""
        equity = self.equity(mid)
        if equity is None and self._cache.account_for_venue(self._instrument.venue) is not None:
            equity = Decimal(0)
        if equity is None or not config.enable_position_validation:
            return Caps(config.max_inventory_quote)
        return caps_of(equity, self._leverage(), self._maintenance, config)

    def tighter_cap(self, config: HedgeGridV1Config, mid: Decimal | None) -> str:
        """Return how ``max_position_pct`` limits a book more than in earlier versions."""
        equity = self.equity(mid)
        if equity is None or not config.enable_position_validation:
            return ""
        quote = self._instrument.quote_currency.code
        return describe_tighter_cap(equity, self._leverage(), self._maintenance, config, quote)

    @property
    def _maintenance(self) -> Decimal:
        # Nautilus sets margin_maint to 1 for Binance's contracts, because it has no figure.
        return Decimal(min(self._instrument.margin_maint, _MAINTENANCE))

    def _leverage(self) -> Decimal:
        account = self._cache.account_for_venue(self._instrument.venue)
        if not account.is_margin_account:
            return Decimal(1)
        return Decimal(account.leverage(self._instrument.id) or account.default_leverage)
