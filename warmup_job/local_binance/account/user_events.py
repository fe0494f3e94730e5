"""The events of the user data stream, in Binance's format.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account.decimal_text import amount, plain, with_decimals
from warmup_job.local_binance.account.order_records import ASSET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmup_job.local_binance.account.futures_position import FuturesPosition
    from warmup_job.local_binance.account.order_records import (
        AlgoRecord,
        OrderRecord,
        TradeRecord,
    )
    from warmup_job.local_binance.prices.symbols import ListedSymbol

SELF_TRADE_MODE = "EXPIRE_MAKER"


def order_trade_update(
    order: OrderRecord,
    symbol: ListedSymbol,
    execution: str,
    now_ms: int,
    trade: TradeRecord | None = None,
    notionals: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0)),
) -> dict[str, Any]:
    """Return ORDER_TRADE_UPDATE.

    Args:
        order: The order after the change.
        symbol: Its symbol.
        execution: NEW, TRADE, CANCELED, EXPIRED, AMENDMENT, REJECTED or CALCULATED.
        now_ms: The time of the event, UTC ms.
        trade: The fill, with TRADE and CALCULATED.
        notionals: Value of the symbol's open buy and sell orders.
    """
    price, quantity = symbol.price_decimals, symbol.volume_decimals
    at_ms = order.updated_ms
    fields: dict[str, Any] = {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": with_decimals(order.quantity, quantity),
        "p": with_decimals(order.price, price),
        "ap": plain(order.average_price),
        "sp": with_decimals(order.stop_price, price),
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": with_decimals(trade.quantity, quantity) if trade else "0",
        "z": with_decimals(order.filled, quantity),
        "L": with_decimals(trade.price, price) if trade else "0",
        "T": at_ms,
        "t": trade.trade_id if trade else 0,
        "b": plain(notionals[0]),
        "a": plain(notionals[1]),
        "m": trade.is_maker if trade else False,
        "R": order.reduce_only,
        "wt": order.working_type,
        "ot": order.original_type,
        "ps": order.position_side,
        "cp": order.close_position,
        "rp": plain(trade.realised) if trade else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": SELF_TRADE_MODE,
        "pm": "NONE",
        "gtd": order.good_till_ms,
        "er": "0",
    }
    if trade:
        fields |= {"N": ASSET, "n": plain(trade.commission)}
    return {"e": "ORDER_TRADE_UPDATE", "T": at_ms, "E": max(now_ms, at_ms), "o": fields}


def algo_update(
    algo: AlgoRecord, symbol: ListedSymbol, now_ms: int, created: OrderRecord | None = None
) -> dict[str, Any]:
    """Return ALGO_UPDATE.

    Args:
        algo: The algo order after the change.
        symbol: Its symbol.
        now_ms: The time of the event, UTC ms.
        created: The order that it created, if it was triggered.
    """
    price, quantity = symbol.price_decimals, symbol.volume_decimals
    fields: dict[str, Any] = {
        "caid": algo.client_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side,
        "ps": algo.position_side,
        "f": algo.time_in_force,
        "q": with_decimals(algo.quantity, quantity),
        "X": algo.status,
        "ai": str(created.order_id) if created else "",
        "ap": plain(created.average_price) if created else "0.00000",
        "aq": with_decimals(created.filled, quantity) if created else "0.00000",
        "act": created.type if created else "0",
        "tp": with_decimals(algo.trigger_price, price),
        "p": with_decimals(algo.price, price),
        "V": SELF_TRADE_MODE,
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": algo.price_protect,
        "R": algo.reduce_only or algo.close_position,
        "tt": algo.triggered_ms,
        "gtd": algo.good_till_ms,
        "rm": algo.reason,
    }
    if algo.callback_rate:
        fields |= {"cr": plain(algo.callback_rate), "AP": plain(algo.activate_price)}
    at_ms = algo.updated_ms
    return {"e": "ALGO_UPDATE", "T": at_ms, "E": max(now_ms, at_ms), "o": fields}


def account_update(
    reason: str,
    at_ms: int,
    now_ms: int,
    *,
    wallet: Decimal,
    change: Decimal = Decimal(0),
    positions: Iterable[tuple[FuturesPosition, Decimal]] = (),
    margin_type: str = "cross",
) -> dict[str, Any]:
    """Return ACCOUNT_UPDATE.

    Args:
        reason: ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW and so on.
        at_ms: The time of the change, UTC ms.
        now_ms: The time of the event, UTC ms.
        wallet: The wallet's balance after the change.
        change: The change of the balance other than results and commissions.
        positions: The changed positions, each with its mark price.
        margin_type: ``cross`` or ``isolated``.
    """
    balance = {"a": ASSET, "wb": amount(wallet), "cw": amount(wallet), "bc": plain(change)}
    rows = [
        {
            "s": position.symbol,
            "pa": plain(position.quantity),
            "ep": plain(round(position.entry_price, 8)),
            "bep": plain(round(position.break_even_price, 8)),
            "cr": plain(position.realised),
            "up": plain(position.unrealised(mark)),
            "mt": margin_type,
            "iw": "0",
            "ps": position.side,
        }
        for position, mark in positions
    ]
    return {
        "e": "ACCOUNT_UPDATE",
        "T": at_ms,
        "E": max(now_ms, at_ms),
        "a": {"m": reason, "B": [balance], "P": rows},
    }
