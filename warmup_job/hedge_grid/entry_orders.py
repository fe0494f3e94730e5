"""The entries: the limit orders of the ladder's rungs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import Order

from warmup_job.hedge_grid.caps import rungs_within_caps
from warmup_job.hedge_grid.grid_account import GridAccount
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config
from warmup_job.hedge_grid.grid_order_ids import parse_order_id
from warmup_job.hedge_grid.grid_state import SavedLot
from warmup_job.hedge_grid.ladder import Book, ExitSteps, Rung, half_step, is_on_maker_side
from warmup_job.hedge_grid.loop_timers import LoopTimers
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient, book_of
from warmup_job.hedge_grid.order_diff import OpenEntry, match_entries, retry_price


class EntryOrder(NamedTuple):
    """An entry's rung, and how many times it was rejected as a taker order."""

    rung: Rung
    attempt: int = 0


class EntryOrders:
    """The entries that are at the exchange or wait for a retry.

    Args:
        client: Sends and cancels the orders.
        prices: The newest market prices.
        config: The strategy's configuration.
        timers: Delay retries.
        may_send: Returns whether entries may be sent now.
    """

    def __init__(
        self,
        client: OrderClient,
        prices: MarketPrices,
        config: HedgeGridV1Config,
        timers: LoopTimers,
        may_send: Callable[[], bool],
    ) -> None:
        self.is_incomplete = False
        """Whether rungs wait for pending cancels to free exposure."""
        self._client = client
        self._prices = prices
        self._config = config
        self._timers = timers
        self._may_send = may_send
        self._orders: dict[str, EntryOrder] = {}
        self._retrying: dict[str, EntryOrder] = {}  # by the name of the time alert

    def __len__(self) -> int:
        return len(self._orders)

    def take_over(self, orders: Iterable[Order]) -> None:
        """Replace the known entries with those among ``orders``.

        What this run has sent keeps its rung; the rungs of former runs have no number.
        """
        former, self._orders = self._orders, {}
        for order in orders:
            order_id = order.client_order_id.value
            parsed = parse_order_id(order_id)
            if parsed is not None and parsed.purpose == "entry":
                rung = Rung(book_of(order, closes=False), 0, order.price, order.quantity)
                self._orders[order_id] = former.get(order_id, EntryOrder(rung))

    def find(self, order_id: str) -> EntryOrder | None:
        """Return the entry with this order id."""
        return self._orders.get(order_id)

    def is_open(self, key: str) -> bool:
        """Return whether the entry with this key may fill further."""
        return f"E-{key}" in self._orders

    def saved_lots(self, steps: ExitSteps) -> list[SavedLot]:
        """Return each entry as the lot that it would become, with the quantity 0.

        Args:
            steps: The exits of new lots.
        """
        lots = []
        for order_id, (rung, _) in self._orders.items():
            order = self._client.open_order(order_id)  # a retry has another price than its rung
            price = (rung if order is None else order).price.as_decimal()
            leaves = (rung.quantity if order is None else order.leaves_qty).as_decimal()
            key = order_id.removeprefix("E-")
            lots.append(SavedLot(key, rung.book, price, Decimal(0), *steps, leaves))
        return lots

    def open_entries(self) -> tuple[list[OpenEntry], list[OpenEntry]]:
        """Return the entries that stay, retries included, and those with a pending cancel."""
        staying: list[OpenEntry] = []
        leaving: list[OpenEntry] = []
        for order_id, (rung, _) in self._orders.items():
            order = self._client.open_order(order_id)
            if order is None:
                continue
            each = OpenEntry(
                order_id, rung.book, rung.price.as_decimal(), order.quantity.as_decimal(),
                order.leaves_qty.as_decimal(),
            )  # fmt: skip
            (leaving if order.is_pending_cancel else staying).append(each)
        for alert, (rung, _) in self._retrying.items():
            quantity = rung.quantity.as_decimal()
            staying.append(OpenEntry(alert, rung.book, rung.price.as_decimal(), quantity, quantity))
        return staying, leaving

    def update(
        self, wanted: Sequence[Rung], mid: Decimal, account: GridAccount, most: int
    ) -> tuple[int, int]:
        """Cancel the entries that serve no rung, and send the missing ones that fit the caps.

        Args:
            wanted: The rungs that should have an order.
            mid: The market's middle price.
            account: Positions and caps.
            most: The largest number of entries; the exchange has no more stop losses for their
                lots.

        Returns:
            The number of orders sent, and of orders cancelled.
        """
        staying, leaving = self.open_entries()
        matched = match_entries(
            wanted,
            staying,
            price_tolerance_bps=self._config.order_diff_price_tolerance_bps,
            qty_tolerance=self._config.order_diff_qty_tolerance_pct,
        )
        # A missing rung that the market has passed waits until the price comes back.
        wanted = [rung for rung in wanted if rung in matched or is_on_maker_side(rung, mid)]
        caps = account.caps(self._config, self._prices.mid)
        # A partly filled rung counts with its unfilled rest: the fill is in the position.
        sized = {self._unfilled(rung, matched.get(rung)): rung for rung in wanted}
        fitting = [sized[each] for each in rungs_within_caps(sized, account.exposure(mid), caps)]
        fitting = fitting[:most]  # the nearest
        kept = [matched[rung] for rung in fitting if rung in matched]
        dropped = [order for order in staying if order not in kept]
        for order in dropped:
            self.cancel(order.order_id)
        new = [rung for rung in fitting if rung not in matched]
        # An order can still fill until its cancel is confirmed.
        exposure = account.exposure(mid, [*kept, *dropped, *leaving]) if new else {}
        sent = rungs_within_caps(new, exposure, caps)
        self.is_incomplete = len(sent) < len(new)
        for rung in sent:
            self.send(EntryOrder(rung))
        return len(sent), len(dropped)

    def _unfilled(self, rung: Rung, order: OpenEntry | None) -> Rung:
        if order is None or order.leaves == order.quantity:
            return rung
        return rung._replace(quantity=self._client.instrument.make_qty(order.leaves))

    def send(self, entry: EntryOrder, price: Decimal | None = None) -> None:
        """Send an entry's order at ``price``, by default at its rung's price."""
        rung, instrument = entry.rung, self._client.instrument
        order = self._client.factory.limit(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if rung.book == "LONG" else OrderSide.SELL,
            quantity=rung.quantity,
            price=rung.price if price is None else instrument.make_price(price),
            post_only=self._config.maker_only,
            client_order_id=ClientOrderId(f"E-{self._client.new_key()}"),
        )
        self._orders[order.client_order_id.value] = entry
        self._client.submit(order, rung.book)

    def retry(self, entry: EntryOrder) -> None:
        """Schedule a retry of a rejected post-only entry, if the settings allow another one."""
        attempt = entry.attempt + 1
        if not self._config.use_post_only_retries or attempt > self._config.retry_attempts:
            return
        alert = f"retry-{self._client.new_key()}"
        self._retrying[alert] = EntryOrder(entry.rung, attempt)
        self._timers.after(self._config.retry_delay_ms, alert, lambda: self._resend(alert))

    def _resend(self, alert: str) -> None:
        entry = self._retrying.pop(alert, None)
        if entry is None or not self._may_send():
            return
        rung = entry.rung
        price = retry_price(
            rung.book,
            rung.price.as_decimal(),
            entry.attempt,
            opposite=self._prices.ask if rung.book == "LONG" else self._prices.bid,
            tick=self._client.tick,
            max_bps=self._config.retry_max_price_deviation_bps,
        )
        if price is not None and not self._is_near_another(rung.book, price):
            self.send(entry, price)

    def _is_near_another(self, book: Book, price: Decimal) -> bool:
        """Return whether an open entry of the book is within half a grid step of a price."""
        near = half_step(price, self._config.grid_step_bps)
        orders = (
            self._client.open_order(order_id)
            for order_id, (rung, _) in self._orders.items()
            if rung.book == book
        )
        return any(
            order is not None and abs(order.price.as_decimal() - price) < near for order in orders
        )

    def forget(self, order_id: str) -> EntryOrder | None:
        """Remove an entry whose order is closed, and return it."""
        return self._orders.pop(order_id, None)

    def cancel(self, order_id: str) -> None:
        """Cancel an entry's order, or its retry."""
        if self._retrying.pop(order_id, None) is None:
            self._client.cancel(order_id)

    def cancel_all(self) -> None:
        """Cancel the orders of all entries, and their retries."""
        self._retrying.clear()
        for order_id in list(self._orders):
            self._client.cancel(order_id)
