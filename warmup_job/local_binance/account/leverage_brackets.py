"""The leverage brackets: how much may be held at a leverage, and the maintenance margin it needs.

They are invented, and the same for all symbols. Binance's brackets differ by symbol and change
(https://www.binance.com/en/futures/trading-rules/perpetual/leverage-margin).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

_BPS = 10_000


class _Bracket(NamedTuple):
    leverage: int
    """The highest leverage allowed in this bracket."""
    cap: int
    """The bracket's largest notional, quote asset."""
    maintenance_bps: int


_BRACKETS = (
    _Bracket(125, 50_000, 40),
    _Bracket(100, 500_000, 50),
    _Bracket(50, 3_000_000, 100),
    _Bracket(20, 15_000_000, 250),
    _Bracket(10, 50_000_000, 500),
    _Bracket(5, 100_000_000, 1000),
    _Bracket(1, 300_000_000, 5000),
)
MOST_LEVERAGE = _BRACKETS[0].leverage


def largest_notional(leverage: int) -> int:
    """Return the largest notional that may be held at a leverage, quote asset."""
    return max(bracket.cap for bracket in _BRACKETS if bracket.leverage >= leverage)


def maintenance_of(notional: Decimal) -> tuple[Decimal, Decimal]:
    """Return the maintenance margin rate of a notional, and the deduction of its bracket.

    The maintenance margin is ``notional * rate - deduction``.
    """
    deduction = Decimal(0)
    floor, held_bps = 0, 0
    rate_bps = held_bps
    for bracket in _BRACKETS:
        deduction += Decimal(floor * (bracket.maintenance_bps - held_bps)) / _BPS
        rate_bps = bracket.maintenance_bps
        if notional <= bracket.cap:
            break
        floor, held_bps = bracket.cap, bracket.maintenance_bps
    return Decimal(rate_bps) / _BPS, deduction


def bracket_rows() -> list[dict[str, Any]]:
    """Return the brackets as /fapi/v1/leverageBracket prints them."""
    rows: list[dict[str, Any]] = []
    floor, held_bps, cumulative_bps = 0, 0, 0
    for number, bracket in enumerate(_BRACKETS, 1):
        # The deduction that makes the maintenance margin continuous between brackets.
        cumulative_bps += floor * (bracket.maintenance_bps - held_bps)
        rows.append(
            {
                "bracket": number,
                "initialLeverage": bracket.leverage,
                "notionalCap": bracket.cap,
                "notionalFloor": floor,
                "maintMarginRatio": bracket.maintenance_bps / _BPS,
                "cum": cumulative_bps / _BPS,
            }
        )
        floor, held_bps = bracket.cap, bracket.maintenance_bps
    return rows
