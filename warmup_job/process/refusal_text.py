"""Binance's refusals as Nautilus' events hold them, in plain words. Standard library only."""

from __future__ import annotations

import re

FLATTEN_KIND = "F"
"""The kind, in a client order id, of orders that close a position for the operator."""
_BINANCE = re.compile(r"\{'code': (?P<code>-?\d+), 'msg': (?P<quote>['\"])(?P<text>.*)(?P=quote)\}")


def plain_refusal(reason: str) -> str:
    """Return a reason with Binance's code and text in place of the dict that has both.

    Args:
        reason: Of a rejection's event; one without such a dict stays as it is.
    """
    return _BINANCE.sub(lambda found: f"{found['code']} {found['text']}", reason)
