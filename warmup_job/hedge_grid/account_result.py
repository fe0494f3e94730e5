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

Changes of one ms may be listed in two readings, and Binance may list one later than those that
follow it. So every reading begins a while before the last change that is counted, and the changes
of that time that are counted are known by their keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from warmup_job.binance.funds import QUIET_MS, AssetFunds, Income

OVERLAP_MS = 60_000
"""How much later than the changes that follow it a change may be listed and still counts."""
_ROUNDING = Decimal("0.000001")
"""How much one row of income may differ from its change of the wallet, quote currency."""


class AccountResult(msgspec.Struct, frozen=True):
    """The account and the symbol's result up to one moment; quote currency."""

    at_ms: int
    """The time of the newest income that is counted, the exchange's time, UTC ms."""
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
    known_from_ms: int | None = None
    """All earlier income is counted; of later income, what ``counted`` names. None: all income
    until ``at_ms`` is counted, as an earlier version saved it."""
    counted: tuple[tuple[int, str], ...] = ()
    """Time and key of the income from ``known_from_ms`` on that is counted."""
    read_ms: int | None = None
    """When the balances were requested, the exchange's time, UTC ms; None: an earlier version has
    saved this."""
    unrealised: Decimal | None = None
    """The symbol's unrealised result at that moment; None: an earlier version has saved this."""

    @property
    def as_of_ms(self) -> int:
        """Of when this is, the exchange's time, UTC ms."""
        return self.at_ms if self.read_ms is None else self.read_ms

    @property
    def settled_ms(self) -> int:
        """Until when all income is counted, so that the next reading begins one ms later."""
        return self.at_ms if self.known_from_ms is None else self.known_from_ms - 1

    def not_counted(self, income: Iterable[Income]) -> list[Income]:
        """Return the changes of ``income`` that are not counted yet."""
        known = {key for _, key in self.counted}
        return [row for row in income if row.at_ms > self.settled_ms and row.key not in known]

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
    counted: Sequence[Income]
    """The income that is counted in addition."""


def begin_result(
    funds: AssetFunds, at_ms: int, lost: Decimal = Decimal(0), income: Sequence[Income] = ()
) -> AccountResult:
    """Return the result at the first start, or after the state was lost.

    Args:
        funds: The quote currency's balances.
        at_ms: When they were read, the exchange's time, UTC ms.
        lost: The loss from the highest equity that is known from elsewhere, quote currency.
        income: The quote currency's income from `QUIET_MS` before; what is not later than
            ``at_ms`` is in the balances.
    """
    equity = funds.wallet + funds.unrealised
    return AccountResult(
        at_ms=at_ms,
        wallet=funds.wallet,
        equity=equity,
        highest=equity + max(lost, Decimal(0)),
        known_from_ms=at_ms - QUIET_MS,
        counted=tuple((row.at_ms, row.key) for row in income if row.at_ms <= at_ms),
    )


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
        income: The quote currency's income that is not counted yet, by time.
        symbol: Binance's symbol, whose result is counted.
    """
    change = funds.wallet - before.wallet
    count, rest = _count_explained(income, change)
    counted = income[:count]
    highest = _after_transfers(before, counted, funds.unrealised)
    equity = funds.wallet + funds.unrealised
    mine = [row for row in counted if row.symbol == symbol]
    at_ms = max(before.at_ms, counted[-1].at_ms) if counted else before.at_ms
    known_from_ms = max(before.settled_ms + 1, at_ms - OVERLAP_MS)
    known = *before.counted, *((row.at_ms, row.key) for row in counted)
    result = AccountResult(
        at_ms=at_ms,
        wallet=funds.wallet,
        equity=equity,
        highest=max(highest, equity),
        realised=before.realised + _sum(mine, "REALIZED_PNL", "INSURANCE_CLEAR"),
        fees=before.fees - _sum(mine, "COMMISSION", "COMMISSION_REBATE"),
        funding=before.funding + _sum(mine, "FUNDING_FEE"),
        known_from_ms=known_from_ms,
        counted=tuple(each for each in known if each[0] >= known_from_ms),
    )
    return Advance(result, rest, counted)


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
