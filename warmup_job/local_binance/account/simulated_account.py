"""The account: a balance and settings per symbol, without orders and positions.

The methods return the endpoints' answers as plain values. Amounts are text.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from warmup_job.errors import ConfigError
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from collections.abc import Iterable

ASSET = "USDT"
MARGIN_TYPES = ("CROSSED", "ISOLATED")
MAKER_RATE, TAKER_RATE = "0.000200", "0.000500"
"""Futures commission of fee tier 0 (https://www.binance.com/en/fee/futureFee)."""
_NOTHING = "0.00000000"
_DECIMALS = 8
_MOST = Decimal(10**12)
_SPOT_COMMISSION = 10  # hundredths of a percent
_ALIAS = "LocalAccount"


class _Bracket(NamedTuple):
    leverage: int
    """The highest leverage allowed in this bracket."""
    cap: int
    """The bracket's largest notional, quote asset."""
    maintenance_bps: int


# Invented, and the same for all symbols. Binance's brackets differ by symbol and change.
_BRACKETS = (
    _Bracket(125, 50_000, 40),
    _Bracket(100, 500_000, 50),
    _Bracket(50, 3_000_000, 100),
    _Bracket(20, 15_000_000, 250),
    _Bracket(10, 50_000_000, 500),
    _Bracket(5, 100_000_000, 1000),
    _Bracket(1, 300_000_000, 5000),
)


@dataclass(slots=True)
class _Settings:
    """The account's settings of one symbol."""

    leverage: int = 20
    margin_type: str = "CROSSED"


class SimulatedAccount:
    """The account's state. Times are the exchange's UTC ms.

    Args:
        symbols: The symbols of the futures market.
        balance: USDT on each market, decimal text.
        hedge_mode: Whether a symbol can have a long and a short position at once.
        can_trade: Whether the account may trade.
        opened_ms: The account's update time.

    Raises:
        ConfigError: The balance is not an amount.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        balance: str,
        hedge_mode: bool,
        can_trade: bool,
        opened_ms: int,
    ) -> None:
        self._balance = _amount(balance)
        self._can_trade = can_trade
        self._hedge_mode = hedge_mode
        self._opened_ms = opened_ms
        self._settings = {symbol: _Settings() for symbol in symbols}

    # --- futures ---

    def futures_v2(self) -> dict[str, Any]:
        """Answer /fapi/v2/account: permissions, totals, the asset and an empty row per position."""
        return {
            "feeTier": 0,
            "feeBurn": True,
            "canTrade": self._can_trade,
            "canDeposit": True,
            "canWithdraw": False,
            "updateTime": 0,  # reserved, by Binance's documentation
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
            **self._totals(),
            "assets": [self._asset() | {"marginAvailable": True}],
            "positions": [
                self._flat_position(symbol, side)
                for symbol in self._settings
                for side in self._sides()
            ],
        }

    def futures_v3(self) -> dict[str, Any]:
        """Answer /fapi/v3/account, which has no permissions and lists only open positions."""
        return {**self._totals(), "assets": [self._asset()], "positions": []}

    def balances(self) -> list[dict[str, Any]]:
        """Answer /fapi/v2/balance and /fapi/v3/balance."""
        return [
            {
                "accountAlias": _ALIAS,
                "asset": ASSET,
                "balance": self._balance,
                "crossWalletBalance": self._balance,
                "crossUnPnl": _NOTHING,
                "availableBalance": self._balance,
                "maxWithdrawAmount": self._balance,
                "marginAvailable": True,
                "updateTime": self._opened_ms,
            }
        ]

    def position_mode(self) -> dict[str, Any]:
        """Answer whether the account is in hedge mode."""
        return {"dualSidePosition": self._hedge_mode}

    def set_position_mode(self, dual: str) -> dict[str, Any]:
        """Switch hedge mode on (``true``) or off.

        Raises:
            ErrorAnswer: −4059, the mode would not change; −1130 for another value.
        """
        if dual.lower() not in ("true", "false"):
            raise error_answers.invalid_value("dualSidePosition")
        hedge_mode = dual.lower() == "true"
        if hedge_mode == self._hedge_mode:
            raise error_answers.same_position_mode()
        self._hedge_mode = hedge_mode
        return _done()

    def config(self) -> dict[str, Any]:
        """Answer /fapi/v1/accountConfig: permissions and modes."""
        return {
            "feeTier": 0,
            "canTrade": self._can_trade,
            "canDeposit": True,
            "canWithdraw": False,
            "dualSidePosition": self._hedge_mode,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def symbol_configs(self, symbol: str | None) -> list[dict[str, Any]]:
        """Answer the leverage and margin type of one symbol or of all."""
        return [
            {
                "symbol": name,
                "marginType": settings.margin_type,
                "isAutoAddMargin": False,
                "leverage": settings.leverage,
                "maxNotionalValue": str(_largest_notional(settings.leverage)),
            }
            for name, settings in self._chosen(symbol).items()
        ]

    def set_leverage(self, symbol: str, leverage: int) -> dict[str, Any]:
        """Set the leverage of a symbol.

        Raises:
            ErrorAnswer: −4028, no bracket allows this leverage; −1121, unknown symbol.
        """
        settings = self._chosen(symbol)[symbol]
        if not 1 <= leverage <= _BRACKETS[0].leverage:
            raise error_answers.invalid_leverage(leverage)
        settings.leverage = leverage
        return {
            "symbol": symbol,
            "leverage": leverage,
            "maxNotionalValue": str(_largest_notional(leverage)),
        }

    def set_margin_type(self, symbol: str, margin_type: str) -> dict[str, Any]:
        """Set the margin type of a symbol.

        Raises:
            ErrorAnswer: −4046, it would not change; −1130 for another value; −1121, unknown symbol.
        """
        settings = self._chosen(symbol)[symbol]
        if margin_type not in MARGIN_TYPES:
            raise error_answers.invalid_value("marginType")
        if margin_type == settings.margin_type:
            raise error_answers.same_margin_type()
        settings.margin_type = margin_type
        return _done()

    def brackets(self, symbol: str | None) -> dict[str, Any] | list[dict[str, Any]]:
        """Answer the leverage brackets: an object for one symbol, a list for all."""
        rows: list[dict[str, Any]] = []
        floor, held_bps, cumulative_bps = 0, 0, 0
        for number, bracket in enumerate(_BRACKETS, 1):
            # The deduction that makes the maintenance margin continuous between brackets.
            cumulative_bps += floor * (bracket.maintenance_bps - held_bps)
            rows.append(
                {
                    "bracket": number,
                    "initialLeverage": bracket.leverage,
                    "notionalCap": bracket.cap,
                    "notionalFloor": floor,
                    "maintMarginRatio": bracket.maintenance_bps / 10_000,
                    "cum": cumulative_bps / 10_000,
                }
            )
            floor, held_bps = bracket.cap, bracket.maintenance_bps
        entries = [{"symbol": name, "brackets": rows} for name in self._chosen(symbol)]
        return entries if symbol is None else entries[0]

    def commission(self, symbol: str) -> dict[str, Any]:
        """Answer the commission rates of a symbol."""
        self._chosen(symbol)
        return {
            "symbol": symbol,
            "makerCommissionRate": MAKER_RATE,
            "takerCommissionRate": TAKER_RATE,
        }

    def position_risk_v2(self, symbol: str | None) -> list[dict[str, Any]]:
        """Answer /fapi/v2/positionRisk: an empty row for each symbol and side."""
        return [
            {
                "symbol": name,
                "positionAmt": "0",
                "entryPrice": "0.0",
                "breakEvenPrice": "0.0",
                "markPrice": _NOTHING,
                "unRealizedProfit": _NOTHING,
                "liquidationPrice": "0",
                "leverage": str(settings.leverage),
                "maxNotionalValue": str(_largest_notional(settings.leverage)),
                "marginType": "isolated" if settings.margin_type == "ISOLATED" else "cross",
                "isolatedMargin": _NOTHING,
                "isAutoAddMargin": "false",
                "positionSide": side,
                "notional": "0",
                "isolatedWallet": "0",
                "updateTime": 0,
            }
            for name, settings in self._chosen(symbol).items()
            for side in self._sides()
        ]

    def check_symbol(self, symbol: str | None) -> None:
        """Check that the futures market lists a symbol.

        Raises:
            ErrorAnswer: −1121, it does not.
        """
        self._chosen(symbol)

    # --- spot ---

    def spot(self) -> dict[str, Any]:
        """Answer /api/v3/account."""
        rate = f"{_SPOT_COMMISSION / 10_000:.8f}"
        return {
            "makerCommission": _SPOT_COMMISSION,
            "takerCommission": _SPOT_COMMISSION,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": rate,
                "taker": rate,
                "buyer": _NOTHING,
                "seller": _NOTHING,
            },
            "canTrade": self._can_trade,
            "canWithdraw": False,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._opened_ms,
            "accountType": "SPOT",
            "balances": [{"asset": ASSET, "free": self._balance, "locked": _NOTHING}],
            "permissions": ["SPOT"],
            "uid": 1,
        }

    # --- what they share ---

    def _chosen(self, symbol: str | None) -> dict[str, _Settings]:
        if symbol is None:
            return self._settings
        if symbol not in self._settings:
            raise error_answers.invalid_symbol()
        return {symbol: self._settings[symbol]}

    def _sides(self) -> tuple[str, ...]:
        return ("LONG", "SHORT") if self._hedge_mode else ("BOTH",)

    def _totals(self) -> dict[str, Any]:
        return {
            "totalInitialMargin": _NOTHING,
            "totalMaintMargin": _NOTHING,
            "totalWalletBalance": self._balance,
            "totalUnrealizedProfit": _NOTHING,
            "totalMarginBalance": self._balance,
            "totalPositionInitialMargin": _NOTHING,
            "totalOpenOrderInitialMargin": _NOTHING,
            "totalCrossWalletBalance": self._balance,
            "totalCrossUnPnl": _NOTHING,
            "availableBalance": self._balance,
            "maxWithdrawAmount": self._balance,
        }

    def _asset(self) -> dict[str, Any]:
        return {
            "asset": ASSET,
            "walletBalance": self._balance,
            "unrealizedProfit": _NOTHING,
            "marginBalance": self._balance,
            "maintMargin": _NOTHING,
            "initialMargin": _NOTHING,
            "positionInitialMargin": _NOTHING,
            "openOrderInitialMargin": _NOTHING,
            "crossWalletBalance": self._balance,
            "crossUnPnl": _NOTHING,
            "availableBalance": self._balance,
            "maxWithdrawAmount": self._balance,
            "updateTime": self._opened_ms,
        }

    def _flat_position(self, symbol: str, side: str) -> dict[str, Any]:
        settings = self._settings[symbol]
        return {
            "symbol": symbol,
            "initialMargin": "0",
            "maintMargin": "0",
            "unrealizedProfit": _NOTHING,
            "positionInitialMargin": "0",
            "openOrderInitialMargin": "0",
            "leverage": str(settings.leverage),
            "isolated": settings.margin_type == "ISOLATED",
            "entryPrice": "0.0",
            "breakEvenPrice": "0.0",
            "maxNotional": str(_largest_notional(settings.leverage)),
            "bidNotional": "0",
            "askNotional": "0",
            "positionSide": side,
            "positionAmt": "0",
            "updateTime": 0,
        }


def _amount(text: str) -> str:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST or round(amount, _DECIMALS) != amount:
        raise ConfigError(f"the balance is {text!r}; it must be 0 to 1e12 with up to 8 decimals.")
    return f"{amount:.{_DECIMALS}f}"


def _largest_notional(leverage: int) -> int:
    return max(bracket.cap for bracket in _BRACKETS if bracket.leverage >= leverage)


def _done() -> dict[str, Any]:
    return {"code": 200, "msg": "success"}
