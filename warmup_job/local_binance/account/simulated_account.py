"""The account's settings: permissions, position mode, leverage and margin types; and its spot side.

The methods return the endpoints' answers as plain values. Amounts are text. The futures account's
orders and positions are in `trading_account`.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.leverage_brackets import (
    MOST_LEVERAGE,
    bracket_rows,
    largest_notional,
)
from warmup_job.local_binance.account.order_records import ASSET
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from collections.abc import Iterable

MARGIN_TYPES = ("CROSSED", "ISOLATED")
MAKER_RATE, TAKER_RATE = "0.000200", "0.000500"
"""Futures commission of fee tier 0 (https://www.binance.com/en/fee/futureFee)."""
_NOTHING = "0.00000000"
_DECIMALS = 8
_MOST = Decimal(10**12)
_SPOT_COMMISSION = 10  # hundredths of a percent


class _Settings(msgspec.Struct):
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
        self._multi_assets = False
        self._opened_ms = opened_ms
        self._settings = {symbol: _Settings() for symbol in symbols}

    # --- futures ---

    @property
    def balance(self) -> str:
        """The balance with which each market was opened."""
        return self._balance

    @property
    def opened_ms(self) -> int:
        """The time at which the account was opened."""
        return self._opened_ms

    @property
    def can_trade(self) -> bool:
        """Whether the account may trade."""
        return self._can_trade

    @property
    def hedge_mode(self) -> bool:
        """Whether a symbol can have a long and a short position at once."""
        return self._hedge_mode

    def leverage(self, symbol: str) -> int:
        """Return the leverage of a listed symbol."""
        return self._settings[symbol].leverage

    def margin_type(self, symbol: str) -> str:
        """Return the margin type of a listed symbol: CROSSED or ISOLATED."""
        return self._settings[symbol].margin_type

    def symbols(self, symbol: str | None = None) -> list[str]:
        """Return the symbol, or all symbols of the futures market.

        Raises:
            ErrorAnswer: −1121, the market does not list it.
        """
        return list(self._chosen(symbol))

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

    @property
    def multi_assets(self) -> bool:
        """Whether all assets are margin. Only the answers show it: the one asset is USDT."""
        return self._multi_assets

    def assets_mode(self) -> dict[str, Any]:
        """Answer whether the account is in multi-assets mode."""
        return {"multiAssetsMargin": self._multi_assets}

    def set_assets_mode(self, multi: str) -> dict[str, Any]:
        """Switch multi-assets mode on (``true``) or off.

        Raises:
            ErrorAnswer: −1130 for another value.
        """
        if multi.lower() not in ("true", "false"):
            raise error_answers.invalid_value("multiAssetsMargin")
        self._multi_assets = multi.lower() == "true"
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
            "multiAssetsMargin": self._multi_assets,
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
                "maxNotionalValue": str(largest_notional(settings.leverage)),
            }
            for name, settings in self._chosen(symbol).items()
        ]

    def set_leverage(self, symbol: str, leverage: int) -> dict[str, Any]:
        """Set the leverage of a symbol.

        Raises:
            ErrorAnswer: −4028, no bracket allows this leverage; −1121, unknown symbol.
        """
        settings = self._chosen(symbol)[symbol]
        if not 1 <= leverage <= MOST_LEVERAGE:
            raise error_answers.invalid_leverage(leverage)
        settings.leverage = leverage
        return {
            "symbol": symbol,
            "leverage": leverage,
            "maxNotionalValue": str(largest_notional(leverage)),
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
        rows = bracket_rows()
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


def _amount(text: str) -> str:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST or round(amount, _DECIMALS) != amount:
        raise ConfigError(f"the balance is {text!r}; it must be 0 to 1e12 with up to 8 decimals.")
    return f"{amount:.{_DECIMALS}f}"


def _done() -> dict[str, Any]:
    return {"code": 200, "msg": "success"}
