"""The account's equity, its highest equity, and what the grid's symbol has earned. Pure.

    equity   = wallet balance + unrealised result of all positions, in the quote currency
    drawdown = (highest equity - equity) / highest equity

The wallet balance is Binance's, so funding and fees are in it, and so is what happened while no
trader ran. A deposit or withdrawal ``t`` at the equity ``e`` changes the highest equity in the same
proportion as the equity:

    highest equity := highest equity * (e + t) / e

So a transfer changes neither the drawdown nor what it is measured from in percent. ``e`` is
followed from the last reading through the income in order of time. A result that is realised was in
the equity before, as far as the unrealised result has moved the other way, and counts only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from warmup_job.binance.funds import AssetFunds, Income

_ROUNDING = Decimal("0.000001")
"""How much one row of income may differ from its change of the wallet, quote currency."""


class AccountResult(msgspec.Struct, frozen=True):
    """The account and the symbol's result up to one moment; quote currency."""

    at_ms: int
    """Until when income is counted, the exchange's time, UTC ms."""
    wallet: Decimal
    equity: Decimal
    highest: Decimal
    """The highest equity, changed by transfers."""
    realised: Decimal = Decimal(0)
    """The symbol's result of closed quantities since the first start, before fees and funding."""
    fees: Decimal = Decimal(0)
    """The symbol's fees; a rebate is negative."""
    funding: Decimal = Decimal(0)
    """The symbol's funding; paid funding is negative."""

    @property
    def drawdown_pct(self) -> Decimal:
        """The loss from the highest equity, in percent of it."""
        return drawdown_pct(self.highest, self.equity)


def drawdown_pct(highest: Decimal, equity: Decimal) -> Decimal:
    """Return the loss from the highest equity, in percent of it; 0 if nothing was there."""
    return (highest - equity) / highest * 100 if highest > 0 else Decimal(0)


class Advance(NamedTuple):
    """The next result, and whether Binance's income explains the wallet."""

    result: AccountResult
    unexplained: Decimal
    """The part of the wallet's change that no income explains; 0 if all is explained."""


def begin_result(funds: AssetFunds, at_ms: int, lost: Decimal = Decimal(0)) -> AccountResult:
    """Return the result at the first start, or after the state was lost.

    Args:
        funds: The quote currency's balances.
        at_ms: When they were read, the exchange's time, UTC ms.
        lost: The loss from the highest equity that is known from elsewhere, quote currency.
    """
    equity = funds.wallet + funds.unrealised
    return AccountResult(at_ms, funds.wallet, equity, equity + max(lost, Decimal(0)))


def advance_result(
    before: AccountResult, funds: AssetFunds, income: Sequence[Income], symbol: str
) -> Advance:
    """Return the result after ``income``.

    The balances are read a little before the income, so the last rows may not be in them yet. The
    longest part of the income whose sum is the wallet's change is counted; the rest is left to the
    next reading.

    Args:
        before: The result so far.
        funds: The quote currency's balances now.
        income: The quote currency's income after ``before.at_ms``, by time.
        symbol: Binance's symbol, whose result is counted.
    """
    change = funds.wallet - before.wallet
    count, rest = _count_explained(income, change)
    counted = income[:count]
    highest = _after_transfers(before, counted, funds.unrealised)
    equity = funds.wallet + funds.unrealised
    mine = [row for row in counted if row.symbol == symbol]
    result = AccountResult(
        at_ms=counted[-1].at_ms if counted else before.at_ms,
        wallet=funds.wallet,
        equity=equity,
        highest=max(highest, equity),
        realised=before.realised + _sum(mine, "REALIZED_PNL", "INSURANCE_CLEAR"),
        fees=before.fees - _sum(mine, "COMMISSION", "COMMISSION_REBATE"),
        funding=before.funding + _sum(mine, "FUNDING_FEE"),
    )
    return Advance(result, rest)


def _count_explained(income: Sequence[Income], change: Decimal) -> tuple[int, Decimal]:
    """Return how many rows are in the wallet's change, and what they leave unexplained.

    Rows of one ms are counted together. If nothing fits, all rows are counted.
    """
    total = Decimal(0)
    found = 0 if abs(change) <= _ROUNDING else None
    for count, row in enumerate(income, start=1):
        total += row.amount
        is_last_of_ms = count == len(income) or income[count].at_ms > row.at_ms
        if is_last_of_ms and abs(change - total) <= _ROUNDING * (count + 1):
            found = count
    return (len(income), change - total) if found is None else (found, Decimal(0))


def _after_transfers(
    before: AccountResult, income: Iterable[Income], unrealised: Decimal
) -> Decimal:
    """Return the highest equity after the transfers among ``income``.

    Args:
        before: The result so far.
        income: The income since then, by time.
        unrealised: The unrealised result of all positions now.
    """
    equity, highest = before.equity, before.highest
    moved = unrealised - (before.equity - before.wallet)
    for row in income:
        amount = row.amount
        if row.kind == "REALIZED_PNL" and amount * moved < 0:
            from_unrealised = min(abs(amount), abs(moved)).copy_sign(amount)
            moved += from_unrealised
            amount -= from_unrealised
        after = equity + amount
        if row.is_transfer:
            highest = max(highest, equity)
            is_lost = equity <= 0 or after <= 0  # nothing is left to compare with
            highest = max(after, Decimal(0)) if is_lost else highest * after / equity
        equity = after
    return highest


def _sum(income: Iterable[Income], *kinds: str) -> Decimal:
    return sum((row.amount for row in income if row.kind in kinds), Decimal(0))
