"""The grid's result and its drawdown, and whether the drawdown has stopped the entries for good."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from warmup_job.binance.funds import AccountFunds
from warmup_job.hedge_grid.account_equity import AccountEquity, Reading
from warmup_job.hedge_grid.account_result import AccountResult, drawdown_pct
from warmup_job.hedge_grid.grid_pnl import GridPnl


class GridResult:
    """Follows the result since the first start, and judges the drawdown.

    Live, both are those of the account's equity and income, from the first reading on. Before that,
    on paper and in a backtest they are those of the grid's own positions.

    Args:
        symbol: Binance's symbol, whose income is counted.
        limit_pct: The drawdown that stops the entries, percent; None: none does.
        on_limit: Is called once when the drawdown has reached the limit.
    """

    def __init__(
        self, symbol: str, limit_pct: Decimal | None, on_limit: Callable[[], object]
    ) -> None:
        self.own = GridPnl()
        self._limit_pct = limit_pct
        self._on_limit = on_limit
        self._equity = AccountEquity("", symbol)
        self.drawdown_pct = Decimal(0)
        """The loss from the highest equity, percent of that equity."""
        self.is_stopped = False
        """Whether the drawdown has reached the limit, in this run or an earlier one."""

    def load(self, own: GridPnl, account: AccountResult | None, *, is_stopped: bool) -> None:
        """Continue with what an earlier run has saved."""
        self.own, self._equity.result, self.is_stopped = own, account, is_stopped
        if account is not None:
            self.drawdown_pct = account.drawdown_pct

    @property
    def account(self) -> AccountResult | None:
        """The newest result of the account; None: it has not been read since the first start."""
        return self._equity.result

    @property
    def realised(self) -> Decimal:
        """The result of closed quantities since the first start, before fees and funding."""
        account = self.account
        return self.own.realised + self.own.fees if account is None else account.realised

    @property
    def fees(self) -> Decimal:
        """Fees paid in quote currency since the first start; a rebate is negative."""
        return self.own.fees if self.account is None else self.account.fees

    @property
    def funding(self) -> Decimal:
        """Funding received since the first start; paid funding is negative."""
        return Decimal(0) if self.account is None else self.account.funding

    def take_balance(self, balance: Decimal | None, unrealised: Decimal) -> None:
        """Judge the grid's own result, unless the account's equity is known.

        Args:
            balance: The balance without the unrealised result; None: it is unknown.
            unrealised: The unrealised result of the grid's positions.
        """
        if self.account is not None:
            return
        own = self.own
        if own.capital is None:
            own.capital = balance
        profit = own.realised + unrealised
        own.peak = max(own.peak, profit)
        if own.capital is not None:
            self._judge(drawdown_pct(own.capital + own.peak, own.capital + profit))

    def take_funds(self, funds: AccountFunds, currency: str) -> Reading:
        """Judge a reading of the account.

        Args:
            funds: The account's funds, with the income after ``account.settled_ms``.
            currency: The quote currency's code.
        """
        self._equity.currency = currency
        asset = funds.assets.get(currency)
        unrealised = Decimal(0) if asset is None else asset.unrealised
        reading = self._equity.take(funds, self.own.lost(unrealised))
        if reading.is_taken and self.account is not None:
            self._judge(self.account.drawdown_pct)
        return reading

    def _judge(self, drawdown: Decimal) -> None:
        self.drawdown_pct = drawdown
        limit = self._limit_pct
        if limit is not None and drawdown >= limit and not self.is_stopped:
            self.is_stopped = True
            self._on_limit()

    def lift_stop(self, unrealised: Decimal) -> bool:
        """Let entries be sent again; the drawdown is measured from the present equity on.

        Args:
            unrealised: The unrealised result of the grid's positions.

        Returns:
            Whether there was a stop to lift; otherwise nothing changes.
        """
        if not self.is_stopped:
            return False
        self.own.peak = self.own.realised + unrealised
        if self.account is not None:
            self._equity.result = replace(self.account, highest=self.account.equity)
        self.drawdown_pct, self.is_stopped = Decimal(0), False
        return True
