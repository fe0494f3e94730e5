"""A futures position: its quantity and cost, and what a fill makes of it. Pure.

The cost is kept exactly, so that the realised results of a position's whole life add up to what was
paid and received, to the last digit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from warmup_job.local_binance.account.order_records import NOTHING

if TYPE_CHECKING:
    from warmup_job.local_binance.account.order_requests import PositionSide

CENTS = Decimal("0.00000001")
"""The wallet's smallest amount."""


class FuturesPosition(msgspec.Struct, frozen=True, kw_only=True):
    """The position of one symbol and side; short positions have a negative quantity."""

    symbol: str
    side: PositionSide
    quantity: Decimal = NOTHING
    cost: Decimal = NOTHING
    """Signed quote asset for which the quantity was opened."""
    break_even_cost: Decimal = NOTHING
    """The cost, less what was realised and plus what was paid in fees since it was flat."""
    realised: Decimal = NOTHING
    """Sum of all realised results, without fees."""
    updated_ms: int = 0

    @property
    def entry_price(self) -> Decimal:
        """The average price at which the quantity was opened; 0 when flat."""
        return self.cost / self.quantity if self.quantity else NOTHING

    @property
    def break_even_price(self) -> Decimal:
        """The price at which closing would return all losses and fees; 0 when flat."""
        return self.break_even_cost / self.quantity if self.quantity else NOTHING

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return the result of closing at ``mark``, without fees, quote asset."""
        return (self.quantity * mark - self.cost).quantize(CENTS)

    def notional(self, mark: Decimal) -> Decimal:
        """Return the signed value at ``mark``, quote asset."""
        return self.quantity * mark

    def after_fill(
        self, change: Decimal, price: Decimal, fee: Decimal, at_ms: int
    ) -> tuple[FuturesPosition, Decimal]:
        """Return the position after a fill, and the realised result.

        Args:
            change: Signed quantity; a sale is negative.
            price: Price of the fill.
            fee: Fee of the fill, quote asset.
            at_ms: Time of the fill, UTC ms.

        Returns:
            The new position, and the realised result without the fee, rounded to `CENTS`.
        """
        opposite = self.quantity * change < 0
        closed = (
            min(abs(change), abs(self.quantity)).copy_sign(self.quantity) if opposite else NOTHING
        )
        realised, cost = NOTHING, self.cost
        if closed:
            whole = closed == self.quantity
            # Rounded so that the wallet and the position's cost change by the same amount.
            released = cost if whole else (cost * closed / self.quantity).quantize(CENTS)
            realised = (closed * price - released).quantize(CENTS)
            cost -= released
        opened = change + closed
        quantity = self.quantity + change
        break_even_cost = self.break_even_cost + change * price + fee
        if quantity == 0:
            break_even_cost = NOTHING
        elif self.quantity and quantity * self.quantity < 0:  # turned from long to short
            break_even_cost = opened * price
        after = replace(
            self,
            quantity=quantity,
            cost=cost + opened * price,
            break_even_cost=break_even_cost,
            realised=self.realised + realised,
            updated_ms=at_ms,
        )
        return after, realised
