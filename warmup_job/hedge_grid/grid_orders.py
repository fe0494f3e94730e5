"""The grid's orders and lots, brought in line with the positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from nautilus_trader.trading.strategy import Strategy

from warmup_job.hedge_grid.entry_guard import EntryGuard
from warmup_job.hedge_grid.entry_orders import EntryOrders
from warmup_job.hedge_grid.exit_orders import ExitOrders
from warmup_job.hedge_grid.grid_account import GridAccount
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.grid_log import GridLog
from warmup_job.hedge_grid.grid_state import SavedLot, by_key, describe_old_exits
from warmup_job.hedge_grid.ladder import BOOKS, Book
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient


class GridOrders:
    """The entries, the lots with their exits, and the positions that they must add up to.

    Args:
        strategy: Sends the orders.
        config: The strategy's configuration.
        client: Sends and finds the orders.
        prices: The newest market prices.
        timers: Delay what is tried again.
        guard: Decides whether entries may be sent.
        log: The strategy's log.
        on_change: Is called when the lots have been taken over.
    """

    def __init__(
        self,
        strategy: Strategy,
        config: HedgeGridV1Config,
        client: OrderClient,
        prices: MarketPrices,
        timers: LoopTimers,
        guard: EntryGuard,
        log: GridLog,
        on_change: Callable[[], object],
    ) -> None:
        self.client = client
        self.account = GridAccount(strategy.cache, client.instrument)
        self.entries = EntryOrders(
            client, prices, config, timers,
            lambda: guard.block(strategy.clock.timestamp_ns()) is None,
        )  # fmt: skip
        self.exits = ExitOrders(
            client, prices, config, timers, lambda: not guard.is_flattening,
            lambda book: self.account.position(book).quantity, self.entries.is_open,
        )  # fmt: skip
        self._new_exits = grid_settings(config).exits
        self._guard = guard
        self._log = log
        self._on_change = on_change

    def begin(self, remembered: Iterable[SavedLot]) -> None:
        """Take over what the trader's start has found, and log what has filled before it."""
        saved = by_key(remembered)
        self.take_over(saved.values())
        self._log_fills_since(saved)
        kept = describe_old_exits(self.exits.saved_lots(), self._new_exits)
        if kept:
            self._log.warning(kept)

    def _log_fills_since(self, saved: Mapping[str, SavedLot]) -> None:
        """Log which entries have filled since the state was saved: their events never arrive."""
        fills, bare = [], Decimal(0)
        for lot in self.exits.lots:
            before = saved.get(lot.key)
            if before is None or lot.quantity <= before.quantity:
                continue
            filled = lot.quantity - before.quantity
            fills.append(f"{filled} at {lot.entry.normalize():f} ({lot.book}, E-{lot.key})")
            stops = [order for order in map(self.client.open_order, lot.stops) if order is not None]
            covered = sum((order.leaves_qty.as_decimal() for order in stops), Decimal(0))
            bare += max(lot.quantity - covered, Decimal(0))
        if not fills:
            return
        line = f"Filled while the trader was down: {', '.join(fills)}"
        if bare:
            self._log.warning(f"{line}; {bare} had no stop loss until now")
        else:
            self._log.info(line)

    def take_over(self, remembered: Iterable[SavedLot]) -> None:
        """Build entries and lots from open orders, positions and the ``remembered`` lots."""
        orders = self.client.own_orders()
        self.entries.take_over(orders)
        exits, surplus = self.exits.take_over(self.account.positions(), orders, remembered)
        lots = len(self.exits.lots)
        if orders or lots:
            gone = f"; cancelling {_count(surplus, 'surplus exit')}" if surplus else ""
            self._log.info(
                f"Took over {_count(len(self.entries), 'entry', 'entries')}, "
                f"{_count(exits, 'exit')} and {_count(lots, 'lot')}{gone}"
            )
        self._on_change()

    def saved_lots(self) -> tuple[SavedLot, ...]:
        """Return every lot, and every entry as the lot that it would become."""
        return (*self.exits.saved_lots(), *self.entries.saved_lots(self._new_exits))

    def check_lots(self) -> None:
        """Take over a position that its lots do not add up to, and send missing exits.

        While the operator's positions are closed, nothing is done: somebody else closes the lots.
        """
        if self._guard.is_flattening:
            return
        changed = self._changed_books()
        if changed:
            self._log.warning(
                f"Another client has changed the {' and the '.join(changed)} position; taking over "
                "its new size"
            )
            self.take_over(self.saved_lots())
        self.exits.protect_all()

    def heed_positions(self) -> None:
        """Do the same, if the lots do not add up to the positions."""
        if self._changed_books():
            self.check_lots()

    def _changed_books(self) -> list[Book]:
        """Return the books whose lots do not add up to their position."""
        return [
            book
            for book in BOOKS
            if self.exits.quantity(book) != self.account.position(book).quantity
        ]

    def end_flatten(self) -> None:
        """Take over what a flatten has left."""
        self.take_over(self.saved_lots())
        self.exits.protect_all()


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
