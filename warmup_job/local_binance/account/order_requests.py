"""What a client asks the futures account for, read and checked for its form.

The account checks everything that depends on its state, its mode or the market: filters, margin,
positions. Fields and values are Binance's:
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["BUY", "SELL"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
OrderType = Literal["LIMIT", "MARKET"]
AlgoOrderType = Literal[
    "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"
]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX", "GTD"]
WorkingType = Literal["CONTRACT_PRICE", "MARK_PRICE"]
SelfTradePrevention = Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"]


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to place: POST /fapi/v1/order or one entry of batchOrders."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    """Always given for LIMIT, never for MARKET."""
    time_in_force: TimeInForce = "GTC"
    position_side: PositionSide | None = None
    """None: not sent, which means BOTH and is an error in hedge mode (−4061)."""
    reduce_only: bool | None = None
    """None: not sent. In hedge mode it must not be sent (−1106)."""
    client_id: str | None = None
    """None: the exchange chooses one."""
    good_till_ms: int | None = None
    """When a GTD order expires, UTC ms; None for every other order."""
    self_trade_prevention: SelfTradePrevention = "EXPIRE_MAKER"


class NewAlgoOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A conditional order to place: POST /fapi/v1/algoOrder with ``algoType=CONDITIONAL``."""

    symbol: str
    side: Side
    type: AlgoOrderType
    quantity: Decimal | None = None
    """None only with `close_position`."""
    price: Decimal | None = None
    """The limit of STOP and TAKE_PROFIT; None for the others."""
    trigger_price: Decimal | None = None
    """None only for TRAILING_STOP_MARKET."""
    activate_price: Decimal | None = None
    """Of TRAILING_STOP_MARKET; None: it is active at once."""
    callback_rate: Decimal | None = None
    """Of TRAILING_STOP_MARKET, percent; None for the others."""
    working_type: WorkingType = "CONTRACT_PRICE"
    time_in_force: TimeInForce = "GTC"
    position_side: PositionSide | None = None
    """None: not sent, as in `NewOrder`."""
    reduce_only: bool | None = None
    """None: not sent, as in `NewOrder`."""
    close_position: bool = False
    """Whether the order closes its whole position; it then has no quantity."""
    price_protect: bool = False
    client_id: str | None = None
    """``clientAlgoId``; None: the exchange chooses one."""
    good_till_ms: int | None = None
    """When a GTD order expires, UTC ms; None for every other order."""
    self_trade_prevention: SelfTradePrevention = "EXPIRE_MAKER"


class OrderReference(msgspec.Struct, frozen=True, kw_only=True):
    """The order or algo order that a request is about; one of its two ids is given."""

    order_id: int | None = None
    """``orderId`` or ``algoId``; it has priority over the other."""
    client_id: str | None = None
    """``origClientOrderId`` or ``clientAlgoId``."""


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """A new quantity and price of a resting LIMIT order: PUT /fapi/v1/order."""

    symbol: str
    order: OrderReference
    side: Side
    quantity: Decimal
    price: Decimal
