"""The filters of a symbol, as exchangeInfo shows them, and checks of orders against them. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.order_records import NOTHING
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.symbols import ListedSymbol


class OrderFilters(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of one symbol."""

    tick: Decimal
    step: Decimal
    price_decimals: int
    quantity_decimals: int
    least_price: Decimal
    most_price: Decimal
    least_quantity: Decimal
    most_quantity: Decimal
    most_market_quantity: Decimal
    least_notional: Decimal
    most_orders: int
    highest_ratio: Decimal
    """A buy's highest price, as a multiple of the mark price."""
    lowest_ratio: Decimal
    """A sale's lowest price, as a multiple of the mark price."""
    take_bound: Decimal
    """How far from the mark price a market order is filled, as a ratio."""

    @classmethod
    def of(cls, symbol: ListedSymbol) -> OrderFilters:
        """Return the filters in a symbol's exchangeInfo entry."""
        info = symbol.info()
        filters = {each["filterType"]: each for each in info["filters"]}
        price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        percent = filters["PERCENT_PRICE"]
        return cls(
            tick=Decimal(price["tickSize"]),
            step=Decimal(lot["stepSize"]),
            price_decimals=info["pricePrecision"],
            quantity_decimals=info["quantityPrecision"],
            least_price=Decimal(price["minPrice"]),
            most_price=Decimal(price["maxPrice"]),
            least_quantity=Decimal(lot["minQty"]),
            most_quantity=Decimal(lot["maxQty"]),
            most_market_quantity=Decimal(filters["MARKET_LOT_SIZE"]["maxQty"]),
            least_notional=Decimal(filters["MIN_NOTIONAL"]["notional"]),
            most_orders=filters["MAX_NUM_ORDERS"]["limit"],
            highest_ratio=Decimal(percent["multiplierUp"]),
            lowest_ratio=Decimal(percent["multiplierDown"]),
            take_bound=Decimal(info["marketTakeBound"]),
        )

    def check_price(self, price: Decimal) -> None:
        """Check a price against the precision and the price filter.

        Raises:
            ErrorAnswer: −1111, −4002, −4013 or −4014.
        """
        if _decimals(price) > self.price_decimals:
            raise error_answers.too_precise()
        if price > self.most_price:
            raise order_errors.price_above_maximum()
        if price < self.least_price:
            raise order_errors.price_below_minimum()
        if price % self.tick:
            raise order_errors.price_off_tick()

    def check_distance(self, side: str, price: Decimal, mark: Decimal) -> None:
        """Check that a limit price is not too far beyond the mark price.

        Raises:
            ErrorAnswer: −4016 or −4024.
        """
        highest, lowest = mark * self.highest_ratio, mark * self.lowest_ratio
        if side == "BUY" and price > highest:
            raise order_errors.price_too_high(highest.quantize(self.tick))
        if side == "SELL" and price < lowest:
            raise order_errors.price_too_low(lowest.quantize(self.tick))

    def check_quantity(self, quantity: Decimal, *, market: bool) -> None:
        """Check a quantity against the precision and the lot size filters.

        Raises:
            ErrorAnswer: −1111, −4003, −4004, −4005 or −4023.
        """
        if quantity <= NOTHING:
            raise error_answers.quantity_not_positive()
        if _decimals(quantity) > self.quantity_decimals:
            raise error_answers.too_precise()
        if quantity < self.least_quantity:
            raise order_errors.quantity_below_minimum()
        if quantity > (self.most_market_quantity if market else self.most_quantity):
            raise order_errors.quantity_above_maximum()
        if quantity % self.step:
            raise order_errors.quantity_off_step()

    def check_notional(self, notional: Decimal) -> None:
        """Check the value of an order that may open a position.

        Raises:
            ErrorAnswer: −4164.
        """
        if notional < self.least_notional:
            raise order_errors.notional_too_small(self.least_notional)


def _decimals(value: Decimal) -> int:
    """Return the number of decimals that are not trailing zeros."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
