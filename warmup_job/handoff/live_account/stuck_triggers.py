"""Finds conditional orders that were triggered and became no order.

Binance forwards a triggered order to its matching engine (TRIGGERING), which creates an order with
an id of its own. This was seen to fail without an error: the conditional order stays TRIGGERING, is
not among the open ones, and cannot be cancelled
(https://github.com/nautechsystems/nautilus_trader/discussions/5378).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loguru import logger
from nautilus_trader.adapters.binance.futures.schemas.account import BinanceFuturesAlgoOrder
from nautilus_trader.adapters.binance.http.error import BinanceError

from warmup_job.handoff.live_account.certain_orders import UNANSWERED_S, CertainOrders

STUCK_S = 2.0
"""A triggered order that has become no order after so many seconds counts as gone."""
_AT_TRIGGER = frozenset({"TRIGGERING", "TRIGGERED"})


class StuckTriggers:
    """Follows conditional orders from their trigger until they are orders, or count as gone.

    Args:
        orders: asks for the orders.
        is_at_trigger: returns whether Nautilus believes that the order with this client id is open
            and has not become an order of the matching engine.
        on_gone: reports that the order with this client id is gone.
        stuck_s: how many seconds a triggered order may take to become an order.
    """

    def __init__(
        self,
        orders: CertainOrders,
        is_at_trigger: Callable[[str], bool],
        on_gone: Callable[[str], None],
        stuck_s: float = STUCK_S,
    ) -> None:
        self._orders = orders
        self._is_at_trigger = is_at_trigger
        self._on_gone = on_gone
        self._stuck_s = stuck_s
        self.followed: set[str] = set()
        """Client ids of the orders that are followed now."""
        self.gone: set[str] = set()
        """Client ids of the orders that were reported as gone."""

    async def follow(self, order_id: str) -> None:
        """Report an order as gone if it is still at its trigger after the allowed time.

        It is cancelled too, so that it cannot become an order later. The exchange may refuse that.

        Args:
            order_id: the client id of an order that was triggered.
        """
        if order_id in self.followed or order_id in self.gone:
            return
        self.followed.add(order_id)
        try:
            await asyncio.sleep(self._stuck_s)
            if not self._is_at_trigger(order_id):
                return
            try:
                async with asyncio.timeout(UNANSWERED_S):
                    found = await self._orders.find_algo_order(order_id)
            except TimeoutError:
                return  # no longer followed, so a reading of the account decides on it
            if not is_at_trigger(found) or not self._is_at_trigger(order_id):
                return
            self.gone.add(order_id)
            self._on_gone(order_id)
        finally:
            self.followed.discard(order_id)
        await self._cancel(order_id)

    async def _cancel(self, order_id: str) -> None:
        try:
            await self._orders.cancel_algo_order(client_algo_id=order_id)
        except BinanceError:
            logger.warning(
                "order {order} was triggered, became no order and cannot be cancelled; its "
                "position is closed without it",
                event="order.trigger_stuck",
                order=order_id,
            )


def is_at_trigger(order: BinanceFuturesAlgoOrder | None) -> bool:
    """Return whether a conditional order was triggered and is no order; None: it is unknown."""
    return order is None or (not order.actualOrderId and order.algoStatus in _AT_TRIGGER)
