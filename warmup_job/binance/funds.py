"""A futures account's balances and the changes of its wallet, from Binance's answers. Pure.

https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Account-Information-V3
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Get-Income-History
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

TRANSFERS = frozenset(
    {
        "TRANSFER", "INTERNAL_TRANSFER", "CROSS_COLLATERAL_TRANSFER", "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW", "AUTO_EXCHANGE", "STRATEGY_UMFUTURES_TRANSFER", "WELCOME_BONUS",
        "CONTEST_REWARD", "FUTURES_PRESENT",
    }
)  # fmt: skip
"""Kinds of income that trading has neither earned nor lost."""
QUIET_MS = 1_000
"""How much earlier than balances a change may be that is not in them: clocks differ, and a change
takes time to be booked."""


class AssetFunds(NamedTuple):
    """An asset of the account."""

    wallet: Decimal
    """The wallet balance, without unrealised results."""
    unrealised: Decimal
    """The unrealised result of all positions, at the mark price."""


class Income(NamedTuple):
    """One change of the wallet."""

    at_ms: int
    """The exchange's time, UTC ms."""
    kind: str
    """Binance's incomeType: REALIZED_PNL, COMMISSION, FUNDING_FEE, TRANSFER, …"""
    symbol: str
    """Empty if it belongs to no symbol."""
    asset: str
    amount: Decimal
    """Negative if the wallet has become smaller."""
    number: str = ""
    """Binance's tranId, which is unique in a kind of income of an account."""

    @property
    def is_transfer(self) -> bool:
        """Whether it is a deposit or a withdrawal."""
        return self.kind in TRANSFERS

    @property
    def key(self) -> str:
        """What tells this change from every other one, also from those of the same ms."""
        return f"{self.at_ms} {self.kind} {self.symbol} {self.asset} {self.number}"


class AccountFunds(NamedTuple):
    """The account's assets at one moment, and the changes that led to it.

    The changes were read a little later, so they may have some more than the assets.
    """

    asked_ms: int
    """When the assets were requested, the exchange's time, UTC ms."""
    assets: Mapping[str, AssetFunds]
    income: tuple[Income, ...]
    """By time."""
    unrealised: Mapping[str, Decimal] = MappingProxyType({})
    """The unrealised result of each symbol with a position, at the mark price."""


def parse_assets(answer: Any) -> dict[str, AssetFunds]:  # noqa: ANN401 - JSON
    """Read the assets of an answer to /fapi/v3/account.

    Raises:
        KeyError, TypeError, ValueError, InvalidOperation: The answer has another form.
    """
    return {
        str(each["asset"]): AssetFunds(
            Decimal(each["walletBalance"]), Decimal(each["unrealizedProfit"])
        )
        for each in answer["assets"]
    }


def parse_unrealised(answer: Any) -> dict[str, Decimal]:  # noqa: ANN401 - JSON
    """Read each symbol's unrealised result of an answer to /fapi/v3/account.

    Raises:
        KeyError, TypeError, ValueError, InvalidOperation: The answer has another form.
    """
    found: dict[str, Decimal] = {}
    for each in answer["positions"]:  # in hedge mode a symbol may have two
        symbol = str(each["symbol"])
        found[symbol] = found.get(symbol, Decimal(0)) + Decimal(each["unrealizedProfit"])
    return found


def parse_income(answer: Any) -> list[Income]:  # noqa: ANN401 - JSON
    """Read an answer to /fapi/v1/income, in order of time.

    Raises:
        KeyError, TypeError, ValueError, InvalidOperation: The answer has another form.
    """
    rows = [
        Income(
            int(each["time"]), str(each["incomeType"]), str(each["symbol"]), str(each["asset"]),
            Decimal(each["income"]), str(each["tranId"]),
        )
        for each in answer
    ]  # fmt: skip
    return sorted(rows, key=lambda row: row.at_ms)
