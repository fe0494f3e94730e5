"""The entries: the orders of the ladder's rungs, from being sent to being filled or gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import Order

from warmup_job.hedge_grid.grid_config import HedgeGridV1Config
from warmup_job.hedge_grid.ladder import Rung
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.hedge_grid.order_client import OrderClient, book_of
from warmup_job.hedge_grid.order_diff import OpenEntry, retry_price


class EntryOrder(NamedTuple):
    """An entry order: the rung that it is for, and how often it was turned down."""

    rung: Rung
    attempt: int = 0


class EntryOrders:
    """The entries that wait at the exchange, or for being tried again."""

    def __init__(
        self,
        desk: OrderClient,
        prices: MarketPrices,
        config: HedgeGridV1Config,
        may_leave: Callable[[], bool],
    ) -> None:
        self._client = desk
        self._prices = prices
        self._config = config
        self._may_leave = may_leave
        self._orders: dict[str, EntryOrder] = {}
        self._retrying: dict[str, EntryOrder] = {}  # by their alert

    def __len__(self) -> int:
        return len(self._orders)

    def take_over(self, orders: Iterable[Order]) -> None:
        """Go on with those among them that an earlier run has left."""
        self._orders = {}
        for order in orders:
            order_id = order.client_order_id.value
            if order_id.startswith("E-"):
                rung = Rung(book_of(order, closes=False), 0, order.price, order.quantity)
                self._orders[order_id] = EntryOrder(rung)

    def of(self, order_id: str) -> EntryOrder | None:
        """The entry that has this order."""
        return self._orders.get(order_id)

    def is_open(self, key: str) -> bool:
        """Whether more of what has this key may be filled."""
        return f"E-{key}" in self._orders

    def standing(self) -> tuple[list[OpenEntry], list[OpenEntry]]:
        """Those that wait, and those that are being cancelled."""
        waiting: list[OpenEntry] = []
        leaving: list[OpenEntry] = []
        for order_id, (rung, _) in self._orders.items():
            order = self._client.open_order(order_id)
            if order is None:
                continue
            each = OpenEntry(
                order_id, rung.book, rung.price.as_decimal(), order.quantity.as_decimal(),
                order.leaves_qty.as_decimal(),
            )  # fmt: skip
            (leaving if order.is_pending_cancel else waiting).append(each)
        for alert, (rung, _) in self._retrying.items():
            quantity = rung.quantity.as_decimal()
            waiting.append(OpenEntry(alert, rung.book, rung.price.as_decimal(), quantity, quantity))
        return waiting, leaving

    def send(self, entry: EntryOrder, price: Decimal | None = None) -> None:
        """Send an order for it, at its rung's price or at another one."""
        rung, instrument = entry.rung, self._client.instrument
        order = self._client.make.limit(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if rung.book == "LONG" else OrderSide.SELL,
            quantity=rung.quantity,
            price=rung.price if price is None else instrument.make_price(price),
            post_only=self._config.maker_only,
            client_order_id=ClientOrderId(f"E-{self._client.new_key()}"),
        )
        self._orders[order.client_order_id.value] = entry
        self._client.submit(order, rung.book)

    def turned_down(self, entry: EntryOrder) -> None:
        """A post-only entry would have taken: try again a step further away, or let it be."""
        attempt = entry.attempt + 1
        if not self._config.use_post_only_retries or attempt > self._config.retry_attempts:
            return
        alert = f"retry-{self._client.new_key()}"
        self._retrying[alert] = EntryOrder(entry.rung, attempt)
        self._client.after(self._config.retry_delay_ms, alert, lambda: self._retry(alert))

    def _retry(self, alert: str) -> None:
        entry = self._retrying.pop(alert, None)
        if entry is None or not self._may_leave():
            return
        rung = entry.rung
        price = retry_price(
            rung.book,
            rung.price.as_decimal(),
            entry.attempt,
            opposite=self._prices.ask if rung.book == "LONG" else self._prices.bid,
            tick=self._client.tick,
            most_bps=self._config.retry_max_price_deviation_bps,
        )
        if price is not None:
            self.send(entry, price)

    def forget(self, order_id: str) -> EntryOrder | None:
        """Its order is filled or gone."""
        return self._orders.pop(order_id, None)

    def drop(self, order_id: str) -> None:
        """Cancel one that waits, be it for being tried again."""
        if self._retrying.pop(order_id, None) is None:
            self._client.cancel(order_id)

    def withdraw(self) -> None:
        """Cancel all of them."""
        for order_id in list(self._orders):
            self._client.cancel(order_id)
