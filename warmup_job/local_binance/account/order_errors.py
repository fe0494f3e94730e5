"""Binance's error answers about orders.

Codes: https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

from decimal import Decimal

from warmup_job.local_binance.account.decimal_text import plain
from warmup_job.local_binance.rest.error_answers import ErrorAnswer


def insufficient_margin() -> ErrorAnswer:
    """Return −2019: the available balance does not cover the order's initial margin."""
    return ErrorAnswer(400, -2019, "Margin is insufficient.")


def immediate_trigger() -> ErrorAnswer:
    """Return −2021: the algo order's price has been reached already."""
    return ErrorAnswer(400, -2021, "Order would immediately trigger.")


def reduce_only_rejected() -> ErrorAnswer:
    """Return −2022: there is no position that the order could reduce."""
    return ErrorAnswer(400, -2022, "ReduceOnly Order is rejected.")


def too_many_open_orders() -> ErrorAnswer:
    """Return −2025: the symbol has as many open orders as it may have."""
    return ErrorAnswer(400, -2025, "Reach max open order limit.")


def above_position_limit() -> ErrorAnswer:
    """Return −2027: the position would be larger than its leverage allows."""
    return ErrorAnswer(400, -2027, "Exceeded the maximum allowable position at current leverage.")


def leverage_needs_margin() -> ErrorAnswer:
    """Return −2028: at the lower leverage the positions would need more margin than there is."""
    return ErrorAnswer(
        400, -2028, "Leverage is smaller than permitted: insufficient margin balance."
    )


def margin_type_with_orders() -> ErrorAnswer:
    """Return −4047: the symbol has open orders, so its margin type stays."""
    return ErrorAnswer(400, -4047, "Margin type cannot be changed if there exists open orders.")


def margin_type_with_position() -> ErrorAnswer:
    """Return −4048: the symbol has a position, so its margin type stays."""
    return ErrorAnswer(400, -4048, "Margin type cannot be changed if there exists position.")


def quantity_below_minimum() -> ErrorAnswer:
    """Return −4004: the quantity is below the symbol's minimum."""
    return ErrorAnswer(400, -4004, "Quantity less than minimum quantity.")


def quantity_above_maximum() -> ErrorAnswer:
    """Return −4005: the quantity is above the symbol's maximum."""
    return ErrorAnswer(400, -4005, "Quantity greater than max quantity.")


def price_above_maximum() -> ErrorAnswer:
    """Return −4002: the price is above the symbol's maximum."""
    return ErrorAnswer(400, -4002, "Price greater than max price.")


def price_below_minimum() -> ErrorAnswer:
    """Return −4013: the price is below the symbol's minimum."""
    return ErrorAnswer(400, -4013, "Price less than min price.")


def price_off_tick() -> ErrorAnswer:
    """Return −4014: the price is not a multiple of the tick."""
    return ErrorAnswer(400, -4014, "Price not increased by tick size.")


def price_too_high(limit: Decimal) -> ErrorAnswer:
    """Return −4016: the price is too far above the mark price."""
    return ErrorAnswer(400, -4016, f"Limit price can't be higher than {plain(limit)}.")


def quantity_off_step() -> ErrorAnswer:
    """Return −4023: the quantity is not a multiple of the step."""
    return ErrorAnswer(400, -4023, "Quantity not increased by step size.")


def price_too_low(limit: Decimal) -> ErrorAnswer:
    """Return −4024: the price is too far below the mark price."""
    return ErrorAnswer(400, -4024, f"Limit price can't be lower than {plain(limit)}.")


def too_many_algo_orders() -> ErrorAnswer:
    """Return −4045: the account has as many algo orders as it may have."""
    return ErrorAnswer(400, -4045, "Reach max stop order limit.")


def wrong_position_side() -> ErrorAnswer:
    """Return −4061: the position side does not fit the account's position mode."""
    return ErrorAnswer(400, -4061, "Order's position side does not match user's setting.")


def cannot_order() -> ErrorAnswer:
    """Return −4088: the account may not trade."""
    return ErrorAnswer(400, -4088, "User can not place order currently.")


def duplicate_client_id() -> ErrorAnswer:
    """Return −4116: an open order of the symbol has the same client id."""
    return ErrorAnswer(400, -4116, "ClientOrderId is duplicated.")


def reduces_too_much() -> ErrorAnswer:
    """Return −4118: the order would close more than the other closing orders leave."""
    return ErrorAnswer(
        400,
        -4118,
        "ReduceOnly Order Failed. Please check your existing position and open orders.",
    )


def notional_too_small(least: Decimal) -> ErrorAnswer:
    """Return −4164: the order opens a position and is worth too little."""
    return ErrorAnswer(
        400,
        -4164,
        f"Order's notional must be no smaller than {plain(least)} (unless you choose reduce only).",
    )


def would_take() -> ErrorAnswer:
    """Return −5022: a post-only order would have been filled at once."""
    return ErrorAnswer(
        400,
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history.",
    )


def unchanged_amendment() -> ErrorAnswer:
    """Return −5027: an amendment changes neither the price nor the quantity."""
    return ErrorAnswer(400, -5027, "No need to modify the order.")
