"""Whether orders that open a position may leave: switched in one place, and announced."""

from __future__ import annotations

from nautilus_trader.common.messages import TradingStateChanged
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import TradingState
from nautilus_trader.system.kernel import NautilusKernel

from warmup_job.handoff.outgoing_orders.order_denial import OrderDenial
from warmup_job.handoff.outgoing_orders.order_gate import OrderGate


class TradingSwitch:
    """Switches trading on and off.

    Args:
        kernel: the node's; its strategies may have subscribed to ``events.risk``.
        denial: denies orders by the state.
        gate: judges the orders that it holds back.
    """

    def __init__(self, kernel: NautilusKernel, denial: OrderDenial, gate: OrderGate) -> None:
        self._kernel = kernel
        self._denial = denial
        self._gate = gate

    @property
    def state(self) -> TradingState:
        """ACTIVE: every order may leave. HALTED: only orders that close a position may."""
        return self._denial.state

    def set(self, state: TradingState) -> None:
        """Switch trading on (ACTIVE) or off (HALTED), and let the strategies know of a change."""
        if self.state != state:
            self._denial.state = state
            self.announce()
            self._gate.judge_again()

    def announce(self) -> None:
        """Publish the state on ``events.risk``, as Nautilus' risk engine publishes its own."""
        now_ns = self._kernel.clock.timestamp_ns()
        event = TradingStateChanged(self._kernel.trader_id, self.state, {}, UUID4(), now_ns, now_ns)
        self._kernel.msgbus.publish("events.risk", event)
