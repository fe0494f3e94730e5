"""Binance's refusals as Nautilus' events hold them, in plain words. Standard library only."""

from __future__ import annotations

import re

FLATTEN_ORDER = "Sflt-"
"""How the ids of orders begin that close a position for the operator.

By ``S`` they are exits of this trader; no lot has as many exits as the number ``flt`` in base 36.
"""
_BINANCE = re.compile(r"\{'code': (?P<code>-?\d+), 'msg': (?P<quote>['\"])(?P<text>.*)(?P=quote)\}")


def plain_refusal(reason: str) -> str:
    """Return a reason with Binance's code and text in place of the dict that has both.

    Args:
        reason: Of a rejection's event; one without such a dict stays as it is.
    """
    return _BINANCE.sub(lambda found: f"{found['code']} {found['text']}", reason)
