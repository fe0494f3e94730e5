"""The gate for orders, in front of every engine that an order passes on its way out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from loguru import logger
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import (
    BatchCancelOrders,
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    SubmitOrder,
    SubmitOrderList,
)
from nautilus_trader.model.enums import OrderSide, OrderStatus
from nautilus_trader.model.events import OrderCanceled, OrderDenied
from nautilus_trader.model.identifiers import ClientOrderId, PositionId, StrategyId
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel

from warmup_job.handoff.outgoing_orders.cancel_gate import Cancel, CancelGate
from warmup_job.handoff.outgoing_orders.order_denial import book_problem, reduces
from warmup_job.handoff.outgoing_orders.order_limits import OrderLimits
from warmup_job.handoff.outgoing_orders.order_queue import OrderQueue, Urgency

type _Submission = SubmitOrder | SubmitOrderList
type WithoutBook = Literal["deny", "warn", "accept"]


class OrderJudge(Protocol):
    """Decides which orders may leave."""

    def reason_to_deny(self, order: Order, position_id: PositionId | None) -> str:
        """Return why an order must not be sent, released or modified; empty: it may.

        Args:
            order: the order.
            position_id: the position that it is for; None: Nautilus will choose one.
        """


class OrderGate:
    """Passes on what may leave, holds back what is too fast, and denies the rest.

    An order is judged when it is made, and once more when it is about to be sent: it waits in
    Nautilus' queues and in this one between the two, and an emulated order is triggered any time
    later. Cancels are not judged: the cancel of an order that is held back removes it, and the
    others pass through `cancels`.

    Attributes:
        cancels: the gate for cancels; it holds back those that follow a refusal too soon.

    Args:
        judge: decides.
        limits: the venue file's.
        kernel: its engines get what passes.
        loop: the event loop of the engines.
        without_book: what happens to an order that does not name its book. In Binance's hedge mode
            it has to, or Nautilus' client raises before it has told the strategy anything. On paper
            it fills, so a warning says that it would not live.
    """

    def __init__(
        self,
        judge: OrderJudge,
        limits: OrderLimits,
        kernel: NautilusKernel,
        loop: asyncio.AbstractEventLoop,
        *,
        without_book: WithoutBook,
    ) -> None:
        self._judge = judge
        self._limits = limits
        self._kernel = kernel
        self._loop = loop
        self._without_book = without_book
        self._warned: set[StrategyId] = set()  # of orders without a book
        self.cancels = CancelGate(kernel, loop, kernel.exec_engine.execute)
        self._held: OrderQueue[_Submission] = OrderQueue(limits.rates)
        self._timer: asyncio.TimerHandle | None = None
        self._said = False

    def install(self) -> None:
        """Put the gate in front of the engines; the strategies have not started yet."""
        risk, emulator = self._kernel.risk_engine, self._kernel.emulator
        execution, bus = self._kernel.exec_engine, self._kernel.msgbus
        handlers: list[tuple[str, Callable[..., None], Callable[..., None]]] = [
            ("RiskEngine.execute", risk.execute, self._submit),
            ("OrderEmulator.execute", emulator.execute, self._emulate),
            ("ExecEngine.execute", execution.execute, self._execute),
        ]
        for endpoint, before, after in handlers:
            bus.deregister(endpoint=endpoint, handler=before)
            bus.register(endpoint=endpoint, handler=after)
        self.cancels.install()

    def judge_again(self) -> None:
        """Deny what is held back and may not leave any more."""
        for command in self._held.remove(lambda each: bool(self._reason(each))):
            self._is_denied(command)

    # -- the endpoints -----------------------------------------------------------------------------

    def _submit(self, command: object) -> None:
        if not self._is_refused(command):
            self._kernel.risk_engine.execute(command)

    def _emulate(self, command: object) -> None:
        if not self._is_refused(command):
            self._kernel.emulator.execute(command)

    def _execute(self, command: object) -> None:
        """Take a command on its last step: from the risk engine, the emulator or a strategy."""
        if not self._is_on_loop():  # a strategy's timer
            self._loop.call_soon_threadsafe(self._execute, command)
        elif isinstance(command, SubmitOrder | SubmitOrderList):
            self._held.put(command, self._urgency(command), len(_orders(command)))
            self._release()
        elif isinstance(command, ModifyOrder):
            self._held.note(self._now_ms())  # Binance counts it as an order
            self._kernel.exec_engine.execute(command)
        elif isinstance(command, CancelOrder | CancelAllOrders | BatchCancelOrders):
            if not self._is_all_held(command):
                self.cancels.take(command)
        else:
            self._kernel.exec_engine.execute(command)

    # -- the queue ---------------------------------------------------------------------------------

    def _release(self) -> None:
        """Send what the rates allow, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for command in self._held.take(self._now_ms()):
            if not self._is_denied(command):
                self._kernel.exec_engine.execute(command)
        now_ms = self._now_ms()
        next_ms = self._held.next_ms(now_ms)
        if next_ms is not None:
            self._timer = self._loop.call_later((next_ms - now_ms) / 1000, self._release)
        self._tell(next_ms)

    def _tell(self, next_ms: int | None) -> None:
        if next_ms is not None and not self._said:
            rates = self._limits.rates
            logger.info(
                "orders wait for rate_limits ({per_second} a second, {per_minute} a minute): "
                "stops leave first, entries last",
                event="order.rates_reached",
                per_second=rates.per_second,
                per_minute=rates.per_minute,
            )
        self._said = next_ms is not None

    def _urgency(self, command: _Submission) -> Urgency:
        cache, orders = self._kernel.cache, _orders(command)
        if not all(reduces(cache, each, command.position_id) for each in orders):
            return Urgency.ENTRY
        targets = all(each.has_price and not each.has_trigger_price for each in orders)
        return Urgency.EXIT if targets else Urgency.STOP

    def _is_all_held(self, command: Cancel) -> bool:
        """Cancel the orders of a command that are held back; return whether these were all."""
        if isinstance(command, CancelAllOrders):
            self._cancel_held(lambda order: _is_meant(command, order))
            return False  # others may be at the exchange
        cancels = [command] if isinstance(command, CancelOrder) else command.cancels
        wanted = {each.client_order_id for each in cancels}
        gone = self._cancel_held(lambda order: order.client_order_id in wanted)
        rest = [each for each in cancels if each.client_order_id not in gone]
        if isinstance(command, BatchCancelOrders) and gone:
            for each in rest:
                self.cancels.take(each)
            return True
        return not rest

    def _cancel_held(self, condition: Callable[[Order], bool]) -> set[ClientOrderId]:
        """Cancel orders that are held back, a list of orders as a whole; return their ids."""
        removed = self._held.remove(lambda each: any(map(condition, _orders(each))))
        orders = [order for command in removed for order in _orders(command)]
        for order in orders:
            self._cancel(order)
        return {order.client_order_id for order in orders}

    # -- judging -----------------------------------------------------------------------------------

    def _is_refused(self, command: object) -> bool:
        if isinstance(command, SubmitOrder | SubmitOrderList):
            return self._is_denied(command)
        return isinstance(command, ModifyOrder) and self._is_modification_refused(command)

    def _is_denied(self, command: _Submission) -> bool:
        """Deny all orders of a command if one of them must not leave."""
        why = self._reason(command)
        if why:
            for each in _orders(command):
                self._deny(each, why)
        return bool(why)

    def _reason(self, command: _Submission) -> str:
        reasons = (self._order_reason(each, command.position_id) for each in _orders(command))
        return next(filter(None, reasons), "")

    def _order_reason(self, order: Order, position_id: PositionId | None) -> str:
        cache = self._kernel.cache
        why = self._judge.reason_to_deny(order, position_id)
        if not why and self._without_book != "accept":
            why = self._book_reason(order, position_id)
        if why or reduces(cache, order, position_id):
            return why
        return self._limits.size_problem(cache, order)

    def _book_reason(self, order: Order, position_id: PositionId | None) -> str:
        """Return why an order must name its book; on paper it is only logged, once a strategy."""
        problem = book_problem(self._kernel.cache, order, position_id)
        if not problem or self._without_book == "deny":
            return problem
        if order.strategy_id not in self._warned:
            self._warned.add(order.strategy_id)
            logger.warning(
                "order {order} of {strategy} would be denied live: {reason}",
                event="order.would_be_denied",
                order=order.client_order_id.value,
                strategy=order.strategy_id.value,
                reason=problem,
            )
        return ""

    def _is_modification_refused(self, command: ModifyOrder) -> bool:
        cache = self._kernel.cache
        order = cache.order(command.client_order_id)
        if order is None:
            return False  # Nautilus logs it
        why = self._judge.reason_to_deny(order, cache.position_id(order.client_order_id))
        if not why and order.status in {OrderStatus.INITIALIZED, OrderStatus.RELEASED}:
            why = "the order has not been sent yet"
        if why:
            self._kernel.risk_engine._reject_modify_order(order, why)
        return bool(why)

    def _deny(self, order: Order, why: str) -> None:
        if order.status not in {OrderStatus.INITIALIZED, OrderStatus.RELEASED}:
            return  # it has ended already
        denied = OrderDenied(
            order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id, why,
            UUID4(), self._kernel.clock.timestamp_ns(),
        )  # fmt: skip
        self._kernel.msgbus.send("ExecEngine.process", denied)

    def _cancel(self, order: Order) -> None:
        now_ns = self._kernel.clock.timestamp_ns()
        cancelled = OrderCanceled(
            order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id,
            order.venue_order_id, order.account_id, UUID4(), now_ns, now_ns,
        )  # fmt: skip
        self._kernel.msgbus.send("ExecEngine.process", cancelled)

    def _is_on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)


def _orders(command: _Submission) -> list[Order]:
    return [command.order] if isinstance(command, SubmitOrder) else list(command.order_list.orders)


def _is_meant(command: CancelAllOrders, order: Order) -> bool:
    return (
        order.instrument_id == command.instrument_id
        and order.strategy_id == command.strategy_id
        and command.order_side in {OrderSide.NO_ORDER_SIDE, order.side}
    )
