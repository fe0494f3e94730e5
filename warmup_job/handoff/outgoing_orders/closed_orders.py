"""Takes orders and positions that closed hours ago out of Nautilus' cache, which keeps them all.

Nautilus can do it by itself, but on the thread of its timers, while its engines and the strategies
read the cache on the event loop.
"""

from __future__ import annotations

import asyncio

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import Clock
from nautilus_trader.model.events import OrderRejected, OrderSubmitted
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import Order

from warmup_job.binance.order_rejections import is_id_taken
from warmup_job.market.times import NS_PER_S

KEPT_S = 3 * 3600
"""How long closed orders stay: their late events, and repairs of the account, need them."""
INTERVAL_S = 600.0
_HISTORY_NS = 8 * 24 * 3600 * NS_PER_S  # Binance's history of closed orders ends after a week


def was_sent(order: Order) -> bool:
    """Return whether this run has sent an order; others come to Nautilus' cache accepted."""
    return any(isinstance(event, OrderSubmitted) for event in order.events)


def _is_others(order: Order) -> bool:
    rejected = order.last_event
    return isinstance(rejected, OrderRejected) and is_id_taken(str(rejected.reason))


class ClosedOrders:
    """Removes what closed long ago; counts strategies' orders, and knows which this run has sent.

    Args:
        cache: The node's.
        clock: The node's.
    """

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.removed = 0
        """How many orders of strategies it has removed; no strategy has Nautilus' EXTERNAL ones."""
        self.removed_fills = 0
        """How many fills these orders had."""
        self._cache = cache
        self._clock = clock
        self._sent: dict[ClientOrderId, int] = {}  # removed ones of this run, and when (Unix ns)

    def has_sent(self, order_id: str) -> bool:
        """Return whether the order with this id at the exchange is one that this run has sent.

        It is not if the exchange has rejected ours because there is one: another trader uses a copy
        of the state folder. Removed orders are known for eight days.
        """
        client_order_id = ClientOrderId(order_id)
        if client_order_id in self._sent:
            return True
        order = self._cache.order(client_order_id)
        return order is not None and was_sent(order) and not _is_others(order)

    async def run(self) -> None:
        """Remove what closed long ago every few minutes, for ever."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.remove(KEPT_S)

    def remove(self, kept_s: int) -> None:
        """Remove the orders and positions that closed longer ago than ``kept_s``."""
        cache, now_ns = self._cache, self._clock.timestamp_ns()
        before = cache.orders_closed()
        cache.purge_closed_orders(now_ns, kept_s)
        for order in before:
            if cache.order(order.client_order_id) is None:
                if not order.strategy_id.is_external():
                    self.removed += 1
                    self.removed_fills += len(order.trade_ids)
                if was_sent(order) and not _is_others(order):
                    self._sent[order.client_order_id] = now_ns
        self._forget_sent(now_ns - _HISTORY_NS)
        cache.purge_closed_positions(now_ns, kept_s)
        cache.purge_account_events(now_ns, kept_s)

    def _forget_sent(self, before_ns: int) -> None:
        for order_id, at_ns in list(self._sent.items()):
            if at_ns >= before_ns:
                return  # the rest is younger
            del self._sent[order_id]
