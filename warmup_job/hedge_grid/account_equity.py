"""The account's equity as the grid follows it from reading to reading. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from warmup_job.binance.funds import AccountFunds, AssetFunds, Income
from warmup_job.hedge_grid.account_result import AccountResult, advance_result, begin_result

_NOTHING = AssetFunds(Decimal(0), Decimal(0))
PATIENCE = 6
"""How many readings wait for income that explains the wallet. Binance may list it late."""


class Reading(NamedTuple):
    """What came of one reading of the account."""

    is_taken: bool
    """False: Binance's income does not explain the wallet yet, so read again soon."""
    transfers: tuple[Income, ...] = ()
    """The deposits and withdrawals that were counted."""
    unexplained: Decimal = Decimal(0)
    """A change of the wallet that counts as result, because no income explains it."""


class AccountEquity(msgspec.Struct):
    """The newest result of the account, in one currency."""

    currency: str
    symbol: str
    """Binance's symbol, whose result is counted."""
    result: AccountResult | None = None
    """None: the account has not been read since the first start."""
    _waiting: int = 0

    def take(self, funds: AccountFunds, lost: Decimal) -> Reading:
        """Take a reading.

        Args:
            funds: The account's funds, with the income after ``result.settled_ms``.
            lost: The loss from the highest equity that is known from elsewhere; it counts at the
                first reading only.
        """
        mine, before = funds.assets.get(self.currency, _NOTHING), self.result
        income = [row for row in funds.income if row.asset == self.currency]
        if before is None:
            if income and self._must_wait():
                return Reading(is_taken=False)  # it may be in the balances or not
            first = begin_result(mine, funds.asked_ms, lost, income)
            self.result = self._as_read(first, funds)
            return Reading(is_taken=True)
        after, unexplained, counted = advance_result(
            before, mine, before.not_counted(income), self.symbol
        )
        if unexplained and self._must_wait():
            return Reading(is_taken=False)
        self.result, self._waiting = self._as_read(after, funds), 0
        transfers = tuple(row for row in counted if row.is_transfer)
        return Reading(is_taken=True, transfers=transfers, unexplained=unexplained)

    def _as_read(self, result: AccountResult, funds: AccountFunds) -> AccountResult:
        """Return the result with the time of the reading, and what the symbol's positions had."""
        unrealised = funds.unrealised.get(self.symbol, Decimal(0))
        return replace(result, read_ms=funds.asked_ms, unrealised=unrealised)

    def _must_wait(self) -> bool:
        """Return whether another reading may tell more; count it."""
        self._waiting += 1
        return self._waiting <= PATIENCE
