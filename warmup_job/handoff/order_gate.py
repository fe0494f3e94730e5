"""The gate for orders, in front of every engine that an order passes on its way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import ModifyOrder, SubmitOrder, SubmitOrderList
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel


class OrderJudge(Protocol):
    """Decides which orders may leave."""

    def reason_to_deny(self, order: Order, position_id: PositionId | None) -> str:
        """Return why an order must not be sent, released or modified; empty: it may.

        Args:
            order: the order.
            position_id: the position that it is for; None: Nautilus will choose one.
        """


class OrderGate:
    """Passes on what may leave, and denies the rest.

    An order is judged when it is made, and once more when it is about to be sent: it waits in
    Nautilus' queues between the two, and an emulated order is triggered any time later.

    Args:
        judge: decides.
        kernel: its engines get what passes.
    """

    def __init__(self, judge: OrderJudge, kernel: NautilusKernel) -> None:
        self._judge = judge
        self._kernel = kernel

    def handlers(self) -> list[tuple[str, Callable[..., None], Callable[..., None]]]:
        """Return the endpoints of the message bus, their handlers, and those that replace them."""
        risk, emulator = self._kernel.risk_engine, self._kernel.emulator
        execution = self._kernel.exec_engine
        return [
            ("RiskEngine.execute", risk.execute, self._submit),
            ("OrderEmulator.execute", emulator.execute, self._emulate),
            ("ExecEngine.execute", execution.execute, self._execute),
        ]

    def _submit(self, command: object) -> None:
        if not self._is_refused(command):
            self._kernel.risk_engine.execute(command)

    def _emulate(self, command: object) -> None:
        if not self._is_refused(command):
            self._kernel.emulator.execute(command)

    def _execute(self, command: object) -> None:
        if isinstance(command, SubmitOrder | SubmitOrderList) and self._is_denied(command):
            return
        self._kernel.exec_engine.execute(command)

    def _is_refused(self, command: object) -> bool:
        if isinstance(command, SubmitOrder | SubmitOrderList):
            return self._is_denied(command)
        return isinstance(command, ModifyOrder) and self._is_modification_refused(command)

    def _is_denied(self, command: SubmitOrder | SubmitOrderList) -> bool:
        """Deny all orders of a command if one of them must not leave."""
        orders = [command.order] if isinstance(command, SubmitOrder) else command.order_list.orders
        reasons = (self._judge.reason_to_deny(each, command.position_id) for each in orders)
        why = next(filter(None, reasons), "")
        if why:
            for each in orders:
                self._deny(each, why)
        return bool(why)

    def _is_modification_refused(self, command: ModifyOrder) -> bool:
        cache = self._kernel.cache
        order = cache.order(command.client_order_id)
        if order is None:
            return False  # Nautilus logs it
        why = self._judge.reason_to_deny(order, cache.position_id(order.client_order_id))
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
