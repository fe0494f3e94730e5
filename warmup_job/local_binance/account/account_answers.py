"""The futures account as the REST endpoints print it: balances, totals and positions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account.account_margin import PositionMargin
from warmup_job.local_binance.account.decimal_text import amount, plain
from warmup_job.local_binance.account.leverage_brackets import largest_notional
from warmup_job.local_binance.account.order_records import ASSET, NOTHING

if TYPE_CHECKING:
    from warmup_job.local_binance.account.account_margin import AccountMargin
    from warmup_job.local_binance.account.order_requests import PositionSide
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.account.trading_account import TradingAccount

_ALIAS = "LocalAccount"
_PRICE_DECIMALS = 8


class AccountAnswers:
    """Makes the answers about the account from its settings and its trading.

    Args:
        settings: Permissions, modes and leverage.
        trading: Orders, positions and the wallet.
    """

    def __init__(self, settings: SimulatedAccount, trading: TradingAccount) -> None:
        self._settings = settings
        self._trading = trading

    def account_v2(self, now_ms: int) -> dict[str, Any]:
        """Answer /fapi/v2/account: permissions, totals, the asset and a row for each position."""
        margin = self._trading.margin(now_ms)
        rows = [
            self._account_row_v2(self._row(margin, symbol, side))
            for symbol in self._settings.symbols()
            for side in self._sides()
        ]
        return {
            "feeTier": 0,
            "feeBurn": True,
            "canTrade": self._settings.can_trade,
            "canDeposit": True,
            "canWithdraw": False,
            "updateTime": 0,  # reserved, by Binance's documentation
            "multiAssetsMargin": self._settings.multi_assets,
            "tradeGroupId": -1,
            **_totals(margin),
            "assets": [self._asset(margin) | {"marginAvailable": True}],
            "positions": rows,
        }

    def account_v3(self, now_ms: int) -> dict[str, Any]:
        """Answer /fapi/v3/account: no permissions; only positions that are open or have orders."""
        margin = self._trading.margin(now_ms)
        return {
            **_totals(margin),
            "assets": [self._asset(margin)],
            "positions": [_account_row_v3(row) for row in margin.rows],
        }

    def balances(self, now_ms: int) -> list[dict[str, Any]]:
        """Answer /fapi/v2/balance and /fapi/v3/balance."""
        margin = self._trading.margin(now_ms)
        available = amount(margin.available)
        return [
            {
                "accountAlias": _ALIAS,
                "asset": ASSET,
                "balance": amount(margin.wallet),
                "crossWalletBalance": amount(margin.wallet),
                "crossUnPnl": amount(margin.unrealised),
                "availableBalance": available,
                "maxWithdrawAmount": available,
                "marginAvailable": True,
                "updateTime": self._settings.opened_ms,
            }
        ]

    def position_risk_v2(self, symbol: str | None, now_ms: int) -> list[dict[str, Any]]:
        """Answer /fapi/v2/positionRisk: a row for each symbol and side, flat ones too."""
        margin = self._trading.margin(now_ms)
        rows = [
            (name, self._row(margin, name, side))
            for name in self._settings.symbols(symbol)
            for side in self._sides()
        ]
        return [
            _risk_row(margin, row)
            | {
                "leverage": str(row.leverage),
                "maxNotionalValue": str(largest_notional(row.leverage)),
                "marginType": "isolated" if self._is_isolated(name) else "cross",
                "isAutoAddMargin": "false",
            }
            for name, row in rows
        ]

    def position_risk_v3(self, symbol: str | None, now_ms: int) -> list[dict[str, Any]]:
        """Answer /fapi/v3/positionRisk: only positions that are open or have orders."""
        chosen = self._settings.symbols(symbol)
        margin = self._trading.margin(now_ms)
        return [
            _risk_row(margin, row)
            | {
                "marginAsset": ASSET,
                "initialMargin": amount(row.initial),
                "maintMargin": amount(row.maintenance),
                "positionInitialMargin": amount(row.position_initial),
                "openOrderInitialMargin": amount(row.order_initial),
                "adl": 1 if row.position.quantity else 0,
                "bidNotional": plain(row.bids),
                "askNotional": plain(row.asks),
            }
            for row in margin.rows
            if row.position.symbol in chosen
        ]

    def _row(self, margin: AccountMargin, symbol: str, side: PositionSide) -> PositionMargin:
        """Return the row of a symbol and side, which may have no position and no order."""
        for row in margin.rows:
            if (row.position.symbol, row.position.side) == (symbol, side):
                return row
        return PositionMargin(
            position=self._trading.position(symbol, side),
            mark=NOTHING,
            leverage=self._settings.leverage(symbol),
            bids=NOTHING,
            asks=NOTHING,
        )

    def _account_row_v2(self, row: PositionMargin) -> dict[str, Any]:
        position = row.position
        return {
            "symbol": position.symbol,
            "initialMargin": _bare(row.initial),
            "maintMargin": _bare(row.maintenance),
            "unrealizedProfit": amount(row.unrealised),
            "positionInitialMargin": _bare(row.position_initial),
            "openOrderInitialMargin": _bare(row.order_initial),
            "leverage": str(row.leverage),
            "isolated": self._is_isolated(position.symbol),
            "entryPrice": _price(position.entry_price),
            "breakEvenPrice": _price(position.break_even_price),
            "maxNotional": str(largest_notional(row.leverage)),
            "bidNotional": plain(row.bids),
            "askNotional": plain(row.asks),
            "positionSide": position.side,
            "positionAmt": plain(position.quantity),
            "updateTime": position.updated_ms,
        }

    def _is_isolated(self, symbol: str) -> bool:
        return self._settings.margin_type(symbol) == "ISOLATED"

    def _sides(self) -> tuple[PositionSide, ...]:
        return ("LONG", "SHORT") if self._settings.hedge_mode else ("BOTH",)

    def _asset(self, margin: AccountMargin) -> dict[str, Any]:
        available = amount(margin.available)
        return {
            "asset": ASSET,
            "walletBalance": amount(margin.wallet),
            "unrealizedProfit": amount(margin.unrealised),
            "marginBalance": amount(margin.balance),
            "maintMargin": amount(margin.maintenance),
            "initialMargin": amount(margin.initial),
            "positionInitialMargin": amount(margin.position_initial),
            "openOrderInitialMargin": amount(margin.order_initial),
            "crossWalletBalance": amount(margin.wallet),
            "crossUnPnl": amount(margin.unrealised),
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "updateTime": self._settings.opened_ms,
        }


def _totals(margin: AccountMargin) -> dict[str, Any]:
    available = amount(margin.available)
    return {
        "totalInitialMargin": amount(margin.initial),
        "totalMaintMargin": amount(margin.maintenance),
        "totalWalletBalance": amount(margin.wallet),
        "totalUnrealizedProfit": amount(margin.unrealised),
        "totalMarginBalance": amount(margin.balance),
        "totalPositionInitialMargin": amount(margin.position_initial),
        "totalOpenOrderInitialMargin": amount(margin.order_initial),
        "totalCrossWalletBalance": amount(margin.wallet),
        "totalCrossUnPnl": amount(margin.unrealised),
        "availableBalance": available,
        "maxWithdrawAmount": available,
    }


def _account_row_v3(row: PositionMargin) -> dict[str, Any]:
    return {
        "symbol": row.position.symbol,
        "positionSide": row.position.side,
        "positionAmt": plain(row.position.quantity),
        "unrealizedProfit": amount(row.unrealised),
        "isolatedMargin": amount(NOTHING),
        "notional": plain(row.notional),
        "isolatedWallet": "0",
        "initialMargin": amount(row.initial),
        "maintMargin": amount(row.maintenance),
        "updateTime": row.position.updated_ms,
    }


def _risk_row(margin: AccountMargin, row: PositionMargin) -> dict[str, Any]:
    position = row.position
    return {
        "symbol": position.symbol,
        "positionSide": position.side,
        "positionAmt": plain(position.quantity),
        "entryPrice": _price(position.entry_price),
        "breakEvenPrice": _price(position.break_even_price),
        "markPrice": amount(row.mark),
        "unRealizedProfit": amount(row.unrealised),
        "liquidationPrice": plain(round(margin.liquidation_price(row), _PRICE_DECIMALS)),
        "isolatedMargin": amount(NOTHING),
        "notional": plain(row.notional),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
    }


def _bare(value: Decimal) -> str:
    """Return the amount, or "0" as Binance prints it for a flat position."""
    return amount(value) if value else "0"


def _price(value: Decimal) -> str:
    """Return the price, or "0.0" as Binance prints it for a flat position."""
    return plain(round(value, _PRICE_DECIMALS)) if value else "0.0"
