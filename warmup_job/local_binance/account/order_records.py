"""Orders, algo orders, trades and income of the futures account, as values.

Prices, quantities and amounts are Decimals; times are the exchange's UTC ms.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from warmup_job.local_binance.account.order_requests import PositionSide, Side, WorkingType
    from warmup_job.local_binance.account.trading_options import TradingOptions

ASSET = "USDT"
"""The asset of the wallet, of all results and of all fees."""
NOTHING = Decimal(0)
OPEN_STATUSES = frozenset({"NEW", "PARTIALLY_FILLED"})
OPEN_ALGO_STATUSES = frozenset({"NEW"})
STOP_TYPES = frozenset({"STOP", "STOP_MARKET"})
TAKE_PROFIT_TYPES = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_MARKET"})
ALGO_LIMIT_TYPES = frozenset({"STOP", "TAKE_PROFIT"})
"""Algo types that create a limit order when they are triggered."""


def closes(side: str, position_side: str) -> bool:
    """Return whether an order of this side closes a position of hedge mode."""
    return (side, position_side) in (("SELL", "LONG"), ("BUY", "SHORT"))


def shows_closing(options: TradingOptions, side: str, position_side: str) -> bool:
    """Return whether an order shows ``reduceOnly`` because it closes a position of hedge mode."""
    return options.shows_reduce_only and closes(side, position_side)


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the matching engine."""

    order_id: int
    client_id: str
    symbol: str
    side: Side
    type: str
    original_type: str
    """The type of the algo order that created it; otherwise its own."""
    time_in_force: str
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    """0 for a market order."""
    reduce_only: bool
    status: str
    created_ms: int
    updated_ms: int
    stop_price: Decimal = NOTHING
    working_type: WorkingType = "CONTRACT_PRICE"
    close_position: bool = False
    filled: Decimal = NOTHING
    cost: Decimal = NOTHING
    """Quote asset of the fills."""
    algo_id: int = 0
    """The algo order that created it; 0: none."""
    good_till_ms: int = 0
    reason: str = ""
    """Why the exchange ended it, or empty."""

    @property
    def is_open(self) -> bool:
        """Whether it can still be filled."""
        return self.status in OPEN_STATUSES

    @property
    def left(self) -> Decimal:
        """The quantity that is not filled."""
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """The average price of its fills; 0 without fills."""
        return self.cost / self.filled if self.filled else NOTHING

    @property
    def reduces(self) -> bool:
        """Whether it can only reduce a position."""
        return self.reduce_only or closes(self.side, self.position_side)


class AlgoRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An algo order: it creates an order when its price is reached."""

    algo_id: int
    client_id: str
    symbol: str
    side: Side
    type: str
    time_in_force: str
    position_side: PositionSide
    quantity: Decimal
    """0 with ``close_position``."""
    price: Decimal
    trigger_price: Decimal
    working_type: WorkingType
    close_position: bool
    reduce_only: bool
    price_protect: bool
    status: str
    created_ms: int
    updated_ms: int
    activate_price: Decimal = NOTHING
    callback_rate: Decimal = NOTHING
    extreme_price: Decimal = NOTHING
    """TRAILING_STOP_MARKET: the best price since its activation; 0: not activated."""
    triggered_ms: int = 0
    order_id: int = 0
    """The order that it created; 0: none."""
    good_till_ms: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it waits for its price."""
        return self.status in OPEN_ALGO_STATUSES

    @property
    def reduces(self) -> bool:
        """Whether it can only reduce a position."""
        return self.reduce_only or self.close_position or closes(self.side, self.position_side)


class TradeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fill."""

    trade_id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    commission: Decimal
    realised: Decimal
    is_maker: bool
    at_ms: int


class IncomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the wallet, as /fapi/v1/income lists it."""

    income_id: int
    kind: str
    """REALIZED_PNL, COMMISSION, FUNDING_FEE, TRANSFER or INSURANCE_CLEAR."""
    symbol: str
    """Empty for a transfer."""
    amount: Decimal
    at_ms: int
    trade_id: int = 0
    info: str = ""
