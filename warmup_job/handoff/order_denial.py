"""Why an order must not leave at this moment: trading is halted, or history is being replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nautilus_trader.model.enums import OrderStatus, TradingState
from nautilus_trader.model.orders import Order
from nautilus_trader.risk.engine import RiskEngine


class OrderDenial:
    """Decides on every order that a strategy submits, and that an emulator releases.

    Args:
        risk_engine: the node's; its trading state decides.
    """

    def __init__(self, risk_engine: RiskEngine) -> None:
        self._risk_engine = risk_engine
        self._replaying = False

    @contextlib.contextmanager
    def replaying(self) -> Iterator[None]:
        """Deny every order within: a strategy is handed an old bar through on_bar."""
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False

    def reason(self, order: Order) -> str:
        """Return why the order must not leave; empty: it may."""
        if self._replaying:
            return "history is being replayed"
        state = self._risk_engine.trading_state
        if state == TradingState.HALTED:
            return "TradingState is HALTED"
        entry = order.status == OrderStatus.RELEASED and not order.is_reduce_only
        return "TradingState is REDUCING" if entry and state == TradingState.REDUCING else ""
