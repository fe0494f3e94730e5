"""A rejected order as one of our errors, so that `retry.wait_ms` can decide on a repeat. Pure.

https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

import re

from warmup_job.binance.answers import TOO_MANY_REQUESTS, answer_error, printable
from warmup_job.binance.unknown_outcome import may_send_again
from warmup_job.errors import (
    ExchangeUnreachableError,
    RateLimitedError,
    RefusedError,
    WarmupError,
)

_CODE = re.compile(r"(?<![\w-])-[1-9][0-9]{3,4}(?![\w-])", re.ASCII)
"""Binance's error codes are negative and have four digits, or five in some of its APIs."""
_BUSY = frozenset(
    {-1008, -1015, -1016}
)  # overloaded, too many orders in ten seconds, shutting down
_LATE = frozenset({-1021, -4188, -5028})  # recvWindow: of the API, and twice of the matching engine
# The key, its permissions or its IP addresses: an operator can mend them, and until then a market
# order would be refused as well.
_NOT_ALLOWED = frozenset({-1002, -1011, -1022, -2014, -2015})
_USED_ID = frozenset({-4116})  # the next attempt has another one; -4015 would return: invalid
_REPEATED = _BUSY | _LATE | _NOT_ALLOWED | _USED_ID
_LIMITED = 429


def rejection_code(reason: str) -> int | None:
    """Return Binance's error code in a rejection's reason; None: it has none."""
    found = _CODE.search(reason)
    return None if found is None else int(found[0])


def is_id_taken(reason: str) -> bool:
    """Return whether an order was rejected because an order with its id exists already."""
    return rejection_code(reason) in _USED_ID


def limited_until_ms(reason: str, now_ms: int) -> int | None:
    """Return until when the exchange limits or bans this IP; None: it does not.

    Args:
        reason: The reason of a rejection, also of a cancel.
        now_ms: This machine's clock, UTC ms; the result is on it too.
    """
    error = rejection_error(reason, now_ms)
    return error.until_ms if isinstance(error, RateLimitedError) else None


def rejection_error(reason: str, now_ms: int) -> WarmupError:
    """Return the error of a rejected order, of the class that a request for klines would raise.

    - `RateLimitedError`: the IP is limited or banned; it says until when.
    - `ExchangeUnreachableError`: the order did not reach the matching engine; repeat it.
    - `RefusedError`: the exchange does not want this order.

    Args:
        reason: The reason of Nautilus' rejection event.
        now_ms: This machine's clock, UTC ms.
    """
    code, text = rejection_code(reason), printable(reason)
    if code == TOO_MANY_REQUESTS:
        return answer_error("Binance", _LIMITED, code, {}, now_ms, message=reason)
    if may_send_again(reason) or code in _REPEATED:
        return ExchangeUnreachableError(f"the order did not reach the exchange: {text}")
    return RefusedError(f"the exchange rejected the order: {text}")
