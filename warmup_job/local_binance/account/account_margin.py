"""The margin of a cross account: what positions and orders need, and when it is liquidated. Pure.

https://www.binance.com/en/support/faq/360033162192 (initial margin of open orders),
https://www.binance.com/en/support/faq/b3c689c1f50a44cabb3a84e663b81d93 (liquidation price).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from warmup_job.local_binance.account.leverage_brackets import maintenance_of
from warmup_job.local_binance.account.order_records import NOTHING
from warmup_job.local_binance.account.resting_orders import NO_OPENING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmup_job.local_binance.account.account_ledger import AccountLedger
    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.matching_prices import MatchingPrices
    from warmup_job.local_binance.account.order_store import OrderStore
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount


class PositionMargin(msgspec.Struct, frozen=True, kw_only=True):
    """What one position, and the orders that would enlarge it, need. All in the quote asset."""

    position: FuturesPosition
    mark: Decimal
    leverage: int
    bids: Decimal
    """Value of the open buy orders that would open or enlarge a position."""
    asks: Decimal
    """Value of the open sell orders that would open or enlarge a position."""

    @property
    def notional(self) -> Decimal:
        """The position's signed value at the mark price."""
        return self.position.notional(self.mark)

    @property
    def unrealised(self) -> Decimal:
        """The result of closing the position at the mark price."""
        return self.position.unrealised(self.mark)

    @property
    def largest_notional(self) -> Decimal:
        """The value that the position could have if all orders of one side were filled."""
        return max(abs(self.notional + self.bids), abs(self.notional - self.asks))

    @property
    def position_initial(self) -> Decimal:
        """The initial margin of the position alone."""
        return abs(self.notional) / self.leverage

    @property
    def initial(self) -> Decimal:
        """The initial margin of the position and its orders."""
        return max(self.largest_notional, abs(self.notional)) / self.leverage

    @property
    def order_initial(self) -> Decimal:
        """The part of the initial margin that only the orders need."""
        return self.initial - self.position_initial

    @property
    def maintenance(self) -> Decimal:
        """The maintenance margin of the position."""
        rate, deduction = maintenance_of(abs(self.notional))
        return abs(self.notional) * rate - deduction


class AccountMargin(msgspec.Struct, frozen=True):
    """The margin of the whole account, quote asset."""

    wallet: Decimal
    rows: tuple[PositionMargin, ...]

    @property
    def unrealised(self) -> Decimal:
        """The unrealised result of all positions."""
        return sum((row.unrealised for row in self.rows), NOTHING)

    @property
    def balance(self) -> Decimal:
        """The margin balance: the wallet and the unrealised results."""
        return self.wallet + self.unrealised

    @property
    def position_initial(self) -> Decimal:
        """The initial margin of all positions."""
        return sum((row.position_initial for row in self.rows), NOTHING)

    @property
    def order_initial(self) -> Decimal:
        """The initial margin that only open orders need."""
        return sum((row.order_initial for row in self.rows), NOTHING)

    @property
    def initial(self) -> Decimal:
        """The initial margin of positions and orders."""
        return self.position_initial + self.order_initial

    @property
    def maintenance(self) -> Decimal:
        """The maintenance margin of all positions."""
        return sum((row.maintenance for row in self.rows), NOTHING)

    @property
    def available(self) -> Decimal:
        """The balance that new orders may use, at least 0."""
        return max(self.balance - self.initial, NOTHING)

    @property
    def is_exhausted(self) -> bool:
        """Whether the margin balance is below the maintenance margin: the account is liquidated."""
        maintenance = self.maintenance
        return maintenance > 0 and self.balance < maintenance

    def liquidation_price(self, row: PositionMargin) -> Decimal:
        """Return the mark price at which this position would exhaust the account; 0: none does.

        The prices of the other positions stay as they are.
        """
        if not row.position.quantity:
            return NOTHING
        others = [each for each in self.rows if each is not row]
        # The other side of the same symbol moves with the price, so it belongs to the equation.
        moving = [row, *(each for each in others if each.position.symbol == row.position.symbol)]
        fixed = [each for each in others if each.position.symbol != row.position.symbol]
        free = self.wallet + _sum(each.unrealised - each.maintenance for each in fixed)
        rates = [(each, *maintenance_of(abs(each.notional))) for each in moving]
        free += _sum(deduction - each.position.cost for each, _, deduction in rates)
        slope = _sum(
            abs(each.position.quantity) * rate - each.position.quantity for each, rate, _ in rates
        )
        if not slope:
            return NOTHING
        return max(free / slope, NOTHING)


def margin_of(
    ledger: AccountLedger,
    store: OrderStore,
    settings: SimulatedAccount,
    prices: MatchingPrices,
    at_ms: int,
) -> AccountMargin:
    """Return the account's margin: a row for each position and for symbols with opening orders.

    Args:
        ledger: The wallet and the positions.
        store: The orders.
        settings: The leverage of each symbol.
        prices: The mark prices.
        at_ms: The time, UTC ms.
    """
    opening = store.resting.opening()
    keys = dict.fromkeys((each.symbol, each.side) for each in ledger.open_positions())
    rows = []
    for key in keys | dict.fromkeys(opening):
        value = opening.get(key, NO_OPENING)
        rows.append(
            PositionMargin(
                position=ledger.position(*key),
                mark=prices.mark(key[0], at_ms),
                leverage=settings.leverage(key[0]),
                bids=value.bids,
                asks=value.asks,
            )
        )
    return AccountMargin(ledger.wallet, tuple(rows))


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, NOTHING)
