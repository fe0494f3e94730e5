"""How the account deals with orders where Binance's way is not known, or where a test needs it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

MOST_ALGO_ORDERS = 200
"""Binance's limit (https://developers.binance.com/docs/derivatives/change-log, 2025-12-29)."""


class TradingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a `TradingAccount`."""

    closing_orders: Literal["expire", "reject"] = "expire"
    """A closing order larger than the position, or than what other closing orders leave of it:
    ``expire`` accepts it, and what exceeds the position expires when it is filled or triggered;
    ``reject`` refuses it (−4118) unless it is a market order that closes the whole position, and
    rejects an algo order whose position is smaller when it is triggered."""
    fill_pieces: int = 1
    """In how many fills an order is filled at least."""
    shows_reduce_only: bool = True
    """Whether an order that closes a position of hedge mode is shown with ``reduceOnly: true``."""
    most_algo_orders: int = MOST_ALGO_ORDERS
    """How many algo orders the account may have, for all symbols together."""
    maker_rate: Decimal = Decimal("0.0002")
    """Commission of a resting order, as a ratio of the value."""
    taker_rate: Decimal = Decimal("0.0005")
    """Commission of an order that is filled at once, as a ratio of the value."""
    liquidation_rate: Decimal = Decimal("0.0125")
    """Fee of a liquidation, as a ratio of the value."""
