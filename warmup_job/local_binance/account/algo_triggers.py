"""When an algo order is triggered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from warmup_job.local_binance.account.order_records import STOP_TYPES, AlgoRecord

if TYPE_CHECKING:
    from decimal import Decimal

    from warmup_job.local_binance.account.order_requests import Side

_PERCENT = 100


def is_reached(kind: str, side: Side, trigger: Decimal, price: Decimal) -> bool:
    """Return whether a stop or take-profit order is triggered at ``price``.

    Args:
        kind: The algo order's type; not TRAILING_STOP_MARKET.
        side: Its side.
        trigger: Its trigger price.
        price: The last price or the mark price, by its working type.
    """
    return price >= trigger if rises(kind, side) else price <= trigger


def rises(kind: str, side: Side) -> bool:
    """Return whether the price must rise to trigger a stop or take-profit order of this side."""
    return (kind in STOP_TYPES) == (side == "BUY")


def after_price(algo: AlgoRecord, price: Decimal) -> AlgoRecord:
    """Return a trailing stop after a new price: activated, or with a better extreme price.

    Algo orders of other types stay as they are.
    """
    if algo.type != "TRAILING_STOP_MARKET":
        return algo
    if not algo.extreme_price:
        # A sale starts to trail at or above its activation price, a buy at or below.
        activated = not algo.activate_price or (
            price >= algo.activate_price if algo.side == "SELL" else price <= algo.activate_price
        )
        return replace(algo, extreme_price=price) if activated else algo
    better = price > algo.extreme_price if algo.side == "SELL" else price < algo.extreme_price
    return replace(algo, extreme_price=price) if better else algo


def is_trailed(algo: AlgoRecord, price: Decimal) -> bool:
    """Return whether the price has come back by the callback rate of a trailing stop."""
    if not algo.extreme_price:
        return False
    rate = algo.callback_rate / _PERCENT
    if algo.side == "SELL":
        return price <= algo.extreme_price * (1 - rate)
    return price >= algo.extreme_price * (1 + rate)
