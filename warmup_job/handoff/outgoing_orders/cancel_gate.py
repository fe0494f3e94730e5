"""The gate for cancels: after a refusal, an order's next cancel leaves only when its time comes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from loguru import logger
from nautilus_trader.execution.messages import BatchCancelOrders, CancelAllOrders, CancelOrder
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderCancelRejected, OrderEvent
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.system.kernel import NautilusKernel

from warmup_job.binance.order_rejections import limited_until_ms
from warmup_job.handoff.outgoing_orders.cancel_pace import CancelPace
from warmup_job.market.times import NS_PER_MS, utc_text
from warmup_job.process.refusal_text import plain_refusal

type Cancel = CancelOrder | CancelAllOrders | BatchCancelOrders

TELL_EVERY_S = 15.0
_BEFORE_STRATEGIES = 10  # Nautilus calls them with priority 0


class CancelGate:
    """Passes cancels on, and keeps those that come too early after a refusal.

    A strategy's `cancel_order` makes its order PENDING_CANCEL before the command comes here, so
    whoever looks at the order sees that a cancel is under way while it is kept.

    Args:
        kernel: the node's; its order events tell of refusals and of orders that close.
        loop: the event loop of the engines.
        send: hands a cancel to the execution engine.
    """

    def __init__(
        self,
        kernel: NautilusKernel,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[Cancel], None],
    ) -> None:
        self._kernel = kernel
        self._loop = loop
        self._send = send
        self._pace: CancelPace[CancelOrder] = CancelPace()
        self._timer: asyncio.TimerHandle | None = None
        self._refusals = 0  # since the last line in the log
        self._told_s: float | None = None

    def install(self) -> None:
        """Listen to the order events, before the strategies do: they may cancel again at once."""
        self._kernel.msgbus.subscribe("events.order.*", self._on_event, _BEFORE_STRATEGIES)

    @property
    def reason(self) -> str:
        """Why the newest cancel was refused whose order is still open; empty: there is none."""
        return plain_refusal(self._pace.reason)

    def keeps(self, order_id: str) -> bool:
        """Return whether a cancel of this order is kept, so that the exchange does not have it."""
        return self._pace.keeps(order_id)

    def take(self, command: Cancel) -> None:
        """Pass a cancel on, or keep it until its time comes."""
        cancels = self._cancels(command)
        if not any(each.client_order_id.value in self._pace for each in cancels):
            self._send(command)  # as it is: one request for all of its orders, where that can be
            return
        now_ms = self._now_ms()
        for each in cancels:
            if self._pace.may_leave(each.client_order_id.value, each, now_ms):
                self._send(each)
        self._set_timer()

    def _cancels(self, command: Cancel) -> list[CancelOrder]:
        """Return a command as one for each order that it would cancel."""
        if isinstance(command, CancelOrder):
            return [command]
        if isinstance(command, BatchCancelOrders):
            return list(command.cancels)
        cache, ids = self._kernel.cache, {"strategy_id": command.strategy_id}
        found = {
            order.client_order_id: order
            for order in (
                *cache.orders_open(instrument_id=command.instrument_id, **ids),
                *cache.orders_inflight(instrument_id=command.instrument_id, **ids),
            )
            if command.order_side in {OrderSide.NO_ORDER_SIDE, order.side}
        }
        return [
            CancelOrder(
                trader_id=command.trader_id,
                strategy_id=command.strategy_id,
                instrument_id=command.instrument_id,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                command_id=command.id,
                ts_init=command.ts_init,
                client_id=command.client_id,
            )
            for order in found.values()
        ]

    def _on_event(self, event: OrderEvent) -> None:
        order_id = event.client_order_id.value
        if isinstance(event, OrderCancelRejected):
            reason, unix_ms = str(event.reason), time.time_ns() // NS_PER_MS
            self._pace.refused(
                order_id, reason, self._now_ms(), unix_ms=unix_ms, jitter=random.random()
            )
            self._refusals += 1
            self._tell(order_id)
        if order_id in self._pace and self._is_closed(order_id):
            self._pace.forget(order_id)
            if not len(self._pace):
                logger.info(
                    "every order whose cancel was refused is closed now", event="cancel.all_closed"
                )
                self._refusals, self._told_s = 0, None

    def _is_closed(self, order_id: str) -> bool:
        order = self._kernel.cache.order(ClientOrderId(order_id))
        return order is None or bool(order.is_closed)

    def _release(self) -> None:
        self._timer = None
        for command in self._pace.take(self._now_ms()):
            self._send(command)
        self._set_timer()

    def _set_timer(self) -> None:
        """Come back when the next kept cancel may leave."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_ms = self._pace.next_ms()
        if at_ms is not None:
            self._timer = self._loop.call_at(at_ms / 1000, self._release)

    def _tell(self, order_id: str) -> None:
        """Log the first refusal, then how many there were: a line for each would flood the log."""
        now_s = self._loop.time()
        if self._told_s is None:
            logger.warning(
                "the cancel of {order} was refused: {reason}; {next}, and further refusals are "
                "counted here every {repeat_s:.0f} s",
                event="cancel.refused",
                order=order_id,
                reason=self.reason,
                next=self._next_text(),
                repeat_s=TELL_EVERY_S,
            )
        elif now_s >= self._told_s + TELL_EVERY_S:
            logger.warning(
                "{refusals} cancels were refused in {seconds:.0f} s; {orders} order(s) are not "
                "cancelled yet: {reason}",
                event="cancel.refused_again",
                refusals=self._refusals,
                seconds=now_s - self._told_s,
                orders=len(self._pace),
                reason=self.reason,
            )
        else:
            return
        self._refusals, self._told_s = 0, now_s

    def _next_text(self) -> str:
        until_ms = limited_until_ms(self._pace.reason, time.time_ns() // NS_PER_MS)
        if until_ms is None:
            return "it is repeated after waits of up to 6 s"
        return f"Binance limits or bans this IP, so no cancel leaves until {utc_text(until_ms)}"

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)
