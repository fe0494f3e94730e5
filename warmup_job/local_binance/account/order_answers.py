"""Orders, algo orders, trades and income as the REST endpoints print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from warmup_job.local_binance.account.decimal_text import amount, plain, with_decimals
from warmup_job.local_binance.account.order_records import ASSET, NOTHING
from warmup_job.local_binance.account.user_events import SELF_TRADE_MODE

if TYPE_CHECKING:
    from warmup_job.local_binance.account.order_records import (
        AlgoRecord,
        IncomeRecord,
        OrderRecord,
        TradeRecord,
    )
    from warmup_job.local_binance.prices.symbols import ListedSymbol

_AVERAGE_DECIMALS = 5


def acknowledged(order: OrderRecord) -> OrderRecord:
    """Return the order as ``newOrderRespType=ACK`` shows it: accepted, before any fill."""
    return replace(order, status="NEW", filled=NOTHING, cost=NOTHING, updated_ms=order.created_ms)


def order_row(order: OrderRecord, symbol: ListedSymbol) -> dict[str, Any]:
    """Return an order as GET order, openOrders and allOrders print it."""
    price, quantity = symbol.price_decimals, symbol.volume_decimals
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": with_decimals(order.price, price),
        "avgPrice": with_decimals(order.average_price, max(price, _AVERAGE_DECIMALS)),
        "origQty": with_decimals(order.quantity, quantity),
        "executedQty": with_decimals(order.filled, quantity),
        "cumQty": with_decimals(order.filled, quantity),
        "cumQuote": plain(order.cost),
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": order.position_side,
        "stopPrice": with_decimals(order.stop_price, price),
        "workingType": order.working_type,
        "priceProtect": False,
        "origType": order.original_type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": SELF_TRADE_MODE,
        "goodTillDate": order.good_till_ms,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def algo_row(
    algo: AlgoRecord, symbol: ListedSymbol, created: OrderRecord | None = None
) -> dict[str, Any]:
    """Return an algo order as POST and GET algoOrder print it.

    Args:
        algo: The algo order.
        symbol: Its symbol.
        created: The order that it created, if it was triggered.
    """
    price, quantity = symbol.price_decimals, symbol.volume_decimals
    trailing = algo.type == "TRAILING_STOP_MARKET"
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": with_decimals(algo.quantity, quantity),
        "algoStatus": algo.status,
        "actualOrderId": str(created.order_id) if created else "",
        "actualPrice": with_decimals(
            created.average_price if created else NOTHING, max(price, _AVERAGE_DECIMALS)
        ),
        "triggerPrice": with_decimals(algo.trigger_price, price),
        "price": with_decimals(algo.price, price),
        "icebergQuantity": None,
        "selfTradePreventionMode": SELF_TRADE_MODE,
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only or algo.close_position,
        "activatePrice": with_decimals(algo.activate_price, price) if trailing else None,
        "callbackRate": plain(algo.callback_rate) if trailing else None,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.good_till_ms,
    }


def algo_cancelled(algo: AlgoRecord) -> dict[str, Any]:
    """Return the answer to DELETE algoOrder."""
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "code": "200",
        "msg": "success",
    }


def trade_row(trade: TradeRecord, symbol: ListedSymbol) -> dict[str, Any]:
    """Return a fill as userTrades prints it."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": trade.side,
        "price": with_decimals(trade.price, symbol.price_decimals),
        "qty": with_decimals(trade.quantity, symbol.volume_decimals),
        "realizedPnl": amount(trade.realised),
        "quoteQty": plain(trade.price * trade.quantity),
        "commission": amount(trade.commission),
        "commissionAsset": ASSET,
        "time": trade.at_ms,
        "positionSide": trade.position_side,
        "buyer": trade.side == "BUY",
        "maker": trade.is_maker,
    }


def income_row(income: IncomeRecord) -> dict[str, Any]:
    """Return a change of the wallet as income prints it."""
    return {
        "symbol": income.symbol,
        "incomeType": income.kind,
        "income": amount(income.amount),
        "asset": ASSET,
        "info": income.info or income.kind,
        "time": income.at_ms,
        "tranId": income.income_id,
        "tradeId": str(income.trade_id) if income.trade_id else "",
    }
