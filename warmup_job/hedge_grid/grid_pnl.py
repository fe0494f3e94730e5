"""The realised result of the grid's own positions since its start."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec
from nautilus_trader.model.events import (
    OrderFilled,
    PositionClosed,
    PositionEvent,
    PositionOpened,
)
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.objects import Currency, Money
from nautilus_trader.model.position import Position


class GridPnl(msgspec.Struct):
    """Realised result after commissions, and its peak; quote currency."""

    capital: Decimal | None = None
    """The balance at the first start; None until it is known."""
    realised: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    """The highest sum of realised and unrealised result so far."""
    fees: Decimal = Decimal(0)
    """The fees in quote currency, which ``realised`` already lacks; a rebate is negative."""
    _counted: dict[PositionId, Decimal] = msgspec.field(default_factory=dict)
    """For each open position, the part of its realised result that ``realised`` already has."""

    def begin(self, positions: Iterable[Position]) -> None:
        """Exclude what open positions have realised before this start.

        An earlier run has counted it. For a position rebuilt during reconciliation this value is
        arbitrary.
        """
        self._counted = {each.id: _amount(each.realized_pnl) for each in positions}

    def count(self, event: PositionEvent) -> None:
        """Add what a position has realised since its last event."""
        if isinstance(event, PositionOpened):
            self._counted.pop(event.position_id, None)
        realised = _amount(event.realized_pnl)
        self.realised += realised - self._counted.get(event.position_id, Decimal(0))
        self._counted[event.position_id] = realised
        if isinstance(event, PositionClosed):
            del self._counted[event.position_id]

    def count_fee(self, fill: OrderFilled, quote_currency: Currency) -> None:
        """Add a fill's fee; one in another currency, such as BNB, is no part of the result."""
        fee = fill.commission
        if fee is not None and fee.currency == quote_currency:
            self.fees += fee.as_decimal()

    def lost(self, unrealised: Decimal) -> Decimal:
        """Return the loss from the peak; 0 if the result has not been counted yet."""
        return Decimal(0) if self.capital is None else self.peak - self.realised - unrealised


def _amount(money: Money | None) -> Decimal:
    return Decimal(0) if money is None else Decimal(money.as_decimal())
