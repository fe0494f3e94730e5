"""Takes orders and positions that closed hours ago out of Nautilus' cache, which keeps them all.

Nautilus can do it by itself, but on the thread of its timers, while its engines and the strategies
read the cache on the event loop.
"""

from __future__ import annotations

import asyncio

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import Clock

KEPT_S = 3 * 3600
"""How long closed orders stay: their late events, and repairs of the account, need them."""
INTERVAL_S = 600.0


class ClosedOrders:
    """Removes what closed long ago, and counts the orders that it has removed.

    Args:
        cache: The node's.
        clock: The node's.
    """

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.removed = 0
        """How many orders it has removed."""
        self.removed_fills = 0
        """How many fills these orders had."""
        self._cache = cache
        self._clock = clock

    async def run(self) -> None:
        """Remove what closed long ago every few minutes, for ever."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.remove(KEPT_S)

    def remove(self, kept_s: int) -> None:
        """Remove the orders and positions that closed longer ago than ``kept_s``."""
        cache, now_ns = self._cache, self._clock.timestamp_ns()
        before = {order.client_order_id: len(order.trade_ids) for order in cache.orders_closed()}
        cache.purge_closed_orders(now_ns, kept_s)
        for order_id, fills in before.items():
            if cache.order(order_id) is None:
                self.removed += 1
                self.removed_fills += fills
        cache.purge_closed_positions(now_ns, kept_s)
        cache.purge_account_events(now_ns, kept_s)
