"""What follows when an exit is rejected, denied or expired, and when it is tried again. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from warmup_job.binance.order_rejections import rejection_code, rejection_error
from warmup_job.binance.retry import wait_ms
from warmup_job.errors import ExchangeUnreachableError

# Parts of Binance's and Nautilus' rejections; codes:
# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
_TOO_SMALL = ("-4164", "notional must be no smaller")
_STOP_REACHED = ("in the market", "immediately trigger", "-2021")
_TOO_MANY_STOPS = -4045
_HELD_BACK = ("TradingState", "history is being replayed")

MOST_CLOSES = 6
"""So many market orders in a row may fail to close a lot, until the next check of the account."""
LOUD_ATTEMPT = 6
"""The attempt from which on a stop that cannot be sent is an ERROR."""
_FOREVER_MS = 10**12  # stops are repeated without a deadline

StopOutcome = Literal["reached", "too_small", "full", "repeat", "close", "later"]
"""What a stop that was not accepted means.

- reached: the market is at its price, so the lot is closed at market.
- too_small: the exchange wants larger orders.
- full: the account has as many stops as the exchange allows.
- repeat: it did not reach the exchange; send it again after a wait.
- close: the exchange does not want it, so the lot is closed at market.
- later: something holds orders back; the next check of the account sends it.
"""


class StopVerdict(NamedTuple):
    """The outcome, and for ``repeat`` the wait in ms."""

    outcome: StopOutcome
    wait_ms: int = 0


def is_stop_reached_error(reason: str) -> bool:
    """Return whether a stop was rejected because the market has reached its price."""
    return any(words in reason for words in _STOP_REACHED)


def is_too_small_error(reason: str) -> bool:
    """Return whether an exit was rejected because of its notional."""
    return any(words in reason for words in _TOO_SMALL)


def judge_stop(
    reason: str, attempt: int, now_ms: int, jitter: float, *, is_denied: bool
) -> StopVerdict:
    """Judge a stop loss that was not accepted, by the rules that requests for klines follow.

    Args:
        reason: Of the rejection or denial.
        attempt: How many times in a row the lot's stop was not accepted, at least 1.
        now_ms: Unix ms.
        jitter: A random number in [0, 1).
        is_denied: Whether Nautilus denied it, so that the exchange has not seen it.
    """
    if is_stop_reached_error(reason):
        return StopVerdict("reached")
    if is_too_small_error(reason):
        return StopVerdict("too_small")
    if is_denied and any(words in reason for words in _HELD_BACK):
        return StopVerdict("later")
    if rejection_code(reason) == _TOO_MANY_STOPS:
        return StopVerdict("full")
    error = rejection_error(reason, now_ms)
    if is_denied:
        error = ExchangeUnreachableError(reason)
    wait = wait_ms(error, attempt, now_ms, now_ms + _FOREVER_MS, jitter)
    return StopVerdict("close") if wait is None else StopVerdict("repeat", wait)


def close_wait_ms(attempt: int, now_ms: int, jitter: float) -> int | None:
    """Return the wait before a lot is closed at market again, in ms; None: give up for now.

    Args:
        attempt: How many market orders in a row have not closed it, at least 1.
        now_ms: Unix ms.
        jitter: A random number in [0, 1).
    """
    if attempt >= MOST_CLOSES:
        return None
    error = ExchangeUnreachableError("not closed")
    return wait_ms(error, attempt, now_ms, now_ms + _FOREVER_MS, jitter)
