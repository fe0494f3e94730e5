"""An entry of exchangeInfo as nautilus_trader 1.231.0 decodes it, without importing Nautilus.

The field names, their order, their types and their defaults are those of the structs in Nautilus'
Binance adapter, because an instrument's ``info`` is such a struct as JSON. A test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec
from loguru import logger

from warmup_job.errors import RefusedError

OrderType = Literal[
    "LIMIT", "MARKET", "STOP", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
    "LIMIT_MAKER", "STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET", "LIQUIDATION",
    "ADL", "INSURANCE_FUND",
]  # fmt: skip
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC"]
FilterType = Literal[
    "PRICE_FILTER", "PERCENT_PRICE", "PERCENT_PRICE_BY_SIDE", "LOT_SIZE", "MIN_NOTIONAL",
    "NOTIONAL", "ICEBERG_PARTS", "MARKET_LOT_SIZE", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS",
    "MAX_NUM_ICEBERG_ORDERS", "MAX_NUM_ORDER_LISTS", "MAX_NUM_ORDER_AMENDS", "MAX_POSITION",
    "TRAILING_DELTA", "POSITION_RISK_CONTROL",
]  # fmt: skip
ContractStatus = Literal[
    "PENDING_TRADING", "TRADING", "TRADING_HALT", "PRE_DELIVERING", "DELIVERING", "DELIVERED",
    "PRE_SETTLE", "SETTLING", "CLOSE",
]  # fmt: skip

KNOWN_VALUES: dict[str, frozenset[str]] = {
    "orderTypes": frozenset(get_args(OrderType)),
    "timeInForce": frozenset(get_args(TimeInForce)),
    "filters": frozenset(get_args(FilterType)),
}
"""What nautilus_trader 1.231.0 knows, by the name of the list that holds it."""


class FilterFields(msgspec.Struct, rename="camel"):
    """One filter of a symbol; only the fields of its type are set."""

    filter_type: FilterType
    min_price: str | None = None
    max_price: str | None = None
    tick_size: str | None = None
    multiplier_up: str | None = None
    multiplier_down: str | None = None
    multiplier_decimal: str | None = None
    avg_price_mins: int | None = None
    min_qty: str | None = None
    max_qty: str | None = None
    step_size: str | None = None
    limit: int | None = None
    max_num_orders: int | None = None
    notional: str | None = None
    min_notional: str | None = None
    max_num_algo_orders: int | None = None
    bid_multiplier_up: str | None = None
    bid_multiplier_down: str | None = None
    ask_multiplier_up: str | None = None
    ask_multiplier_down: str | None = None
    apply_min_to_market: bool | None = None
    max_notional: str | None = None
    apply_max_to_market: bool | None = None
    max_num_iceberg_orders: int | None = None
    max_position: str | None = None
    min_trailing_above_delta: int | None = None
    max_trailing_above_delta: int | None = None
    min_trailing_below_delta: int | None = None
    max_trailing_below_delta: int | None = None


class FuturesFields(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A symbol of USDⓈ-M futures."""

    symbol: str
    pair: str
    contract_type: str
    delivery_date: int
    onboard_date: int
    status: ContractStatus | None = None
    maint_margin_percent: str
    required_margin_percent: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    price_precision: int
    quantity_precision: int
    base_asset_precision: int
    quote_precision: int
    underlying_type: str
    underlying_sub_type: list[str]
    settle_plan: int | None = None
    trigger_protect: str
    liquidation_fee: str
    market_take_bound: str
    filters: list[FilterFields]
    order_types: list[OrderType]
    time_in_force: list[TimeInForce]


class SpotFields(msgspec.Struct, frozen=True, rename="camel"):
    """A symbol of the spot market."""

    symbol: str
    status: str
    base_asset: str
    base_asset_precision: int
    quote_asset: str
    quote_precision: int
    quote_asset_precision: int
    order_types: list[OrderType]
    iceberg_allowed: bool
    oco_allowed: bool
    quote_order_qty_market_allowed: bool
    allow_trailing_stop: bool
    is_spot_trading_allowed: bool
    is_margin_trading_allowed: bool
    filters: list[FilterFields]
    permissions: list[str]


def not_tradable(entry: Mapping[str, Any]) -> RefusedError:
    """Return the error for a symbol that is listed and cannot be traded."""
    return RefusedError(
        f"{entry.get('symbol')} is listed but cannot be traded (status {entry.get('status')}): "
        "choose another symbol"
    )


def without_unknown_values(
    entry: Mapping[str, Any], known_values: Mapping[str, frozenset[str]]
) -> tuple[dict[str, Any], list[str]]:
    """Return an entry without the list values that Nautilus does not know.

    Binance sometimes adds order types, times in force and filters. Nautilus rejects the whole entry
    then, although it needs only the price and size filters for an instrument.

    Args:
        entry: the raw entry.
        known_values: what Nautilus knows, by the name of the list.

    Returns:
        The entry, and the names of the lists that are shorter now.
    """
    known, shortened = dict(entry), []
    for name, values in known_values.items():
        if isinstance(entry.get(name), list):
            known[name] = [each for each in entry[name] if _value_of(each) in values]
            if len(known[name]) < len(entry[name]):
                shortened.append(name)
    return known, shortened


def log_ignored_values(symbol: object, shortened: list[str]) -> None:
    """Log that values of a symbol's entry were ignored, if there were any."""
    if shortened:
        logger.info(
            "{symbol}: ignoring values of exchangeInfo's {values} that this Nautilus does not know",
            event="instrument.values_ignored",
            symbol=symbol,
            values=", ".join(shortened),
        )


def _value_of(each: object) -> str | None:
    value = each.get("filterType") if isinstance(each, dict) else each
    return value if isinstance(value, str) else None
