"""Answers after which an order may or may not exist, and the rejection that says it does not.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info (HTTP 503)
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations

NO_SUCH_ORDER, NOT_CANCELLED = -2013, -2011
PLACED_WITHIN_S = 6.0
"""How long after its request an order may still be placed: the default recvWindow of 5 s, and the
second that a timestamp may be ahead of Binance's clock.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info (timing security)
"""
_OVERLOADED = -1008  # Binance drops the request before its matching engine sees it
_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007})
_REQUEST_TIMEOUT, _FIRST_SERVER_ERROR = 408, 500
_NOT_PLACED, _NOT_REACHED = "NOT_PLACED", "NOT_REACHED"


def is_outcome_unknown(status: int, code: int | None) -> bool:
    """Return whether an order may exist although Binance answered its request with an error.

    Args:
        status: The HTTP status; 200 means that the body was unreadable.
        code: Binance's error code; None: the answer has none.
    """
    if code == _OVERLOADED:
        return False
    return (
        code in _UNKNOWN_CODES or status in {200, _REQUEST_TIMEOUT} or status >= _FIRST_SERVER_ERROR
    )


def not_placed_reason(cause: str) -> str:
    """Return the reason of a rejection after Binance has confirmed that the order does not exist.

    Args:
        cause: How the request for the order failed.
    """
    return f"{_NOT_PLACED}: the exchange does not have the order ({cause}); a new one is no double"


def is_from_elsewhere(code: int | None) -> bool:
    """Return whether an error answer is not the exchange's, but of something in front of it.

    A firewall (403) answers with a page; Binance's answer to a forbidden country (451) has code 0.

    Args:
        code: Binance's error code; None: the answer has none.
    """
    return code is None or code >= 0


def not_reached_reason(status: int) -> str:
    """Return the reason of a rejection by something in front of the exchange.

    Args:
        status: The HTTP status of its answer.
    """
    return f"{_NOT_REACHED}: the exchange never saw it (HTTP {status}); a new one is no double"


def may_send_again(reason: str) -> bool:
    """Return whether an order was rejected only because its request did not reach the exchange."""
    return reason.startswith((_NOT_PLACED, _NOT_REACHED))
