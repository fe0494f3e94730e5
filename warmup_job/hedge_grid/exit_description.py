"""What the log says of an exit. Pure."""

from __future__ import annotations

from nautilus_trader.model.orders import Order

from warmup_job.hedge_grid.exit_rules import Lot
from warmup_job.hedge_grid.grid_order_ids import Leg


def exit_kind(leg: Leg) -> str:
    """Return the name of an exit: ``take profit`` or ``stop loss``."""
    return "take profit" if leg == "T" else "stop loss"


def describe_exit(order: Order, lot: Lot, leg: Leg) -> str:
    """Return for instance ``stop loss of 0.002 LONG at 49502.10``."""
    if order.has_trigger_price:
        where = f"at {order.trigger_price}"
    elif order.has_price:
        where = f"at {order.price}"
    else:
        where = "at market"
    return f"{exit_kind(leg)} of {order.leaves_qty} {lot.book} {where}"
