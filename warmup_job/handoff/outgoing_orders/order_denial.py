"""Why an order must not leave at this moment: trading is halted, or history is being replayed.

Exits may always leave. Nautilus' own trading states cannot do that: HALTED denies exits too, and
REDUCING judges by the net position, so it denies the exits of the smaller book of a hedge. Its risk
engine therefore stays ACTIVE, and this decides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.orders import Order


class OrderDenial:
    """Decides on every order that a strategy submits or modifies, and that an emulator releases.

    Args:
        cache: the node's; it knows the open positions.
    """

    def __init__(self, cache: CacheFacade) -> None:
        self.state = TradingState.HALTED
        """HALTED: only exits may leave. ACTIVE: every order may."""
        self._cache = cache
        self._replaying = False

    @contextlib.contextmanager
    def replaying(self) -> Iterator[None]:
        """Deny every order within: a strategy is handed an old bar through on_bar."""
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False

    def reason(self, order: Order, position_id: PositionId | None) -> str:
        """Return why the order must not leave; empty: it may.

        Args:
            order: the order.
            position_id: the position that it is for; None: Nautilus will choose one.
        """
        if self._replaying:
            return "history is being replayed"
        if self.state == TradingState.ACTIVE or reduces(self._cache, order, position_id):
            return ""
        return "trading is halted: only orders that close a position may leave"


def reduces(cache: CacheFacade, order: Order, position_id: PositionId | None) -> bool:
    """Return whether an order can only reduce a position.

    Args:
        cache: knows the open positions.
        order: the order.
        position_id: the position that it is for; None: Nautilus will choose one.
    """
    if order.is_reduce_only:
        return True
    position = None if position_id is None else cache.position(position_id)
    return position is not None and bool(order.would_reduce_only(position.side, position.quantity))


def book_problem(cache: CacheFacade, order: Order, position_id: PositionId | None) -> str:
    """Return why Binance cannot take an order in hedge mode; empty: it names its book.

    Args:
        cache: knows the position of an order that an execution algorithm has split.
        order: the order.
        position_id: the position that it is for; None: the strategy named none.
    """
    if position_id is None and order.exec_spawn_id is not None:
        position_id = cache.position_id(order.exec_spawn_id)
    if position_id is not None and position_id.value.endswith(("LONG", "SHORT")):
        return ""
    return (
        "it names no book: in hedge mode submit it with a position_id like "
        f"{order.instrument_id}-LONG or {order.instrument_id}-SHORT"
    )
