"""How long the exchange knows orders, fills and income, which also bounds its memory. Pure.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Query-Order,
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Get-Income-History
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.market.interval import DAY_MS

if TYPE_CHECKING:
    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord

KEPT_INCOME_MS = 90 * DAY_MS
KEPT_TRADES_MS = 180 * DAY_MS
_KEPT_UNFILLED_MS = 3 * DAY_MS
_KEPT_ORDERS_MS = 90 * DAY_MS
_ENDED_UNFILLED = frozenset({"CANCELED", "EXPIRED"})


def is_order_forgotten(order: OrderRecord, now_ms: int) -> bool:
    """Return whether the exchange no longer knows an order.

    Args:
        order: The order; an open one is never forgotten.
        now_ms: The exchange's time, UTC ms.
    """
    unfilled = order.status in _ENDED_UNFILLED and not order.filled
    kept_ms = _KEPT_UNFILLED_MS if unfilled else _KEPT_ORDERS_MS
    return not order.is_open and order.created_ms + kept_ms < now_ms


def is_algo_forgotten(algo: AlgoRecord, now_ms: int) -> bool:
    """Return whether the exchange no longer knows an algo order; as `is_order_forgotten`."""
    unfilled = algo.status in _ENDED_UNFILLED
    kept_ms = _KEPT_UNFILLED_MS if unfilled else _KEPT_ORDERS_MS
    return not algo.is_open and algo.created_ms + kept_ms < now_ms
